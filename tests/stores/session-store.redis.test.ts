/** Sessions in Redis under faults: what was acknowledged stays, what has ended stays ended, and nobody is logged out. */
import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../packages/server/src/platform/database/index.ts';
import { type Redis, RedisUnavailable } from '../../packages/server/src/platform/redis/index.ts';
import { play } from '../../packages/server/src/sessions/session-store.contract.ts';
import { startCluster, startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/service.ts';
import { addressOf, clusterAddress, openSessionStore } from '../support/session-stores.ts';
import { besideOthers } from '../support/slack.ts';
import { postgresStore } from '../support/stores.ts';

const databases = postgresStore();
const open: Redis[] = [];
const servers: TestRedis[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((redis) => redis.close()));
  await databases.endTest();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});
after(databases.endSuite);

async function fresh(settings: Readonly<Record<string, string>> = {}): Promise<TestRedis> {
  const server = await startRedis({ settings: { 'repl-diskless-sync-delay': '0', ...settings } });
  servers.push(server);
  return server;
}

async function opened(server: TestRedis, db: Database, how: { deadlineMs?: number; prefix?: string } = {}) {
  const { redis, store } = await openSessionStore({ address: addressOf(server), db, prefix: 't:', ...how });
  open.push(redis);
  return { ...play({ store, db }), redis, store };
}

const unavailable = (error: unknown): boolean => error instanceof RedisUnavailable;

/** On a busy machine a replica may be late, and the caller is told to come again. */
const repeated = <T>(attempt: () => Promise<T>): Promise<T> =>
  until('a replica in time', () =>
    attempt().catch((error: unknown): undefined => {
      if (!unavailable(error)) throw error;
    }),
  );

