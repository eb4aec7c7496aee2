import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../platform/database/index.ts';
import { createManualClock } from '../platform/time/index.ts';
import { createBarrier } from './receipts.ts';

/** A store in which one other node lives, and confirms what the test says. */
function createBench() {
  const clock = createManualClock();
  const confirmed = new Set<string>();
  const db = {
    run: async (_statement: unknown, [xids]: [readonly string[]]) => [
      {
        incarnation: 'other',
        name: 'other',
        vouches_until: new Date(0),
        store_epoch: 's/1/1',
        timeline_age_ms: 1e9,
        confirmed_xids: xids.filter((xid) => confirmed.has(xid)),
      },
    ],
  } as unknown as Database;
  const waits: number[] = [];
  let onSleep = (): void => undefined;
  const barrier = createBarrier({
    db,
    clock,
    ackTimeoutMs: 1_000,
    ownIncarnation: 'own',
    ownCursor: () => null,
    sleep: async (ms) => {
      waits.push(ms);
      clock.advance(ms);
      onSleep();
    },
  });
  return {
    barrier,
    confirmed,
    waits,
    whileWaiting: (work: () => void) => {
      onSleep = work;
    },
  };
}

test('a node that let one wait run out is waited for by nobody, until it has caught up; then it is again', async () => {
  const { barrier, confirmed, waits, whileWaiting } = createBench();
  assert.equal((await barrier.wait('1', 'epoch')).pending.length, 1);
  const first = waits.length;
  assert.ok(first > 10);
  assert.equal((await barrier.wait('2', 'epoch')).pending.length, 1);
  assert.equal(waits.length, first, 'nobody waits for a silent node');

  confirmed.add('1');
  whileWaiting(() => confirmed.add('3'));
  assert.equal((await barrier.wait('3', 'epoch')).pending.length, 0, 'it answers again, so it is given the time to');
  assert.ok(waits.length > first);
});

test('an acknowledgement by message ends the wait at once, without another read of the leases', async () => {
  const { barrier, waits } = createBench();
  barrier.acknowledged('other', '1', 'epoch');
  assert.deepEqual((await barrier.wait('1', 'epoch')).pending, []);
  assert.equal(waits.length, 0);
  assert.deepEqual((await barrier.stand('1', 'epoch')).pending, []);
});

test('one that comes while the revoker sleeps wakes it', async () => {
  let reads = 0;
  const db = {
    run: async () => {
      reads += 1;
      return ['b', 'c'].map((incarnation) => ({
        ...{ incarnation, name: incarnation, vouches_until: new Date(0), confirmed_xids: [] },
        ...{ store_epoch: 's/1/1', timeline_age_ms: 1e9 },
      }));
    },
  } as unknown as Database;
  const { promise: asleep, resolve: fallAsleep } = Promise.withResolvers<void>();
  const barrier = createBarrier({
    ...{ db, clock: createManualClock(), ackTimeoutMs: 1_000, ownIncarnation: 'own', ownCursor: () => null },
    sleep: () => {
      fallAsleep();
      return new Promise(() => undefined);
    },
  });
  const waiting = barrier.wait('7', 'epoch');
  await asleep;
  barrier.acknowledged('b', '7', 'epoch');
  barrier.acknowledged('c', '8', 'epoch');
  barrier.acknowledged('c', '7', 'another epoch');
  assert.equal(await Promise.race([waiting, new Promise((resolve) => setImmediate(() => resolve('waits')))]), 'waits');
  barrier.acknowledged('c', '7', 'epoch');
  const standing = await waiting;
  assert.deepEqual([standing.pending.length, standing.acknowledged, reads], [0, 2, 1]);
});

test('an acknowledgement counts for the history that it was given in: ids repeat after commits were lost', async () => {
  const { barrier, waits } = createBench();
  barrier.acknowledged('other', '1', 'before the fail-over');
  assert.equal((await barrier.wait('1', 'epoch')).pending.length, 1);
  assert.ok(waits.length > 0);
});
