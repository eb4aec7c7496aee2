import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createDrain } from './drain.ts';
import { createManualClock } from './platform/time/index.ts';

function begin(seconds: number | 'auto') {
  const clock = createManualClock();
  const drain = createDrain({ seconds, clock, timers: clock });
  let isOver = false;
  return {
    drain,
    isOver: () => isOver,
    wait: () => {
      void drain.wait().then(() => {
        isOver = true;
      });
    },
    async pass(ms: number) {
      // Timers that are set by what an earlier one began.
      for (let left = ms; left > 0; left -= 50) {
        clock.advance(Math.min(50, left));
        await Promise.resolve();
        await Promise.resolve();
      }
    },
    async ask(peers: readonly string[], ready: boolean, times: number, everyMs: number) {
      for (let at = 0; at < times; at += 1) {
        for (const peer of peers) drain.asked(peer, ready);
        await this.pass(everyMs);
      }
    },
  };
}

describe('the drain', () => {
  test('a node that nobody watches ends at once, also when somebody has looked now and then', async () => {
    const node = begin('auto');
    await node.ask(['a'], true, 5, 30_000);
    node.wait();
    await Promise.resolve();
    await Promise.resolve();
    assert.ok(node.isOver());
  });

  test('who keeps asking is told three times, each of them', async () => {
    const node = begin('auto');
    await node.ask(['a', 'b'], true, 5, 2_000);
    node.wait();
    await node.ask(['a', 'b'], false, 2, 2_000);
    await node.ask(['a'], false, 3, 2_000);
    assert.ok(!node.isOver(), 'b was told twice');
    node.drain.asked('b', false);
    assert.ok(!node.isOver(), 'requests on their way have a moment');
    await node.pass(300);
    assert.ok(node.isOver());
  });

  test('refusals from before the end do not count, and one who asks no more is not waited for without end', async () => {
    const node = begin('auto');
    await node.ask(['a'], false, 5, 2_000);
    node.wait();
    await node.pass(14_500);
    assert.ok(!node.isOver());
    await node.pass(1_000);
    assert.ok(node.isOver());
  });

  test('a number of seconds is waited as it is, whoever asks', async () => {
    const node = begin(5);
    node.wait();
    await node.ask(['a'], false, 4, 1_000);
    assert.ok(!node.isOver());
    await node.pass(1_100);
    assert.ok(node.isOver());
  });

  test('memory is bounded, whoever asks', async () => {
    const node = begin('auto');
    for (let peer = 0; peer < 10_000; peer += 1) node.drain.asked(`peer ${peer}`, true);
    await node.ask(['last'], true, 3, 100);
    node.wait();
    await node.ask(['last'], false, 3, 100);
    await node.pass(300);
    assert.ok(node.isOver());
  });
});
