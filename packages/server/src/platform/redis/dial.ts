/**
 * Opens a client of `ioredis` for an address. A client lives as long as its connection: whoever lost it dials again, so names are
 * resolved, Sentinels asked and a Cluster's nodes looked up anew each time. Within a Cluster the client follows fail-overs itself.
 */
import { Cluster, Redis as Single } from 'ioredis';
import { RedisUnavailable } from './redis.ts';
import { within } from './within.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export type RedisAddress = {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Verified; `ca` (PEM) instead of the system's authorities. */
  readonly tls?: { readonly ca?: string | undefined } | undefined;
} & (
  | { readonly kind: 'single'; readonly server: HostPort; readonly database?: number | undefined }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly HostPort[];
      readonly name: string;
      readonly sentinelPassword?: string | undefined;
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly HostPort[] }
);

export type Client = Single | Cluster;

export interface DialOptions {
  readonly address: RedisAddress;
  readonly deadlineMs: number;
  readonly dialTimeoutMs: number;
  readonly connectionName: string;
}

export async function dial(options: DialOptions): Promise<Client> {
  const client = options.address.kind === 'cluster' ? makeCluster(options) : makeSingle(options);
  return opened(client, options);
}

/** One connection to one server: the server, the Sentinels' master, or the node of a Cluster whose turn it is. */
export async function dialOne(options: DialOptions, turn: number): Promise<Single> {
  const { address } = options;
  if (address.kind !== 'cluster') return opened(makeSingle(options), options);
  const server = address.nodes[turn % address.nodes.length];
  if (server === undefined) throw new Error('a Cluster has at least one node');
  return opened(makeSingle({ ...options, address: { ...address, kind: 'single', server } }), options);
}

async function opened<C extends Client>(client: C, options: DialOptions): Promise<C> {
  let latest: unknown;
  client.on('error', (error: unknown) => {
    latest = error;
  });
  client.on('node error', (error: unknown) => {
    latest = error;
  });
  try {
    await within(options.dialTimeoutMs, client.connect(), () => new RedisUnavailable('deadline'));
    return client;
  } catch (failure) {
    client.disconnect();
    throw new RedisUnavailable('away', { cause: latest ?? failure });
  }
}

function common({ address, dialTimeoutMs, deadlineMs, connectionName }: DialOptions) {
  const { username, password, tls } = address;
  return {
    connectionName,
    connectTimeout: dialTimeoutMs,
    commandTimeout: deadlineMs,
    disableClientInfo: true,
    protocol: 2,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: tls.ca === undefined ? {} : { ca: tls.ca } }),
  } as const;
}

function makeSingle(options: DialOptions): Single {
  const { address } = options;
  const own = { ...common(options), lazyConnect: true, enableOfflineQueue: false, retryStrategy: null };
  if (address.kind === 'single') {
    const { host, port } = address.server;
    return new Single({ ...own, host, port, db: address.database ?? 0 });
  }
  if (address.kind === 'cluster') throw new Error('a Cluster is no single server');
  const { tls, sentinelPassword } = address;
  return new Single({
    ...own,
    name: address.name,
    sentinels: address.sentinels.map(({ host, port }) => ({ host, port })),
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: options.deadlineMs,
    updateSentinels: true,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls === undefined
      ? {}
      : { enableTLSForSentinelMode: true, sentinelTLS: tls.ca === undefined ? {} : { ca: tls.ca } }),
  });
}

function makeCluster(options: DialOptions): Cluster {
  const { address } = options;
  if (address.kind !== 'cluster') throw new Error('this is no Cluster');
  return new Cluster(
    address.nodes.map(({ host, port }) => ({ host, port })),
    {
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: () => null,
      retryDelayOnFailover: 50,
      retryDelayOnClusterDown: 50,
      // The circuit asks, each second: the client's own timer would run on after a client is dropped.
      slotsRefreshInterval: 0,
      slotsRefreshTimeout: 1_000,
      redisOptions: common(options),
      // Certificates are made for names: these are not to be replaced by their addresses.
      ...(address.tls === undefined ? {} : { dnsLookup: (name, found) => found(null, name) }),
    },
  );
}
