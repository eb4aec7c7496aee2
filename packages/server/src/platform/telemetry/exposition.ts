/** Several expositions in the Prometheus text format as one: each sample keeps its value and gains a label that says whose it is. */

interface Family {
  readonly head: string[];
  readonly samples: string[];
}

/**
 * Nothing is added up: whoever reads can (`sum by (route) (…)`), and a counter of one process that begins anew is then seen as
 * what it is. A family stands where the first part has it, with the samples of all parts.
 */
export function mergeExpositions(
  label: string,
  parts: readonly { readonly value: string; readonly text: string }[],
): string {
  const families = new Map<string, Family>();
  for (const { value, text } of parts) {
    let family: Family | undefined;
    let isNew = false;
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const name = /^# HELP (\S+)/.exec(line)?.[1];
      if (name !== undefined) {
        isNew = !families.has(name);
        family = families.get(name) ?? { head: [], samples: [] };
        families.set(name, family);
      }
      if (family === undefined) continue;
      if (!line.startsWith('#')) family.samples.push(withLabel(line, label, value));
      else if (isNew) family.head.push(line);
    }
  }
  return [...families.values()].map(({ head, samples }) => `${[...head, ...samples].join('\n')}\n`).join('');
}

function withLabel(sample: string, label: string, value: string): string {
  const own = `${label}="${value}"`;
  const brace = sample.indexOf('{');
  const blank = sample.indexOf(' ');
  if (brace === -1 || brace > blank) return `${sample.slice(0, blank)}{${own}}${sample.slice(blank)}`;
  const rest = sample.slice(brace + 1);
  return `${sample.slice(0, brace)}{${own}${rest.startsWith('}') ? '' : ','}${rest}`;
}
