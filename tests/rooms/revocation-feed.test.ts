/** The revocation feed: nothing is missed, whoever is asked and however long nobody asked. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { Core } from '../../packages/server/src/core.ts';
import { type Database, statement } from '../../packages/server/src/platform/database/index.ts';
import type { NewRevocation } from '../../packages/server/src/revocation/index.ts';
import { until } from '../support/service.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
const otherStore = statement<[], never>(
  'test_feed_other_store',
  `update store_meta set value = gen_random_uuid()::text where key = 'store_id'`,
);

const entryOf = (subject: string): NewRevocation => ({ kind: 'session', subject, reason: 'test', actor: 'test' });

async function revoke(core: Core, ...subjects: readonly string[]): Promise<void> {
  const pending = await core.db.transaction((tx) => core.revocation.append(tx, subjects.map(entryOf)));
  core.revocation.applyOnly(pending);
}

/** Of a service that follows the feed. */
function createFollower(known = new Set<string>()) {
  let cursor: string | undefined;
  let sets = { whole: 0, diff: 0 };
  return {
    known,
    sets: () => sets,
    cursor: () => cursor,
    async ask(core: Core, waitMs = 0): Promise<void> {
      for (;;) {
        const found = await core.feed.wait(cursor, waitMs);
        if (found.kind !== 'answer') throw new Error(found.kind);
        for (const entry of found.entries) {
          assert.equal(Object.keys(entry).length, 4, 'nothing but an entry');
          known.add(entry.subject);
        }
        cursor = found.cursor;
        sets = found.whole ? { ...sets, whole: sets.whole + 1 } : { ...sets, diff: sets.diff + 1 };
        if (!found.more) return;
      }
    },
  };
}

const open = (db: Database, name: string) => openRooms(db, { rootSecret, name });

forEachStore('the revocation feed', (makeDatabase, kind) => {
  test('tells the live ledger first, then what came since, from memory', async () => {
    const { core, stop } = await open(await makeDatabase(), 'a');
    const before = randomUUID();
    await revoke(core, before);
    const follower = createFollower();
    await follower.ask(core);
    assert.deepEqual([...follower.known], [before]);
    for (let round = 0; round < 5; round += 1) {
      const subject = randomUUID();
      await revoke(core, subject);
      core.beat?.nudge();
      await until('it is told', async () => {
        await follower.ask(core);
        return follower.known.has(subject);
      });
    }
    assert.equal(follower.sets().whole, 1);
    assert.equal(core.feed.figures().ledger, 1, 'the ledger was asked once');
    await stop();
  });

  test('a cursor of one node goes on at another, and at one that has just started', async () => {
    const db = await makeDatabase();
    const a = await open(db, 'a');
    const b = await open(db, 'b');
    const follower = createFollower();
    const told: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      const subjects = [randomUUID(), randomUUID()];
      told.push(...subjects);
      await revoke(round % 3 === 0 ? a.core : b.core, ...subjects);
      await follower.ask(round % 2 === 0 ? a.core : b.core);
    }
    await a.stop();
    await b.stop();
    const c = await open(db, 'c');
    await follower.ask(c.core);
    assert.deepEqual(
      told.filter((subject) => !follower.known.has(subject)),
      [],
    );
    assert.equal(follower.sets().whole, 1, 'everything after the first load came as a difference');
    await c.stop();
  });

  test('who waits is told by the message, before the ledger is read, and once more with a cursor', async () => {
    const { core, stop } = await open(await makeDatabase(), 'a');
    const follower = createFollower();
    await follower.ask(core);
    const asking = follower.ask(core, 20_000);
    await until('it waits', async () => core.feed.listeners() === 1);
    const subject = randomUUID();
    core.replica.apply({ kind: 'session', subject, min_epoch: 0, expires_at: Date.now() / 1_000 + 600 });
    await asking;
    assert.ok(follower.known.has(subject));
    assert.equal(core.feed.listeners(), 0);
    await stop();
  });

  test('a wait without news ends with a cursor and nothing else', async () => {
    const { core, stop } = await open(await makeDatabase(), 'a');
    const first = await core.feed.wait(undefined, 0);
    assert.ok(first.kind === 'answer');
    const next = await core.feed.wait(first.cursor, 50);
    assert.ok(next.kind === 'answer');
    assert.deepEqual([next.whole, next.entries, next.more], [false, [], false]);
    await stop();
  });

  test('what is no cursor of the feed is told so', async () => {
    const db = await makeDatabase();
    const { core, stop } = await open(db, 'a');
    const first = await core.feed.read(undefined);
    assert.ok(first.kind === 'answer');
    for (const wrong of ['x', `${first.cursor}x`, first.cursor.slice(1), 'A'.repeat(4_000)]) {
      assert.equal((await core.feed.read(wrong)).kind, 'unknown_cursor');
    }
    await stop();
  });

  test('a cursor of another history, or too far behind, is answered by the whole ledger in pages', async () => {
    const db = await makeDatabase();
    const { core, stop } = await open(db, 'a');
    const follower = createFollower();
    await follower.ask(core);
    await core.beat?.stop();
    const many = Array.from({ length: 12_001 }, () => randomUUID());
    await core.db.transaction((tx) => core.revocation.append(tx, many.map(entryOf)));
    await core.beat?.start(() => undefined);
    await follower.ask(core);
    assert.deepEqual(
      many.filter((subject) => !follower.known.has(subject)),
      [],
    );
    assert.equal(follower.sets().whole, 1 + 3);
    await db.run(otherStore, []);
    const late = randomUUID();
    await revoke(core, late);
    const before = follower.sets().whole;
    await until('the change of history is seen', async () => {
      core.beat?.nudge();
      await follower.ask(core).catch(() => undefined);
      return follower.known.has(late) && follower.sets().whole > before;
    });
    await stop();
  });

  test('a node that cannot vouch tells nothing', async () => {
    const { core, stop } = await open(await makeDatabase(), 'a');
    const first = await core.feed.read(undefined);
    assert.ok(first.kind === 'answer' && first.ageMs >= 0);
    await core.beat?.stop();
    assert.equal((await core.feed.read(first.cursor)).kind, 'stale');
    assert.equal((await core.feed.read(undefined)).kind, 'stale');
    await stop();
  });

  if (kind === 'postgres') {
    test('REV-05 transactions that commit in another order than they began are all told, under many writers', async () => {
      const db = await makeDatabase();
      const a = await open(db, 'a');
      const b = await open(db, 'b');
      const told: string[] = [];
      let writing = true;
      const followers = [createFollower(), createFollower()];
      const following = followers.map(async (follower, at) => {
        for (let round = 0; writing || round === 0; round += 1) {
          await follower.ask((round + at) % 2 === 0 ? a.core : b.core, 20);
        }
      });
      const writers = Array.from({ length: 6 }, async (_, writer) => {
        for (let round = 0; round < 30; round += 1) {
          const subject = randomUUID();
          await db.transaction(async (tx) => {
            await a.core.revocation.append(tx, [entryOf(subject)]);
            // Held open for a while, by some: others that began later commit before.
            if ((writer + round) % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 15));
          });
          told.push(subject);
        }
      });
      await Promise.all(writers);
      writing = false;
      await Promise.all(following);
      for (const follower of followers) {
        await until('everything is told', async () => {
          await follower.ask(a.core);
          return told.every((subject) => follower.known.has(subject));
        });
        assert.equal(follower.sets().whole, 1);
      }
      await a.stop();
      await b.stop();
    });
  }
});
