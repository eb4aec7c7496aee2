/** Freshness fails closed: whatever is doubtful is stale. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createFreshness } from './index.ts';

const maxStalenessMs = 10_000;

function start() {
  const time = { monotonicMs: 5_000, wallMs: 1_000_000 };
  const freshness = createFreshness({
    monotonicNow: () => time.monotonicMs,
    wallNow: () => time.wallMs,
    maxStalenessMs,
  });
  return { time, freshness };
}

describe('freshness', () => {
  test('is not there before the first confirmation', () => {
    const { freshness } = start();
    assert.equal(freshness.isFresh(), false);
    assert.equal(freshness.lagMs(), Number.POSITIVE_INFINITY);
  });

  test('counts from before the request was sent, however late the answer', () => {
    const { time, freshness } = start();
    const sent = freshness.moment();
    time.monotonicMs += 9_000;
    freshness.confirm(sent.monotonicMs, sent.wallMs);
    assert.equal(freshness.lagMs(), 9_000);
    time.monotonicMs += 999;
    assert.equal(freshness.isFresh(), true);
    time.monotonicMs += 1;
    assert.equal(freshness.isFresh(), false);
  });

  test('an answer that comes after the bound proves nothing any more', () => {
    const { time, freshness } = start();
    const sent = freshness.moment();
    time.monotonicMs += maxStalenessMs;
    freshness.confirm(sent.monotonicMs, sent.wallMs);
    assert.equal(freshness.isFresh(), false);
  });

  test('ends when the machine was suspended and only the wall clock went on', () => {
    const { time, freshness } = start();
    const sent = freshness.moment();
    freshness.confirm(sent.monotonicMs, sent.wallMs);
    time.wallMs += maxStalenessMs;
    assert.equal(freshness.isFresh(), false);
  });

  test('a wall clock that is set back does not lengthen it', () => {
    const { time, freshness } = start();
    const sent = freshness.moment();
    freshness.confirm(sent.monotonicMs, sent.wallMs);
    time.wallMs -= 3_600_000;
    assert.equal(freshness.isFresh(), true);
    time.monotonicMs += maxStalenessMs;
    assert.equal(freshness.isFresh(), false);
  });

  test('an older confirmation that comes late takes nothing away', () => {
    const { time, freshness } = start();
    const first = freshness.moment();
    time.monotonicMs += 100;
    const second = freshness.moment();
    freshness.confirm(second.monotonicMs, second.wallMs);
    freshness.confirm(first.monotonicMs, first.wallMs);
    assert.equal(freshness.lagMs(), 0);
  });

  test('after an invalidation only what was sent later confirms', () => {
    const { time, freshness } = start();
    const before = freshness.moment();
    freshness.confirm(before.monotonicMs, before.wallMs);
    time.monotonicMs += 10;
    freshness.invalidate();
    assert.equal(freshness.isFresh(), false);
    freshness.confirm(before.monotonicMs, before.wallMs);
    assert.equal(freshness.isFresh(), false);
    const after = freshness.moment();
    freshness.confirm(after.monotonicMs, after.wallMs);
    assert.equal(freshness.isFresh(), true);
  });

  test('a monotonic clock that runs back, and values that are no numbers, are stale', () => {
    const { time, freshness } = start();
    freshness.confirm(Number.NaN, 0);
    assert.equal(freshness.isFresh(), false);
    const sent = freshness.moment();
    freshness.confirm(sent.monotonicMs, sent.wallMs);
    time.monotonicMs -= 1;
    assert.equal(freshness.isFresh(), false);
    time.monotonicMs = Number.NaN;
    assert.equal(freshness.isFresh(), false);
  });

  test('a bound that is none is refused', () => {
    for (const wrong of [0, -1, Number.NaN]) {
      const settings = { monotonicNow: () => 0, wallNow: () => 0, maxStalenessMs: wrong };
      assert.throws(() => createFreshness(settings), TypeError);
    }
  });
});
