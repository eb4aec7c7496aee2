/** One suite for the session stores: rows in both databases, a single Redis, a Redis Cluster. */
import { after, before, describe } from 'node:test';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { openRedis, type Redis, type RedisAddress } from '../../packages/server/src/platform/redis/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import { sessionStoreContract } from '../../packages/server/src/sessions/session-store.contract.ts';
import { createPostgresSessionStore } from '../../packages/server/src/sessions/session-store.postgres.ts';
import { createRedisSessionStore } from '../../packages/server/src/sessions/session-store.redis.ts';
import { startCluster, startRedis } from '../support/redis.ts';
import { embeddedStore, type MakeDatabase, postgresStore } from '../support/stores.ts';

for (const [name, databasesOf] of [
  ['embedded', embeddedStore],
  ['postgres', postgresStore],
] as const) {
  describe(`session store in the database (${name})`, () => {
    const databases = databasesOf();
    const made = once(databases.make);
    after(async () => {
      await databases.endTest();
      await databases.endSuite();
    });
    sessionStoreContract(async (limits) => {
      const db = await made();
      return { db, store: createPostgresSessionStore({ db, limits }) };
    });
  });
}

/** One database for a suite: each test has users of its own. */
function once(make: MakeDatabase): MakeDatabase {
  let made: ReturnType<MakeDatabase> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const hostPort = (node: string): { host: string; port: number } => {
  const [host = '', port = ''] = node.split(':');
  return { host, port: Number(port) };
};

const servers = {
  'one server': async () => {
    const server = await startRedis();
    return { address: { kind: 'single', server: server } as RedisAddress, stop: () => server.stop() };
  },
  'a Cluster': async () => {
    const cluster = await startCluster();
    return {
      address: { kind: 'cluster', nodes: cluster.nodes.map(hostPort) } as RedisAddress,
      stop: () => cluster.stop(),
    };
  },
};

for (const [name, start] of Object.entries(servers)) {
  describe(`session store in Redis (${name})`, () => {
    let server: Awaited<ReturnType<typeof start>> | undefined;
    const open: Redis[] = [];
    const databases = postgresStore();
    const made = once(databases.make);
    before(async () => {
      server = await start();
    });
    after(async () => {
      await Promise.all(open.map((redis) => redis.close()));
      await databases.endTest();
      await databases.endSuite();
      await server?.stop();
    });
    sessionStoreContract(async (limits) => {
      if (server === undefined) throw new Error('Redis has not started');
      const db = await made();
      const redis = await openRedis({
        address: server.address,
        prefix: `t${systemRandom.bytes(6).toString('hex')}:`,
        connectionName: 'test',
        clock: systemClock,
        random: systemRandom,
        durableWrites: true,
        deadlineMs: 5_000,
      });
      open.push(redis);
      return { db, store: createRedisSessionStore({ db, redis, clock: systemClock, limits, hasEnded: () => false }) };
    });
  });
}
