import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManualClock, systemClock, systemTimers } from './index.ts';

describe('the manual clock', () => {
  test('runs timers in the order of their moments, each at its own moment', () => {
    const clock = createManualClock(1_000);
    const seen: [string, number, number][] = [];
    const note = (name: string) => () => seen.push([name, clock.monotonicMs(), clock.wallMs()]);
    clock.after(20, note('late'));
    clock.after(10, note('early'));
    clock.after(10, note('early too'));
    clock.advance(15);
    assert.deepEqual(seen, [
      ['early', 10, 1_010],
      ['early too', 10, 1_010],
    ]);
    clock.advance(5);
    assert.deepEqual(seen.at(-1), ['late', 20, 1_020]);
    assert.equal(clock.pending(), 0);
  });

  test('runs within one advance what a timer sets while it runs', () => {
    const clock = createManualClock();
    let runs = 0;
    const again = (): void => {
      runs += 1;
      clock.after(10, again);
    };
    clock.after(10, again);
    clock.advance(35);
    assert.equal(runs, 3);
  });

  test('a timer that was called off does not run', () => {
    const clock = createManualClock();
    const cancel = clock.after(5, () => assert.fail('it ran'));
    cancel();
    cancel();
    clock.advance(10);
    assert.equal(clock.pending(), 0);
  });

  test('a step of the wall clock leaves the monotonic one alone', () => {
    const clock = createManualClock(1_000_000);
    clock.advance(5);
    clock.setWallMs(0);
    assert.equal(clock.wallMs(), 0);
    assert.equal(clock.monotonicMs(), 5);
  });
});

test("the system's monotonic clock does not go back, and its timers fire once", async () => {
  const before = systemClock.monotonicMs();
  await new Promise<void>((resolve) => systemTimers.after(-5, resolve));
  assert.ok(systemClock.monotonicMs() >= before);
  systemTimers.after(0, () => assert.fail('it was called off'))();
});
