/** The whole bed: three nodes, PostgreSQL, Redis Cluster where the shape has one, and slow links where they are asked for. */

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, globSync, mkdirSync } from 'node:fs';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createNetwork, type Host, type Network } from './network.ts';
import { createNode, type NodeMachine } from './nodes.ts';
import { createRedisCluster, type RedisCluster } from './redis.ts';
import { type SlowLinks, startSlowLinks } from './slow-links.ts';

/**
 * What ties the nodes together beside PostgreSQL. `database`: nothing. `mesh`: clustering. `redis`: clustering and Redis.
 * `redis-sessions`: the sessions are in Redis, too.
 */
export const shapes = ['database', 'mesh', 'redis', 'redis-sessions'] as const;
export type Shape = (typeof shapes)[number];

export interface BedOptions {
  readonly shape: Shape;
  readonly folder: string;
  /** Seconds; the service's own setting. */
  readonly staleness: number;
  readonly env?: Readonly<Record<string, string>>;
  /** One node gets a wall clock of its own. */
  readonly clock?: boolean;
  /** Links to the stores and between the nodes go by a proxy. */
  readonly slowLinks?: boolean;
}

export interface Bed {
  readonly options: BedOptions;
  readonly network: Network;
  readonly nodes: readonly [NodeMachine, NodeMachine, NodeMachine];
  readonly postgres: TestPostgres;
  readonly postgresHost: Host;
  /** Small, and full when somebody fills it; `pg_wal` is elsewhere. */
  readonly dataDisk: string;
  readonly databaseUrl: string;
  readonly redis: RedisCluster | undefined;
  readonly slow: SlowLinks | undefined;
}

const dataDiskMegabytes = 160;
const postgresPort = 5432;
const meshPort = 4370;

export async function startBed(options: BedOptions): Promise<Bed> {
  const network = createNetwork();
  const postgresHost = network.add('pg', 20);
  const dataDisk = `${options.folder}/pg`;
  const postgres = await startDatabase(postgresHost, dataDisk, options.folder);
  const databaseUrl = await postgres.createDatabase();
  const withRedis = options.shape === 'redis' || options.shape === 'redis-sessions';
  const redis = withRedis ? createRedisCluster(network, options.folder) : undefined;
  await redis?.start();

  const hosts = ['n1', 'n2', 'n3'].map((name, at) => network.add(name, 11 + at));
  const places = [
    { address: postgresHost.address, port: postgresPort },
    ...(redis?.hosts ?? []).map((host) => ({ address: host.address, port: 6379 })),
    ...(options.shape === 'database' ? [] : hosts.map((host) => ({ address: host.address, port: meshPort }))),
  ];
  const slow =
    options.slowLinks === true
      ? await startSlowLinks(network, { hosts, places, log: `${options.folder}/slow.log` })
      : undefined;

  const env = { ...serviceEnv(options, databaseUrl, redis), ...options.env };
  const nodes = hosts.map((host, at) =>
    createNode(network, host, {
      env,
      folder: options.folder,
      clockLibrary: options.clock === true && at === 1 ? clockLibrary() : undefined,
    }),
  );
  const [n1, n2, n3] = nodes;
  if (n1 === undefined || n2 === undefined || n3 === undefined) throw new Error('three nodes are three');
  // One after the other: the first migrates, and none has to share the machine with two starts.
  for (const node of nodes) await node.start();
  return { options, network, nodes: [n1, n2, n3], postgres, postgresHost, dataDisk, databaseUrl, redis, slow };
}

/** Data on a small disk of its own; the log ahead of it (16 MB a file) on another. */
async function startDatabase(host: Host, dataDisk: string, folder: string): Promise<TestPostgres> {
  mkdirSync(dataDisk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${dataDiskMegabytes}m`, 'tmpfs', dataDisk]);
  const postgres = await startPostgres({
    place: {
      enter: host.enter,
      address: host.address,
      port: postgresPort,
      folder: dataDisk,
      walFolder: `${folder}/pg_wal`,
    },
    settings: { max_wal_size: '64MB', min_wal_size: '32MB', max_connections: '60' },
  });
  return postgres;
}

function serviceEnv(options: BedOptions, databaseUrl: string, redis: RedisCluster | undefined): Record<string, string> {
  const secret = (): string => randomBytes(33).toString('base64');
  return {
    NODE_ENV: 'test',
    PORT: '4000',
    HOST: '0.0.0.0',
    PUBLIC_URL: 'http://auth.example.org',
    DATABASE_URL: databaseUrl,
    JWT_SECRET: secret(),
    BCRYPT_COST: '4',
    RATE_LIMIT_ENABLED: 'false',
    REFRESH_REUSE_GRACE: '300',
    REVOCATION_MAX_STALENESS: String(options.staleness),
    LOG_LEVEL: 'info',
    LOG_FORMAT: 'json',
    ...(options.shape === 'database'
      ? {}
      : {
          ENABLE_CLUSTERING: 'true',
          CLUSTER_SECRET: secret(),
          CLUSTER_PORT: String(meshPort),
          CLUSTER_STRATEGY: 'postgres',
        }),
    ...(redis === undefined ? {} : { REDIS_CLUSTER_NODES: redis.nodes }),
    ...(options.shape === 'redis-sessions' ? { SESSION_STORE: 'redis' } : {}),
  };
}

function clockLibrary(): string {
  const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1');
  if (library === undefined) throw new Error('a clock of its own needs libfaketime: apt-get install -y libfaketime');
  return library;
}

/** A disk in memory for everything that a run writes: it goes with the run, however that ends. */
export function makeFolder(): string {
  const folder = '/run/bed';
  if (!existsSync(folder)) mkdirSync(folder);
  // The database is another user.
  chmodSync(folder, 0o755);
  return folder;
}
