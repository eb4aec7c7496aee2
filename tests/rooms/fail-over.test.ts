/**
 * A fail-over that lost commits: what a node still holds comes back, and no receipt says "everywhere" while leases may be
 * lost. First with a store whose history is exchanged under the nodes, then with PostgreSQL's own replication.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  checkPostgresSettings,
  type Database,
  openPostgres,
  statement,
} from '../../packages/server/src/platform/database/index.ts';
import { startPostgres, startStandby } from '../support/postgres.ts';
import { forEachStore } from '../support/stores.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { openRooms, origin, type Rooms, register } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
const variables = { REVOCATION_MAX_STALENESS: '2', REVOCATION_ACK_TIMEOUT: '300' };
const countLedger = statement<[string], { found: number }>(
  'test_fail_over_count',
  'select count(*) as found from revocations where subject = $1',
);

/** Another timeline, on which the last commits never happened: the ledger's, and the leases. */
const failOver = (timeline: string): string => `
  create or replace function store_epoch() returns text language sql stable as $$
    select (select value from store_meta where key = 'store_id') || '/${timeline}/1' $$;
  delete from revocations; delete from cluster_nodes;`;

async function end(rooms: Rooms, user: { user: { id: string }; session_id: string }) {
  const pending = await rooms.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
  assert.ok(pending);
  return { pending, receipt: await rooms.core.revocation.settle(pending, user.user.id) };
}

const isRefused = (rooms: Rooms, token: string): boolean => {
  const verdict = rooms.core.validate(token, {});
  return verdict !== 'stale' && !verdict.valid && verdict.reason === 'revoked';
};

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !(await holds()); await sleep(10)) {
    assert.ok(performance.now() < end, `in vain: ${holds}`);
  }
}

forEachStore('fail-over', (makeDatabase) => {
  const found = async (db: Database, subject: string): Promise<number> =>
    (await db.run(countLedger, [subject]))[0]?.found ?? -1;

  test('F-07 what a node still holds of a lost ledger is written back once, with its expiry, before it vouches again', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret });
    const user = await register(a.core);
    await end(a, user);
    const [held] = [...a.core.replica.entries()].filter((entry) => entry.subject === user.session_id);
    await db.execute(failOver('000000F2'));
    a.core.beat?.nudge();
    await until(async () => (await found(db, user.session_id)) > 0);
    await until(() => a.core.freshness.isFresh());

    // A node that was not there learns it from the ledger, and nothing was written back that the ledger has.
    const b = await openRooms(db, { name: 'b', rootSecret });
    assert.ok(isRefused(b, user.access_token));
    const [there] = [...b.core.replica.entries()].filter((entry) => entry.subject === user.session_id);
    assert.deepEqual(there, held);
    await db.execute(failOver('000000F3').replace('delete from revocations;', ''));
    for (const node of [a, b]) node.core.beat?.nudge();
    await until(() => [a, b].every((node) => node.core.beat?.cursor()?.storeEpoch.includes('000000F3')));
    assert.equal(await found(db, user.session_id), 1);
    await a.stop();
    await b.stop();
  });

  test('F-07 a node that starts after a fail-over says "everywhere" only when the leases that it lost have ended', async () => {
    const db = await makeDatabase();
    const before = await openRooms(db, { name: 'before', rootSecret, variables });
    const vouching = await openRooms(db, { name: 'vouching', rootSecret, variables });
    const user = await register(before.core);
    // It is frozen with its proof in hand; its lease is lost, and whoever could remember the fail-over ends.
    await before.stop();
    await vouching.core.beat?.stop({ keepLease: true });
    await db.execute(failOver('000000F2'));

    const after = await openRooms(db, { name: 'after', rootSecret, variables });
    const { receipt } = await end(after, user);
    assert.equal(receipt.effective_everywhere, false);
    assert.deepEqual(receipt.pending_nodes, []);
    assert.ok(Date.parse(receipt.effective_by) > Date.now() + 1_000);
    const standing = async () => (await after.core.revocation.standing(receipt.position))?.receipt;
    await until(async () => (await standing())?.effective_everywhere === true);
    assert.ok(Date.now() >= Date.parse(receipt.effective_by) - 50);

    // The command line, which has no beat, and a node whose beat is started anew, see it as well.
    const commandLine = await openRooms(db, { rootSecret, variables });
    const [other, third] = [await register(commandLine.core), await register(after.core)];
    await db.execute(failOver('000000F3'));
    assert.equal((await end(commandLine, other)).receipt.effective_everywhere, false);
    await after.core.beat?.stop();
    await after.core.beat?.start(() => undefined);
    assert.equal((await end(after, third)).receipt.effective_everywhere, false);
    await after.stop();
    await commandLine.stop();
    await vouching.stop();
  });

  test('F-07 leases that were read from another history than the commit prove nothing, and neither does its position', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret });
    const user = await register(a.core);
    const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    assert.ok(pending);
    await db.execute(failOver('000000F2'));
    const receipt = await a.core.revocation.settle(pending, user.user.id);
    assert.equal(receipt.effective_everywhere, false);
    assert.equal(await a.core.revocation.standing(receipt.position), undefined);
    await a.stop();
  });
});

