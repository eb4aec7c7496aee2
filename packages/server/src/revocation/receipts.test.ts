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
  assert.equal((await barrier.wait('1')).pending.length, 1);
  const first = waits.length;
  assert.ok(first > 10);
  assert.equal((await barrier.wait('2')).pending.length, 1);
  assert.equal(waits.length, first, 'nobody waits for a silent node');

  confirmed.add('1');
  whileWaiting(() => confirmed.add('3'));
  assert.equal((await barrier.wait('3')).pending.length, 0, 'it answers again, so it is given the time to');
  assert.ok(waits.length > first);
});
