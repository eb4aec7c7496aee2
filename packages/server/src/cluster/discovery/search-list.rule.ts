/**
 * Which full names a name may stand for, in the order in which they are tried: the `search` and `ndots` of resolv.conf(5),
 * which Node's resolver does not apply. In Kubernetes, `auth` becomes `auth.NAMESPACE.svc.cluster.local` by them.
 */

const domainsMax = 6;
const nameCharactersMax = 253;

export function fullNamesOf(name: string, resolvConf: string): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const { domains, dotsMin } = searchOf(resolvConf);
  const searched = domains.map((domain) => `${name}.${domain}`).filter((full) => full.length <= nameCharactersMax);
  const dots = name.split('.').length - 1;
  return dots >= dotsMin ? [name, ...searched] : [...searched, name];
}

function searchOf(resolvConf: string): { readonly domains: readonly string[]; readonly dotsMin: number } {
  let domains: readonly string[] = [];
  let dotsMin = 1;
  for (const line of resolvConf.split('\n')) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    // Of several lines the last one counts.
    if (keyword === 'search' || keyword === 'domain') {
      domains = words.map((word) => word.replace(/\.$/, '')).filter((word) => /^[A-Za-z0-9._-]+$/.test(word));
    } else if (keyword === 'options') {
      const given = words.findLast((word) => /^ndots:\d{1,2}$/.test(word));
      if (given !== undefined) dotsMin = Math.min(15, Number(given.slice('ndots:'.length)));
    }
  }
  return { domains: domains.slice(0, domainsMax), dotsMin };
}