/** Nodes on one address, behind which the primary is exchanged. */
async function replicated(synchronous: boolean) {
  const primary = await startPostgres({ fsync: false });
  const url = await primary.createDatabase();
  const standby = await startStandby(primary, { fsync: false });
  if (synchronous) {
    await primary.query(`alter system set synchronous_standby_names = '*'`);
    await primary.query('select pg_reload_conf()');
  }
  const wanted = synchronous ? 'sync' : 'async';
  const state = async () => (await primary.query('select sync_state from pg_stat_replication'))[0]?.['sync_state'];
  await until(async () => (await state()) === wanted);
  const address = await startTcpProxy(primary.port);
  const connection = url.replace(`:${primary.port}/`, `:${address.port}/`);
  const open: Database[] = [];
  return {
    primary,
    standby,
    database: new URL(url).pathname.slice(1),
    async openDatabase(): Promise<Database> {
      const patience = { statementTimeoutMs: 10_000, transactionTimeoutMs: 20_000, connectTimeoutMs: 10_000 };
      const db = await openPostgres({ connection, ...patience });
      open.push(db);
      return db;
    },
    async failOver(): Promise<void> {
      await primary.kill9();
      await standby.promote();
      address.redirect(standby.port);
    },
    async stop(): Promise<void> {
      await Promise.all(open.map((db) => db.close()));
      await address.close();
      await Promise.all([primary.stop(), standby.stop()]);
    },
  };
}

const timelineOf = (rooms: Rooms): string => rooms.core.beat?.cursor()?.storeEpoch.split('/')[1] ?? '';

describe('fail-over to a replica of PostgreSQL', () => {
  test('F-07 asynchronous, commits lost: what nodes hold stays in force and comes back, and receipts are quiet', async () => {
    const bed = await replicated(false);
    assert.match((await checkPostgresSettings(await bed.openDatabase())).warnings.join(), /asynchronous/);
    const a = await openRooms(await bed.openDatabase(), { name: 'a', rootSecret, variables });
    const b = await openRooms(await bed.openDatabase(), { name: 'b', rootSecret, variables });
    const users = await Promise.all(Array.from({ length: 20 }, () => register(a.core)));
    const epochBefore = timelineOf(a);
    const replayed = async () =>
      (await bed.primary.query('select pg_current_wal_lsn() <= replay_lsn as all from pg_stat_replication'))[0]?.[
        'all'
      ];
    await until(async () => (await replayed()) === true);
    await bed.standby.detach();
    const receipts = [];
    for (const user of users) receipts.push((await end(a, user)).receipt);
    assert.ok(receipts.every((receipt) => receipt.effective_everywhere));
    await bed.failOver();

    await until(() => [a, b].every((node) => timelineOf(node) > epochBefore && node.core.freshness.isFresh()));
    for (const node of [a, b]) {
      assert.ok(
        users.every((user) => isRefused(node, user.access_token)),
        'what was acknowledged is in force',
      );
    }
    // A node that was not there learns what the store had lost; the first that beat may have written while it read.
    const c = await openRooms(await bed.openDatabase(), { name: 'c', rootSecret, variables });
    const [first] = users;
    assert.ok(first);
    assert.ok(users.every((user) => isRefused(c, user.access_token)));
    for (const node of [a, c]) {
      const { receipt } = await end(node, await register(node.core));
      assert.equal(receipt.effective_everywhere, false);
      assert.ok(Date.parse(receipt.effective_by) > Date.now());
    }
    // The quiet time ends by itself.
    await until(async () => (await end(c, await register(c.core))).receipt.effective_everywhere);
    for (const node of [a, b, c]) await node.stop();
    await bed.stop();
  });

  test('F-07 synchronous: nothing that was answered is lost', async () => {
    const bed = await replicated(true);
    const a = await openRooms(await bed.openDatabase(), { name: 'a', rootSecret, variables });
    const user = await register(a.core);
    const { receipt } = await end(a, user);
    assert.equal(receipt.effective_everywhere, true);
    await bed.failOver();
    await until(() => timelineOf(a) === '00000002');
    const b = await openRooms(await bed.openDatabase(), { name: 'b', rootSecret, variables });
    assert.ok(isRefused(b, user.access_token));
    const rows = await bed.standby.query(
      `select reason from revocations where subject = '${user.session_id}'`,
      bed.standby.url.replace('/postgres?', `/${bed.database}?`),
    );
    assert.deepEqual(rows, [{ reason: 'logout' }], 'nothing had to be written back');
    await a.stop();
    await b.stop();
    await bed.stop();
  });
});
