/** Session stores in Redis for tests, on databases and servers of theirs. */
import type { Database } from '../../packages/server/src/platform/database/index.ts';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { openRedis, type Redis, type RedisAddress } from '../../packages/server/src/platform/redis/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import type { SessionLimits } from '../../packages/server/src/sessions/index.ts';
import { createRedisSessionStore } from '../../packages/server/src/sessions/session-store.redis.ts';
import type { TestCluster, TestRedis } from './redis.ts';

export const addressOf = (server: TestRedis): RedisAddress => ({
  kind: 'single',
  server: { host: server.host, port: server.port },
});

export const clusterAddress = ({ nodes }: TestCluster): RedisAddress => ({
  kind: 'cluster',
  nodes: nodes.map((node) => {
    const [host = '', port = ''] = node.split(':');
    return { host, port: Number(port) };
  }),
});

export interface OpenStore {
  readonly redis: Redis;
  readonly store: ReturnType<typeof createRedisSessionStore>;
}

export async function openSessionStore(options: {
  readonly address: RedisAddress;
  readonly db: Database;
  readonly limits?: SessionLimits;
  readonly prefix?: string;
  readonly deadlineMs?: number;
}): Promise<OpenStore> {
  const redis = await openRedis({
    address: options.address,
    prefix: options.prefix ?? `t${systemRandom.bytes(6).toString('hex')}:`,
    connectionName: 'test',
    clock: systemClock,
    random: systemRandom,
    durableWrites: true,
    ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
  });
  const limits = options.limits ?? { idleTtlSeconds: 600, maxAgeSeconds: 3_600, maxPerUser: 100 };
  const store = createRedisSessionStore({ db: options.db, redis, clock: systemClock, limits, hasEnded: () => false });
  return { redis, store };
}
