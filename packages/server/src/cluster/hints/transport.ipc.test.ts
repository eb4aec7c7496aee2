import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManualClock } from '../../platform/time/index.ts';
import { type Channel, createChannel, relayFor } from '../../platform/workers/index.ts';
import { linkPorts } from '../../platform/workers/testing.ts';
import { createIpcTransport } from './transport.ipc.ts';

/** So many workers and what their primary does between them. */
function workers(count: number) {
  const clock = createManualClock();
  const near = new Set<Channel>();
  const names = new WeakMap<Channel, string>();
  return Array.from({ length: count }, (_, at) => {
    const [primaryEnd, workerEnd] = linkPorts();
    const own = createChannel(primaryEnd, { timers: clock });
    near.add(own);
    relayFor(own, () => near, names);
    const channel = createChannel(workerEnd, { timers: clock });
    const heard: string[] = [];
    const transport = createIpcTransport({ channel, incarnation: `w${at}` });
    const start = (): Promise<void> =>
      transport.start((from, text) => {
        heard.push(`${from}: ${text}`);
      });
    return { transport, channel, heard, start };
  });
}

const turns = async (): Promise<void> => {
  for (let at = 0; at < 20; at += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('hints between workers', () => {
  test('reach every other worker, and an answer the one that it is for', async () => {
    const all = workers(4);
    for (const { start } of all) await start();
    all[0]?.transport.broadcast('hint');
    await turns();
    assert.deepEqual(
      all.map(({ heard }) => heard),
      [[], ['w0: hint'], ['w0: hint'], ['w0: hint']],
    );
    all[2]?.transport.sendTo('w0', 'known');
    await turns();
    assert.deepEqual(all[0]?.heard, ['w2: known']);
    assert.ok([1, 2, 3].every((at) => all[at]?.heard.length === 1));
  });

  test('one that has not spoken yet is reached, and nobody else hears what is for it', async () => {
    const [a, b, c] = workers(3);
    for (const one of [a, b, c]) await one?.start();
    a?.transport.sendTo('w1', 'for b');
    await turns();
    assert.deepEqual([a?.heard, b?.heard, c?.heard], [[], ['w0: for b'], []]);
  });

  test('what is too long, no hint, or comes after the stop is dropped', async () => {
    const [a, b] = workers(2);
    await a?.start();
    await b?.start();
    a?.transport.broadcast('x'.repeat(64 * 1024 + 1));
    a?.channel.cast('relay', 'no hint');
    a?.channel.cast('relay', { from: 1, to: null, text: 'no name' });
    await turns();
    assert.deepEqual(b?.heard, []);
    await b?.transport.stop();
    a?.transport.broadcast('late');
    await a?.transport.stop();
    a?.transport.broadcast('later');
    await turns();
    assert.deepEqual(b?.heard, []);
    await b?.start();
    b?.transport.broadcast('again');
    await turns();
    await a?.start();
    b?.transport.broadcast('and again');
    await turns();
    assert.deepEqual(a?.heard, ['w1: and again']);
  });
});
