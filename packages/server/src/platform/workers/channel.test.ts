import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManualClock } from '../time/index.ts';
import { createChannel } from './channel.ts';
import { linkPorts } from './testing.ts';

function link() {
  const clock = createManualClock();
  const [portA, portB] = linkPorts();
  return {
    clock,
    portA,
    portB,
    a: createChannel(portA, { timers: clock }),
    b: createChannel(portB, { timers: clock }),
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the channel between two processes', () => {
  test('casts arrive in order, and asks get their own answers, whenever those come', async () => {
    const { a, b } = link();
    const seen: unknown[] = [];
    b.on('note', (body) => {
      seen.push(body);
    });
    const slow = Promise.withResolvers<string>();
    b.on('double', (body) => (body === 1 ? slow.promise : Number(body) * 2));
    const first = a.ask('double', 1, 1_000);
    const second = a.ask('double', 21, 1_000);
    for (let at = 0; at < 100; at += 1) a.cast('note', at);
    assert.equal(await second, 42);
    slow.resolve('late');
    assert.equal(await first, 'late');
    assert.deepEqual(
      seen,
      Array.from({ length: 100 }, (_, at) => at),
    );
  });

  test('an ask is refused when its handler throws or rejects, when nobody handles it, and when its time is over', async () => {
    const { a, b, portA, clock } = link();
    b.on('throws', () => {
      throw new Error('secret words');
    });
    b.on('rejects', () => Promise.reject(new Error('secret words')));
    for (const topic of ['throws', 'rejects', 'unknown']) {
      await assert.rejects(a.ask(topic, null, 1_000), { message: 'the other process refused' });
    }
    portA.hold(true);
    const late = assert.rejects(a.ask('throws', null, 250), /no answer to throws in 250 ms/);
    clock.advance(250);
    await late;
    assert.equal(clock.pending(), 0, 'no timer stays');
    portA.hold(false);
    await turn();
  });

  test('what is said while the channel is busy travels together', async () => {
    const { a, b, portA, portB } = link();
    let messages = 0;
    portB.onMessage(() => {
      messages += 1;
    });
    portA.hold(true);
    a.cast('x', 0);
    await turn();
    for (let at = 1; at <= 500; at += 1) a.cast('x', at);
    assert.equal(portA.held(), 1, 'one is on its way, the others wait');
    const seen: unknown[] = [];
    b.on('x', (body) => {
      seen.push(body);
    });
    portA.hold(false);
    await turn();
    assert.equal(seen.length, 501);
    assert.equal(messages, 2);
  });

  test('an end that does not read costs bounded memory: what does not fit is dropped, and asks fail at once', async () => {
    const { a, portA } = link();
    portA.hold(true);
    const text = 'x'.repeat(60_000);
    for (let at = 0; at < 2_000; at += 1) a.cast('hint', { from: 'a', to: null, text });
    assert.ok(a.dropped() > 1_000, `${a.dropped()} of 120 MB were dropped`);
    await assert.rejects(a.ask('take', text, 1_000), /no room/);
  });

  test('an end that is gone: nothing is sent, and what was asked is refused', async () => {
    const { a, portA, clock } = link();
    portA.hold(true);
    const open = assert.rejects(a.ask('x', null, 1_000), /gone/);
    await turn();
    const sent = portA.held();
    a.close();
    await open;
    a.cast('x', 1);
    await assert.rejects(a.ask('x', null, 1_000));
    await turn();
    assert.equal(portA.held(), sent);
    assert.equal(clock.pending(), 0);
  });
});
