import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManualClock, createStoreClock } from './index.ts';

const hour = 3_600_000;

function setUp() {
  const machine = createManualClock();
  const store = createManualClock();
  const told: number[] = [];
  const storeClock = createStoreClock(machine, (skewMs) => told.push(skewMs));
  /** A reading that takes a while on the way. */
  const read = (roundTripMs = 0): void => {
    const sentMs = machine.monotonicMs();
    const storeMs = store.wallMs() + roundTripMs / 2;
    machine.advance(roundTripMs);
    store.advance(roundTripMs);
    storeClock.learn(storeMs, sentMs, machine.monotonicMs());
  };
  return { machine, store, told, storeClock, read };
}

describe('the clock of the store', () => {
  for (const step of [hour, -hour]) {
    test(`does not move when the wall clock of the machine steps by ${step / hour} h, and says so`, () => {
      const { machine, store, told, storeClock, read } = setUp();
      read();
      machine.setWallMs(machine.wallMs() + step);
      assert.equal(storeClock.clock.wallMs(), store.wallMs());
      read(20);
      assert.equal(storeClock.clock.wallMs(), store.wallMs());
      assert.deepEqual(told, [step]);
      machine.setWallMs(store.wallMs());
      read(20);
      assert.deepEqual(told, [step, 0]);
      assert.equal(storeClock.clock.wallMs(), store.wallMs());
    });
  }

  test('a machine that starts with a wrong clock believes the store from the first reading on', () => {
    const machine = createManualClock(1_800_000_000_000 + hour);
    const storeClock = createStoreClock(machine);
    storeClock.learn(1_800_000_000_000, machine.monotonicMs(), machine.monotonicMs());
    assert.equal(storeClock.clock.wallMs(), 1_800_000_000_000);
    machine.advance(5_000);
    assert.equal(storeClock.clock.wallMs(), 1_800_000_005_000);
  });

  test('follows a step of the store, and not the noise of the way to it', () => {
    const { machine, store, told, storeClock, read } = setUp();
    read(900);
    assert.equal(storeClock.clock.wallMs(), machine.wallMs());
    store.setWallMs(store.wallMs() + 300);
    read(900);
    assert.equal(storeClock.clock.wallMs(), machine.wallMs(), 'within the tolerance');
    store.setWallMs(store.wallMs() + hour);
    read(20);
    assert.equal(storeClock.clock.wallMs(), store.wallMs());
    assert.deepEqual(told, [-hour - 300]);
  });
});