describe('sessions in Redis', () => {
  test('REV-05 a session that Redis brings back stays dead, and is dropped again', async () => {
    const [server, db] = [await fresh(), await databases.make()];
    const { store, newUser, begin, rotate, end, endAll, redis } = await opened(server, db, { deadlineMs: 5_000 });
    const [user, all] = [await newUser(), await newUser()];
    const [one, other] = [await begin(user), await begin(all)];
    const keys = [redis.key('session', user, one.id), redis.key('session', all, other.id)];
    const values = await Promise.all(keys.map((key) => server.command('GET', key)));
    await end(user, one.id, true);
    await endAll(all, null);
    await store.forget(user, [one.id]);
    await store.forget(all, [other.id]);
    assert.equal(await server.command('EXISTS', ...keys), '0');
    const bringBack = async (): Promise<void> => {
      for (const [index, [owner, { id }]] of (
        [
          [user, one],
          [all, other],
        ] as const
      ).entries()) {
        await server.command('SET', keys[index] ?? '', values[index] ?? '', 'PX', '600000');
        await server.command('ZADD', redis.key('sessions', owner), '1', id);
      }
    };
    await bringBack();
    assert.deepEqual([await store.listByUser(user, 10), await store.listByUser(all, 10)], [[], []]);
    for (const [owner, { id }] of [
      [user, one],
      [all, other],
    ] as const) {
      assert.equal(await store.find(owner, id), undefined);
      assert.deepEqual(await rotate(owner, id, 0), { kind: 'gone' });
    }
    await until('what was brought back is dropped', async () => (await server.command('EXISTS', ...keys)) === '0');
    await bringBack();
    for (const owner of [user, all]) assert.deepEqual(await endAll(owner, null), [], 'none is ended twice');
    assert.equal(await store.replay(600), 1);
    assert.equal(await server.command('EXISTS', keys[0] ?? ''), '0');
  });

  test('F-05 Redis wiped: its sessions are gone, nothing else is, and new ones begin', async () => {
    const [server, db] = [await fresh(), await databases.make()];
    const { newUser, begin, rotate, store } = await opened(server, db, { deadlineMs: 5_000 });
    const user = await newUser();
    const { id } = await begin(user);
    await server.command('FLUSHALL');
    assert.deepEqual(await rotate(user, id, 0), { kind: 'gone' });
    assert.deepEqual(await store.listByUser(user, 10), []);
    const next = await begin(user);
    assert.equal((await rotate(user, next.id, 0)).kind, 'won');
  });

  test('REV-02 what either knows is ended with the rest: sessions that Redis has lost, and those that only Redis has', async () => {
    const [server, db] = [await fresh(), await databases.make()];
    const { newUser, begin, endAll, rotate, redis } = await opened(server, db, { deadlineMs: 5_000 });
    for (const keepsOne of [true, false]) {
      const user = await newUser();
      const ids = [await begin(user), await begin(user), await begin(user)].map(({ id }) => id);
      const [kept = '', lost = '', only = ''] = ids;
      await server.command('DEL', redis.key('session', user, lost));
      await db.run({ name: 'test_forget_begun', text: 'delete from begun_sessions where id = $1' }, [only]);
      const keep = keepsOne ? kept : null;
      const ended = ids.filter((id) => id !== keep).toSorted();
      assert.deepEqual(await endAll(user, keep), ended);
      assert.deepEqual(await endAll(user, keep), []);
      assert.equal((await rotate(user, kept, 0)).kind, keepsOne ? 'won' : 'gone');
      assert.deepEqual(await rotate(user, only, 0), { kind: 'gone' });
      const [row] = await db.run<[string], { ids: readonly string[] }>(
        { name: 'test_begun', text: 'select array(select id::text from begun_sessions where user_id = $1) as ids' },
        [user],
      );
      assert.deepEqual(row?.ids, keepsOne ? [kept] : [], 'the rows of what has ended are gone');
    }
  });

  test('F-08 Redis frozen: what ends sessions works, everything else throws in time, and what ended stays so', async () => {
    const [server, db] = [await fresh(), await databases.make()];
    const { newUser, begin, rotate, end, endAll, store } = await opened(server, db);
    const [user, all] = [await newUser(), await newUser()];
    const [ended, lives] = [await begin(user), await begin(user)];
    const [byName, byAll] = [await begin(user), await begin(user)];
    const others = [await begin(all), await begin(all)];
    const begun = [ended, lives, byName, byAll].map(({ id }) => id);
    server.pause();
    assert.equal(await end(user, ended.id, true), ended.id);
    assert.equal(await end(user, byName.id, false), byName.id);
    assert.deepEqual(await endAll(user, lives.id), [byAll.id]);
    assert.deepEqual(await endAll(all, null), others.map(({ id }) => id).toSorted());
    const tries = [
      () => rotate(user, lives.id, 0),
      () => begin(user),
      () => store.find(user, lives.id),
      () => store.listByUser(user, 10),
      () => end(user, ended.id, false),
    ];
    for (const attempt of tries) {
      const began = performance.now();
      await assert.rejects(attempt, unavailable);
      assert.ok(performance.now() - began < besideOthers(1_000));
    }
    server.resume();
    await until('Redis is back', async () => (await rotate(user, lives.id, 0).catch(() => undefined)) !== undefined);
    assert.equal((await rotate(user, lives.id, 1)).kind, 'won');
    for (const { id } of [ended, byName, byAll]) assert.deepEqual(await rotate(user, id, 0), { kind: 'gone' });
    for (const { id } of others) assert.deepEqual(await rotate(all, id, 0), { kind: 'gone' });
    assert.deepEqual(
      (await store.listByUser(user, 10)).map(({ id }) => id).filter((id) => begun.includes(id)),
      [lives.id],
    );
    assert.deepEqual(await store.listByUser(all, 10), []);
  });

  test('a rotation that no replica has is no answer, and is taken back: the same token works again', async () => {
    const [server, db] = [await fresh(), await databases.make()];
    const replica = await fresh({ replicaof: `127.0.0.1 ${server.port}` });
    await until('the replica is in step', async () =>
      (await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    );
    const { newUser, begin, rotate, store } = await opened(server, db, { deadlineMs: 5_000 });
    const user = await newUser();
    const { id } = await repeated(() => begin(user));
    assert.equal((await repeated(() => rotate(user, id, 0))).kind, 'won');
    const before = (await store.listByUser(user, 10)).length;
    replica.pause();
    await assert.rejects(rotate(user, id, 1), unavailable);
    await assert.rejects(begin(user), unavailable);
    await assert.rejects(rotate(user, id, 0), unavailable, 'nor is a repeated answer given that only one server has');
    replica.resume();
    await until('the replica answers', async () =>
      (await server.command('INFO', 'replication')).includes('connected_slaves:1'),
    );
    const again = await repeated(() => rotate(user, id, 1));
    assert.ok(again.kind === 'won');
    assert.equal(again.session.counter, 2);
    assert.ok((await store.listByUser(user, 10)).length <= before + 1);
  });
});

test('F-04 a master of a Cluster is killed: no acknowledged session or rotation is lost, no ended one comes back', async () => {
  const cluster = await startCluster();
  try {
    const db = await databases.make();
    const { redis, store } = await openSessionStore({ address: clusterAddress(cluster), db, prefix: 't:' });
    open.push(redis);
    const { newUser, begin: beginOnce, rotate, end } = play({ store, db });
    const begin = (user: string) => repeated(() => beginOnce(user));
    const sessions = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const user = await newUser();
        return { user, id: (await begin(user)).id, acknowledged: 0 };
      }),
    );
    const ended = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const user = await newUser();
        const { id } = await begin(user);
        return { user, id };
      }),
    );
    let running = true;
    let rotations = 0;
    const clients = sessions.map(async (session) => {
      while (running) {
        try {
          const rotation = await rotate(session.user, session.id, session.acknowledged);
          assert.notEqual(rotation.kind, 'gone', 'a fault logs nobody out');
          if (rotation.kind === 'gone') return;
          // Won, or the answer to an earlier attempt that was refused: either tells of the successor.
          assert.equal(rotation.session.counter, session.acknowledged + 1);
          session.acknowledged = rotation.session.counter;
          rotations += 1;
        } catch (error) {
          if (!unavailable(error)) throw error;
        }
        await sleep(5);
      }
    });
    await until('rotations are under way', async () => rotations > 200);
    const master = await cluster.masterOf(redis.key('session', sessions[0]?.user ?? '', 'x'));
    const ends = ended.map(({ user, id }) => end(user, id, true).then(() => store.forget(user, [id])));
    await master.kill9();
    await Promise.all(ends);
    const atKill = rotations;
    await until(
      'every session rotates again',
      async () => {
        const counters = sessions.map(({ acknowledged }) => acknowledged);
        await sleep(200);
        return rotations > atKill && sessions.every(({ acknowledged }, index) => acknowledged > (counters[index] ?? 0));
      },
      120_000,
    );
    running = false;
    await Promise.all(clients);
    for (const { user, id, acknowledged } of sessions) {
      // The one before would win again if the store had lost the last rotation that was acknowledged.
      const rotation = await rotate(user, id, acknowledged - 1);
      assert.ok(rotation.kind === 'late', 'an acknowledged rotation is lost');
      assert.ok(rotation.session.counter >= acknowledged);
    }
    for (const { user, id } of ended) assert.deepEqual(await rotate(user, id, 0), { kind: 'gone' });
  } finally {
    await cluster.stop();
  }
});
