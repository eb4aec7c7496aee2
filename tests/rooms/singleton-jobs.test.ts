/** The jobs that run once in the cluster: what each of them does, and that it does nothing once its fence is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Held } from '../../packages/server/src/cluster/index.ts';
import { type Database, one, type Queryable, statement } from '../../packages/server/src/platform/database/index.ts';
import { jobNames, singletonJobs } from '../../packages/server/src/singletons.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, register } from './rooms.ts';

interface Counts {
  readonly sessions: number;
  readonly revocations: number;
  readonly lockouts: number;
  readonly nodes: number;
  readonly names: number;
  readonly keys: number;
}

const countAll = statement<[], Counts>(
  'test_jobs_count',
  `select (select count(*) from sessions) as sessions, (select count(*) from revocations) as revocations,
          (select count(*) from lockouts) as lockouts, (select count(*) from cluster_nodes) as nodes,
          (select count(*) from singletons) as names, (select count(*) from signing_keys) as keys`,
);
/** One of each that its job should take away, and a key whose successor is due. */
const leftOvers = `
  update sessions set expires_at = now() - interval '1 minute' where id = (select id from sessions order by id limit 1);
  insert into revocations (kind, subject, expires_at, reason) values ('session', 'x', now() - interval '1 hour', 'test');
  insert into lockouts (key, failures, updated_at) values ('\\x01', 1, now() - interval '1 day');
  insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until)
    values (gen_random_uuid(), 'gone', 'test', now(), now() - interval '1 day', now() - interval '1 day');
  insert into singletons (name, owner, lease_until) values ('a name', gen_random_uuid(), now() - interval '2 hours');
  update signing_keys set activates_at = activates_at - interval '2 hours';
`;

function heldWith(db: Database, holds: () => boolean): Held {
  const assertFence = async (_tx: Queryable): Promise<void> => {
    if (!holds()) throw new Error('the fence is lost');
  };
  const fenced: Queryable = {
    run: (what, params) =>
      db.transaction(async (tx) => {
        await assertFence(tx);
        return tx.run(what, params);
      }),
  };
  return { name: 'job', spec: {}, fence: 1, signal: new AbortController().signal, assertFence, fenced };
}

forEachStore('jobs that run once', (makeDatabase) => {
  test('F-36 each takes away what is its own, and writes nothing once its fence is lost', async () => {
    const db = await makeDatabase();
    const rooms = await openRooms(db, { variables: { KEY_ROTATION_INTERVAL: '3600' } });
    await register(rooms.core);
    await register(rooms.core);
    await db.execute(leftOvers);
    const jobs = singletonJobs(rooms.core);
    assert.deepEqual(
      jobs.map((job) => job.kind),
      [...jobNames],
    );
    const before = await one(db, countAll, []);
    assert.deepEqual(before, { sessions: 2, revocations: 1, lockouts: 1, nodes: 1, names: 1, keys: 1 });

    const readsOnly = new Set(['statistics']);
    for (const job of jobs) {
      const run = async () => job.run(heldWith(db, () => false));
      if (readsOnly.has(job.kind)) assert.deepEqual(await run(), { sessions: 1 });
      else await assert.rejects(run, /the fence is lost/, job.kind);
    }
    assert.deepEqual(await one(db, countAll, []), before, 'nothing was written');

    for (const job of jobs) await job.run(heldWith(db, () => true));
    const after = { sessions: 1, revocations: 0, lockouts: 0, nodes: 0, names: 0, keys: 2 };
    assert.deepEqual(await one(db, countAll, []), after);
    for (const job of jobs) await job.run(heldWith(db, () => true));
    assert.deepEqual(await one(db, countAll, []), after, 'a second run finds nothing to do');
    await rooms.stop();
  });
});
