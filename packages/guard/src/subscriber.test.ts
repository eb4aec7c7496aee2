/** The subscriber's rules, one by one; tests/simulation drives them through thousands of schedules. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RevocationEntry } from '@auth-service/protocol';
import { createFreshness, createReplica, createSubscriber, type LedgerRead } from './index.ts';

function start() {
  const time = { monotonicMs: 5_000, wallMs: 1_000_000_000 };
  const replica = createReplica({ hashKey: new Uint8Array(16) });
  const freshness = createFreshness({
    monotonicNow: () => time.monotonicMs,
    wallNow: () => time.wallMs,
    maxStalenessMs: 10_000,
  });
  return { time, replica, freshness, subscriber: createSubscriber({ replica, freshness }) };
}

const entry = (subject: string, expires_at = 2_000_000): RevocationEntry => ({
  kind: 'session',
  subject,
  min_epoch: 0,
  expires_at,
});
const read = (change: Partial<LedgerRead> = {}): LedgerRead => ({
  storeEpoch: 'a',
  snapshot: '1:1:',
  entries: [],
  whole: false,
  ...change,
});

describe('the subscriber', () => {
  test('is not fresh until one whole load has succeeded, and then asks for what came since', () => {
    const { subscriber, freshness, replica } = start();
    const first = subscriber.begin();
    assert.deepEqual([first.whole, first.cursor, subscriber.state()], [true, null, 'unread']);
    assert.equal(subscriber.complete(first, read({ entries: [entry('s1')] })), 'load_whole');
    assert.equal(freshness.isFresh(), false);
    assert.equal(subscriber.begin().whole, true);
    assert.equal(subscriber.complete(subscriber.begin(), read({ whole: true, entries: [entry('s2')] })), 'confirmed');
    assert.equal(freshness.isFresh(), true);
    assert.deepEqual(subscriber.begin().cursor, { storeEpoch: 'a', snapshot: '1:1:' });
    assert.equal(subscriber.state(), 'following');
    assert.ok(replica.covers('session', 's1') && replica.covers('session', 's2'), 'rows are merged, never replaced');
  });

  test('an attempt that is never completed changes nothing', () => {
    const { subscriber, freshness, time } = start();
    subscriber.complete(subscriber.begin(), read({ whole: true }));
    time.monotonicMs += 5_000;
    subscriber.begin();
    assert.equal(freshness.lagMs(), 5_000);
    assert.deepEqual(subscriber.cursor(), { storeEpoch: 'a', snapshot: '1:1:' });
  });

  test('rows are applied before the cursor moves: a row that cannot be applied confirms nothing', () => {
    const { subscriber, freshness, replica, time } = start();
    subscriber.complete(subscriber.begin(), read({ whole: true }));
    time.monotonicMs += 9_000;
    const entries = [entry('s1'), { ...entry('s2'), kind: 'device' } as unknown as RevocationEntry];
    assert.throws(() => subscriber.complete(subscriber.begin(), read({ snapshot: '9:9:', entries })), TypeError);
    assert.equal(subscriber.cursor()?.snapshot, '1:1:');
    assert.equal(freshness.lagMs(), 9_000);
    assert.ok(replica.covers('session', 's1'));
  });

  test('another store epoch ends freshness at once, until the whole ledger was read and merged', () => {
    const { subscriber, freshness, replica, time } = start();
    subscriber.complete(subscriber.begin(), read({ whole: true, entries: [entry('old')] }));
    const overtaken = subscriber.begin();
    assert.equal(
      subscriber.complete(subscriber.begin(), read({ storeEpoch: 'b', entries: [entry('new')] })),
      'load_whole',
    );
    assert.equal(freshness.isFresh(), false);
    assert.equal(subscriber.complete(overtaken, read({ snapshot: '5:5:' })), 'superseded');
    assert.equal(freshness.isFresh(), false);
    assert.equal(subscriber.cursor(), null);
    time.monotonicMs += 1;
    const attempt = subscriber.begin();
    assert.equal(attempt.whole, true);
    assert.equal(subscriber.complete(attempt, read({ storeEpoch: 'b', whole: true })), 'confirmed');
    assert.equal(freshness.isFresh(), true);
    assert.ok(replica.covers('session', 'old') && replica.covers('session', 'new'));
  });

  test('a whole load under another epoch is taken as it is', () => {
    const { subscriber, freshness } = start();
    subscriber.complete(subscriber.begin(), read({ whole: true }));
    assert.equal(subscriber.complete(subscriber.begin(), read({ storeEpoch: 'b', whole: true })), 'confirmed');
    assert.equal(freshness.isFresh(), true);
    assert.equal(subscriber.cursor()?.storeEpoch, 'b');
  });

  test('after stop nothing vouches again, though rows on their way still count', () => {
    const { subscriber, freshness, replica } = start();
    subscriber.complete(subscriber.begin(), read({ whole: true }));
    const attempt = subscriber.begin();
    subscriber.stop();
    assert.equal(freshness.isFresh(), false);
    assert.equal(subscriber.complete(attempt, read({ entries: [entry('late')] })), 'superseded');
    assert.equal(subscriber.complete(subscriber.begin(), read({ whole: true })), 'superseded');
    assert.equal(freshness.isFresh(), false);
    assert.equal(subscriber.state(), 'stopped');
    assert.ok(replica.covers('session', 'late'));
  });

  test('a clock that ran ahead, swept and ran back makes it read the whole ledger again', () => {
    const { subscriber, freshness, replica, time } = start();
    const end = entry('s1', 1_000_100);
    subscriber.complete(subscriber.begin(), read({ whole: true, entries: [end] }));
    time.wallMs += 1_000_000;
    assert.equal(replica.sweep(time.wallMs / 1_000), 1);
    assert.equal(subscriber.begin().whole, false, 'while the clock is ahead nothing looks wrong');
    time.wallMs -= 1_000_000;
    const attempt = subscriber.begin();
    assert.equal(attempt.whole, true);
    assert.equal(freshness.isFresh(), false);
    assert.equal(subscriber.complete(attempt, read({ whole: true, entries: [end] })), 'confirmed');
    assert.ok(replica.covers('session', 's1') && freshness.isFresh());
    assert.equal(subscriber.begin().whole, false);
  });
});
