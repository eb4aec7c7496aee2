/**
 * `dns` and `kubernetes-dns`: the nodes behind a name.
 *
 * - `dns`: the A and AAAA records of the name, with our own port; of a name that begins with `_`, its SRV records, which
 *   have ports of their own.
 * - `kubernetes-dns`: the name of a headless service: the SRV records of its port called `mesh`, else as above.
 *
 * A name without records is nobody, a name that does not exist and a server that fails are failures; either takes nobody away.
 * Asked more often than its TTL says, a name server answers from its cache: TTLs are left to it. A resolver of its own for each
 * look reads /etc/resolv.conf anew and remembers nothing; truncated answers are asked for again by TCP.
 */
import { promises as dns, type SrvRecord } from 'node:dns';
import { isIP } from 'node:net';
import type { Discovery, PeerAddress } from './discovery.ts';
import { createPolling, type PollingDeps, peersMax } from './polling.ts';
import { fullNamesOf } from './search-list.rule.ts';

export interface DnsLook {
  readonly name: string;
  /** Of nodes whose records name no port. */
  readonly port: number;
  readonly prefersMeshPort: boolean;
}

export interface DnsDeps extends PollingDeps {
  readonly readFile: (path: string) => Promise<string>;
  /** `address:port` of name servers, in place of the machine's own. */
  readonly servers?: readonly string[];
}

/** Two tries of a second, then of two: within the time of a look. */
const tryMs = 1_000;
const tries = 2;
/** Targets of SRV records that are looked up in one look. */
const targetsMax = 64;

export function createDnsDiscovery({ name, port, prefersMeshPort }: DnsLook, deps: DnsDeps): Discovery {
  const find = async (resolver: dns.Resolver, full: string): Promise<readonly PeerAddress[] | undefined> => {
    if (full.startsWith('_')) return findServices(resolver, full);
    const services = prefersMeshPort ? await findServices(resolver, `_mesh._tcp.${full}`) : undefined;
    if (services !== undefined && services.length > 0) return services;
    return (await findAddresses(resolver, full))?.map((host) => ({ host, port }));
  };

  const look = async (signal: AbortSignal): Promise<readonly PeerAddress[]> => {
    const resolver = new dns.Resolver({ timeout: tryMs, tries });
    if (deps.servers !== undefined) resolver.setServers(deps.servers);
    const cancel = (): void => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      let exists = false;
      let failure: Error | undefined;
      for (const full of fullNamesOf(name, await readSearchList(deps))) {
        try {
          const found = await find(resolver, full);
          exists ||= found !== undefined;
          if (found !== undefined && found.length > 0) return found;
        } catch (error) {
          // One domain of the search list whose name server fails is no reason not to ask for the next.
          failure ??= error instanceof Error ? error : new Error('unknown', { cause: error });
        }
        signal.throwIfAborted();
      }
      if (failure !== undefined) throw failure;
      if (!exists) throw new Error('there is no such name (NXDOMAIN)');
      return [];
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };

  return createPolling({ where: `DNS for ${name}`, look }, deps);
}

/** No file, no search list: names are then taken as they stand. */
const readSearchList = ({ readFile }: DnsDeps): Promise<string> => readFile('/etc/resolv.conf').catch(() => '');

/** `undefined`: there is no such name. Half an answer is an answer: some name servers fail for AAAA alone. */
async function findAddresses(resolver: dns.Resolver, name: string): Promise<readonly string[] | undefined> {
  const [four, six] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const found = [four, six].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (found.length > 0) return found.slice(0, peersMax);
  const codes = [four, six].map((answer) => (answer.status === 'rejected' ? codeOf(answer.reason) : 'ENODATA'));
  const failed = codes.find((code) => code !== 'ENODATA' && code !== 'ENOTFOUND');
  if (failed !== undefined) throw new Error(`the name server did not answer (${failed})`);
  return codes.every((code) => code === 'ENOTFOUND') ? undefined : [];
}

async function findServices(resolver: dns.Resolver, name: string): Promise<readonly PeerAddress[] | undefined> {
  let records: readonly SrvRecord[];
  try {
    records = await resolver.resolveSrv(name);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOTFOUND') return undefined;
    if (code === 'ENODATA') return [];
    throw new Error(`the name server did not answer (${code})`, { cause: error });
  }
  // "." as the target says that the service is decidedly not there (RFC 2782).
  const targets = records.filter((record) => record.name !== '' && record.name !== '.').slice(0, targetsMax);
  const found = await Promise.allSettled(
    targets.map(async (target) => {
      if (isIP(target.name) !== 0) return [{ host: target.name, port: target.port }];
      const hosts = (await findAddresses(resolver, target.name)) ?? [];
      return hosts.map((host) => ({ host, port: target.port }));
    }),
  );
  // A target that cannot be looked up is the loss of that target alone.
  const peers = found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = found.find((answer) => answer.status === 'rejected');
  if (peers.length === 0 && failed !== undefined) throw failed.reason;
  return peers;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}
