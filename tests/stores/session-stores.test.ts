/** One suite for the session stores: rows in both databases, a single Redis, a Redis Cluster. */
import { after, before, describe } from 'node:test';
import type { Redis, RedisAddress } from '../../packages/server/src/platform/redis/index.ts';
import { sessionStoreContract } from '../../packages/server/src/sessions/session-store.contract.ts';
import { createPostgresSessionStore } from '../../packages/server/src/sessions/session-store.postgres.ts';
import { startCluster, startRedis } from '../support/redis.ts';
import { addressOf, clusterAddress, openSessionStore } from '../support/session-stores.ts';
import { embeddedStore, type MakeDatabase, postgresStore } from '../support/stores.ts';

/** One database for a suite: each test has users of its own. */
function once(make: MakeDatabase): MakeDatabase {
  let made: ReturnType<MakeDatabase> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

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

interface Servers {
  readonly address: RedisAddress;
  readonly stop: () => Promise<void>;
}

const servers = {
  'one server': async (): Promise<Servers> => {
    const server = await startRedis();
    return { address: addressOf(server), stop: server.stop.bind(server) };
  },
  'a Cluster': async (): Promise<Servers> => {
    const cluster = await startCluster();
    return { address: clusterAddress(cluster), stop: cluster.stop };
  },
};

for (const [name, start] of Object.entries(servers)) {
  describe(`session store in Redis (${name})`, () => {
    let server: Servers | undefined;
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
      const { redis, store } = await openSessionStore({ address: server.address, db, limits, deadlineMs: 5_000 });
      open.push(redis);
      return { db, store };
    });
  });
}
