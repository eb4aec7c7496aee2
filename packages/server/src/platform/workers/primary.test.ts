import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManualClock } from '../time/index.ts';
import { type Channel, createChannel } from './channel.ts';
import { createPrimary, readyTopic, stopTopic, type WorkerProcess } from './primary.ts';
import { type Relayed, relayFor, relayTopic } from './relay.ts';
import { linkPorts } from './testing.ts';

interface Forked {
  readonly place: number;
  readonly restarts: number;
  /** The worker's own end. */
  readonly channel: Channel;
  readonly heard: string[];
  work(): void;
  exit(code: number | null): void;
  isOver(): boolean;
}

const turns = async (): Promise<void> => {
  for (let at = 0; at < 20; at += 1) await new Promise((resolve) => setImmediate(resolve));
};

function world(count: number, options: { readonly obeys?: boolean; readonly works?: boolean } = {}) {
  const clock = createManualClock();
  const forked: Forked[] = [];
  const said: string[] = [];
  const names = new WeakMap<Channel, string>();
  const fork = (place: number, restarts: number): WorkerProcess => {
    const [near, far] = linkPorts();
    const channel = createChannel(far, { timers: clock });
    const heard: string[] = [];
    let tellExit: (code: number | null, signal: string | null) => void = () => undefined;
    let over = false;
    const exit = (code: number | null): void => {
      if (over) return;
      over = true;
      tellExit(code, code === null ? 'SIGKILL' : null);
    };
    channel.on(stopTopic, () => {
      heard.push('stop');
      if (options.obeys !== false) exit(0);
    });
    const one: Forked = {
      place,
      restarts,
      channel,
      heard,
      work: () => channel.cast(readyTopic, { url: `of ${place}` }),
      exit,
      isOver: () => over,
    };
    forked.push(one);
    if (options.works !== false) one.work();
    return {
      ...near,
      pid: 1,
      onExit: (listener) => {
        tellExit = listener;
      },
      kill: () => exit(null),
    };
  };
  const primary = createPrimary({
    count,
    fork,
    clock,
    timers: clock,
    random: () => 0,
    maxRestarts: 5,
    withinSeconds: 60,
    startTimeoutMs: 60_000,
    stopTimeoutMs: 10_000,
    standBack: async (channel) => {
      said.push(`stand back: ${channel.dropped()}`);
    },
    onWorker: (_place, channel) => relayFor(channel, () => primary.channels().values(), names),
    onRestart: (place, error) => said.push(`restart ${place}: ${error.message}`),
    onEscalate: (place) => said.push(`escalate ${place}`),
    onProblem: (place, error) => said.push(`problem ${place}: ${error.message}`),
  });
  const of = (place: number): Forked => {
    const found = forked.findLast((one) => one.place === place);
    assert.ok(found !== undefined);
    return found;
  };
  return { clock, forked, said, primary, of };
}

describe('the primary', () => {
  test('the first worker starts alone, the others when it works', async () => {
    const { primary, forked, of } = world(3, { works: false });
    const started = primary.start();
    await turns();
    assert.equal(forked.length, 1);
    of(1).work();
    await turns();
    assert.equal(forked.length, 3);
    of(3).work();
    of(2).work();
    assert.deepEqual(await started, { url: 'of 1' });
    assert.deepEqual(new Set(primary.channels().keys()), new Set([1, 2, 3]));
  });

  test('one that cannot start at the beginning ends the whole: nothing loops, nothing stays', async () => {
    for (const bad of [1, 2]) {
      const { primary, forked, of } = world(3, { works: false });
      const started = assert.rejects(primary.start());
      await turns();
      for (const place of [1, 2, 3].filter((one) => one < bad)) of(place).work();
      await turns();
      of(bad).exit(1);
      await started;
      assert.ok(forked.every((one) => one.isOver()));
      assert.equal(forked.length, bad === 1 ? 1 : 3);
    }
  });

  test('F-34 a worker that dies is started again after a pause, told how often; too many deaths in a minute end the whole, once', async () => {
    const { primary, clock, said, of, forked } = world(2);
    await primary.start();
    for (let death = 1; death <= 5; death += 1) {
      of(2).exit(null);
      await turns();
      assert.equal(forked.filter((one) => one.place === 2).length, death, 'not at once');
      clock.advance(100 * 2 ** (death - 1));
      await turns();
      assert.equal(of(2).restarts, death);
    }
    assert.equal(said.filter((line) => line.startsWith('restart 2: it was ended by SIGKILL')).length, 5);
    of(2).exit(1);
    await turns();
    assert.deepEqual(said.slice(5), ['escalate 2']);
    await primary.stop();
    assert.ok(forked.every((one) => one.isOver()));
  });

  test('deaths of different workers, and deaths far apart, do not add up', async () => {
    const { primary, clock, said, of } = world(4);
    await primary.start();
    for (let round = 0; round < 5; round += 1) {
      for (const place of [1, 2, 3, 4]) of(place).exit(1);
      await turns();
      clock.advance(2_000);
      await turns();
    }
    for (let round = 0; round < 20; round += 1) {
      clock.advance(61_000);
      of(1).exit(1);
      await turns();
      clock.advance(11_000);
      await turns();
    }
    assert.ok(
      said.every((line) => line.startsWith('restart')),
      said.join('\n'),
    );
  });

  test('a place is handed over: the next works before the old one is told to stop; its death then is nobody’s', async () => {
    const { primary, of, forked, said } = world(2);
    await primary.start();
    const old = of(1);
    assert.equal(await primary.replace(1), true);
    assert.deepEqual(old.heard, ['stop']);
    assert.ok(!of(1).isOver() && of(1) !== old);
    assert.equal(forked.length, 3);
    assert.deepEqual(said, ['stand back: 0']);
    assert.equal(await primary.replace(9), false);
  });

  test('a next one that does not start leaves the old one where it is', async () => {
    const { primary, of, said, forked } = world(1, { works: false });
    const started = primary.start();
    await turns();
    of(1).work();
    await started;
    const replaced = primary.replace(1);
    await turns();
    assert.equal(await primary.replace(1), false, 'one at a time');
    of(1).exit(1);
    assert.equal(await replaced, false);
    assert.ok(!forked[0]?.isOver());
    assert.deepEqual(said, ['problem 1: it ended with exit code 1 before it worked']);
  });

  test('a next one that never comes to work is killed when its time is over, and the place can be handed over again', async () => {
    const { primary, clock, of, said, forked } = world(1, { works: false });
    const started = primary.start();
    await turns();
    of(1).work();
    await started;
    const replaced = primary.replace(1);
    await turns();
    clock.advance(60_000);
    assert.equal(await replaced, false);
    assert.deepEqual([forked[0]?.isOver(), forked[1]?.isOver()], [false, true]);
    assert.deepEqual(said, ['problem 1: it did not work within 60000 ms and was killed']);
    const again = primary.replace(1);
    await turns();
    of(1).work();
    assert.equal(await again, true);
    assert.ok(forked[0]?.isOver() && !forked[2]?.isOver());
  });

  test('the end: all are told at once; one that does not obey is killed when its time is over', async () => {
    const { primary, clock, forked, said } = world(3, { obeys: false });
    await primary.start();
    const stopped = primary.stop();
    await turns();
    assert.ok(forked.every((one) => one.heard.includes('stop') && !one.isOver()));
    forked[0]?.exit(0);
    await turns();
    clock.advance(10_000);
    await stopped;
    assert.ok(forked.every((one) => one.isOver()));
    assert.equal(said.filter((line) => line.includes('was killed')).length, 2);
  });

  test('the end comes while a worker starts in the place of another: neither stays', async () => {
    const { primary, of, forked } = world(1, { works: false });
    const started = primary.start();
    await turns();
    of(1).work();
    await started;
    const replaced = primary.replace(1);
    await turns();
    await primary.stop();
    assert.equal(await replaced, false);
    assert.equal(forked.length, 2);
    assert.ok(forked.every((one) => one.isOver()));
  });

  test('a text goes to all others, an answer to the one that it is for, and none to those that are gone', async () => {
    const { primary, of } = world(3);
    await primary.start();
    const got: string[] = [];
    for (const place of [1, 2, 3]) {
      of(place).channel.on(relayTopic, (body) => {
        const { from, to, text } = body as Relayed;
        got.push(`${place}: ${from} ${to ?? 'all'} ${text}`);
        if (to === null) of(place).channel.cast(relayTopic, { from: `w${place}`, to: from, text: 'ack' });
      });
    }
    of(1).channel.cast(relayTopic, { from: 'w1', to: null, text: 'hint' });
    of(1).channel.cast(relayTopic, { from: 'w1', nonsense: true });
    await turns();
    assert.deepEqual(got.toSorted(), ['1: w2 w1 ack', '1: w3 w1 ack', '2: w1 all hint', '3: w1 all hint']);
    got.length = 0;
    of(2).exit(1);
    await turns();
    of(1).channel.cast(relayTopic, { from: 'w1', to: null, text: 'again' });
    await turns();
    assert.deepEqual(got.toSorted(), ['1: w3 w1 ack', '3: w1 all again']);
  });
});
