import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createManualClock } from '../time/index.ts';
import { type ChildContext, type ChildSpec, createSupervisor, type SupervisorOptions } from './index.ts';

/** Lets everything run that waits for promises alone. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function createBench(options: Partial<SupervisorOptions> = {}) {
  const clock = createManualClock();
  const log: string[] = [];
  const supervisor = createSupervisor({
    name: 'bench',
    strategy: 'one_for_one',
    maxRestarts: 5,
    withinSeconds: 60,
    clock,
    timers: clock,
    random: () => 0,
    onRestart: (child, error) => log.push(`restart ${child}: ${error.message}`),
    onEscalate: (error) => log.push(`escalate: ${(error.cause as Error).message}`),
    onProblem: (child, error) => log.push(`problem ${child}: ${error.message}`),
    ...options,
  });
  const contexts = new Map<string, ChildContext>();
  const child = (name: string, given: Partial<ChildSpec> = {}): ChildSpec => ({
    name,
    restart: 'permanent',
    start: async (context) => {
      contexts.set(name, context);
      log.push(`+${name}`);
      return {
        stop: async () => {
          log.push(`-${name}`);
        },
      };
    },
    ...given,
  });
  const contextOf = (name: string): ChildContext => {
    const context = contexts.get(name);
    assert.ok(context !== undefined, `${name} was not started`);
    return context;
  };
  const fail = (name: string, message = 'broke'): void => contextOf(name).failed(new Error(message));
  const states = () => Object.fromEntries(supervisor.children().map(({ name, state }) => [name, state]));
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settle();
  };
  const take = (): string[] => log.splice(0);
  return { supervisor, clock, child, contextOf, fail, states, advance, take };
}

describe('start and stop', () => {
  test('children start in order, each after the one before it, and stop in reverse', async () => {
    const { supervisor, child, take, states } = createBench();
    await supervisor.start([child('a'), child('b')]);
    await supervisor.start([child('c')]);
    assert.deepEqual(take(), ['+a', '+b', '+c']);
    assert.deepEqual(states(), { a: 'running', b: 'running', c: 'running' });
    await Promise.all([supervisor.stop(), supervisor.stop()]);
    assert.deepEqual(take(), ['-c', '-b', '-a']);
    assert.equal(supervisor.state(), 'stopped');
  });

  for (const strategy of ['one_for_one', 'rest_for_one'] as const) {
    test(`a start that fails stops those before it and throws with its cause (${strategy})`, async () => {
      const { supervisor, child, take, states } = createBench({ strategy });
      const start = async () => {
        throw new Error('no disk');
      };
      await assert.rejects(supervisor.start([child('a'), child('b', { start }), child('c')]), (error: Error) => {
        assert.match(error.message, /b did not start/);
        assert.equal((error.cause as Error).message, 'no disk');
        return true;
      });
      assert.deepEqual(take(), ['+a', '-a']);
      assert.deepEqual(states(), { a: 'stopped', b: 'stopped', c: 'stopped' });
    });
  }

  test('a start that takes too long fails, and what it makes in the end is stopped', async () => {
    const { supervisor, child, advance } = createBench();
    let finish: (() => void) | undefined;
    let stopped = false;
    const slow = child('slow', {
      startTimeoutMs: 1_000,
      start: async ({ signal }) => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        assert.ok(signal.aborted);
        return {
          stop: async () => {
            stopped = true;
          },
        };
      },
    });
    const starting = assert.rejects(supervisor.start([slow]), /slow did not start/);
    await settle();
    await advance(1_000);
    finish?.();
    await starting;
    assert.ok(stopped);
  });

  test('two children of one name are refused', async () => {
    const { supervisor, child } = createBench();
    await assert.rejects(supervisor.start([child('a'), child('a')]), /two children/);
  });

  test('a stop that hangs or throws is told, and does not keep the others from stopping', async () => {
    const { supervisor, child, take, advance } = createBench();
    const hangs = child('hangs', { stopTimeoutMs: 50, start: async () => ({ stop: () => new Promise(() => {}) }) });
    const throws = child('throws', {
      start: async () => ({
        stop: async () => {
          throw new Error('no');
        },
      }),
    });
    await supervisor.start([child('a'), hangs, throws]);
    const stopping = supervisor.stop();
    await settle();
    await advance(50);
    await stopping;
    assert.deepEqual(take(), ['+a', 'problem throws: no', 'problem hangs: its stop took longer than 50 ms', '-a']);
  });
});

describe('restarts', () => {
  test('F-34 a child that fails is stopped, waits, and is started again; its siblings notice nothing', async () => {
    const { supervisor, child, fail, take, advance, states } = createBench();
    await supervisor.start([child('a'), child('b'), child('c')]);
    take();
    fail('b');
    await settle();
    assert.deepEqual(take(), ['-b', 'restart b: broke']);
    assert.deepEqual(states(), { a: 'running', b: 'waiting', c: 'running' });
    await advance(99);
    assert.deepEqual(take(), []);
    await advance(1);
    assert.deepEqual(take(), ['+b']);
    const report = supervisor.children().find(({ name }) => name === 'b');
    assert.equal(report?.restarts, 1);
    assert.equal(report?.lastError?.message, 'broke');
  });

  test('F-34 each failure in a row doubles the wait, up to ten seconds, and jitter takes off up to a half', async () => {
    const waits: number[] = [];
    for (const random of [0, 1]) {
      const { supervisor, child, fail, clock, advance } = createBench({ maxRestarts: 100, random: () => random });
      await supervisor.start([child('a')]);
      for (let round = 0; round < 9; round++) {
        fail('a');
        await settle();
        const from = clock.monotonicMs();
        while (supervisor.children()[0]?.state === 'waiting') await advance(50);
        waits.push(clock.monotonicMs() - from);
      }
    }
    assert.deepEqual(waits.slice(0, 9), [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    assert.deepEqual(waits.slice(9), [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  test('a child that ran long enough begins with the shortest wait again', async () => {
    const { supervisor, child, fail, advance, take } = createBench();
    await supervisor.start([child('a')]);
    for (const wait of [100, 200]) {
      fail('a');
      await settle();
      await advance(wait);
    }
    await advance(60_000);
    fail('a');
    await settle();
    take();
    await advance(100);
    assert.deepEqual(take(), ['+a']);
  });

  test('a child that cannot be started again is tried again, later each time', async () => {
    let starts = 0;
    const { supervisor, child, advance, take, states } = createBench();
    const start: ChildSpec['start'] = async (context) => {
      starts += 1;
      if (starts === 2 || starts === 3) throw new Error(`start ${starts}`);
      if (starts === 1) context.signal.addEventListener('abort', () => undefined);
      return { stop: async () => undefined };
    };
    await supervisor.start([child('a', { start })]);
    assert.ok(supervisor.fail('a', new Error('drill')));
    await settle();
    for (const wait of [100, 200, 400]) await advance(wait);
    assert.deepEqual(take(), ['restart a: drill', 'restart a: start 2', 'restart a: start 3']);
    assert.deepEqual(states(), { a: 'running' });
  });

  test('permanent restarts after a plain end too, transient only after a failure, temporary never', async () => {
    const { supervisor, child, contextOf, fail, advance, take, states } = createBench();
    await supervisor.start([
      child('permanent'),
      child('transient', { restart: 'transient' }),
      child('transient failing', { restart: 'transient' }),
      child('temporary', { restart: 'temporary' }),
    ]);
    take();
    contextOf('permanent').ended();
    contextOf('transient').ended();
    fail('transient failing');
    fail('temporary');
    await settle();
    await advance(100);
    assert.deepEqual(states(), {
      permanent: 'running',
      transient: 'ended',
      'transient failing': 'running',
      temporary: 'ended',
    });
    assert.ok(take().includes('problem temporary: broke'));
    await supervisor.stop();
    assert.ok(!take().includes('-transient'), 'what has ended was stopped at its end');
  });

  test('only the first word of an instance counts, and none of one that is gone', async () => {
    const { supervisor, child, contextOf, fail, advance, take } = createBench();
    await supervisor.start([child('a')]);
    const first = contextOf('a');
    fail('a', 'one');
    fail('a', 'two');
    first.ended();
    await settle();
    await advance(100);
    first.failed(new Error('three'));
    await settle();
    await advance(1_000);
    assert.deepEqual(take(), ['+a', '-a', 'restart a: one', '+a']);
  });

  test('a child that fails while it still starts is started again when it has', async () => {
    let starts = 0;
    const { supervisor, child, advance, take, states } = createBench();
    const start: ChildSpec['start'] = async (context) => {
      starts += 1;
      if (starts === 1) context.failed('no error object');
      return { stop: async () => undefined };
    };
    await supervisor.start([child('a', { start })]);
    await settle();
    await advance(100);
    assert.deepEqual(take(), ['restart a: a child failed']);
    assert.deepEqual(states(), { a: 'running' });
    assert.equal(starts, 2);
  });

  test('several children that fail at once all come back', async () => {
    const { supervisor, child, fail, advance, states } = createBench();
    const names = ['a', 'b', 'c', 'd'];
    await supervisor.start(names.map((name) => child(name)));
    for (const name of names) fail(name);
    await settle();
    await advance(100);
    assert.deepEqual(new Set(Object.values(states())), new Set(['running']));
    assert.deepEqual(
      supervisor.children().map(({ restarts }) => restarts),
      [1, 1, 1, 1],
    );
  });
});

describe('rest_for_one', () => {
  test('those behind a failed child stop before it and start after it', async () => {
    const { supervisor, child, fail, advance, take } = createBench({ strategy: 'rest_for_one' });
    await supervisor.start([child('a'), child('b'), child('c', { restart: 'temporary' }), child('d')]);
    take();
    fail('b');
    await settle();
    assert.deepEqual(take(), ['-d', '-c', '-b', 'restart b: broke']);
    await advance(100);
    assert.deepEqual(take(), ['+b', '+d']);
  });

  test('a failure further left while children wait restarts them all, once, in order', async () => {
    const { supervisor, child, fail, advance, take } = createBench({ strategy: 'rest_for_one' });
    await supervisor.start([child('a'), child('b'), child('c')]);
    take();
    fail('b');
    await settle();
    fail('a');
    await settle();
    await advance(10_000);
    assert.deepEqual(take(), ['-c', '-b', 'restart b: broke', '-a', 'restart a: broke', '+a', '+b', '+c']);
  });

  test('a later child that does not start again keeps those behind it waiting', async () => {
    let starts = 0;
    const { supervisor, child, fail, advance, take, states } = createBench({ strategy: 'rest_for_one' });
    const start: ChildSpec['start'] = async () => {
      starts += 1;
      if (starts === 2) throw new Error('not yet');
      return { stop: async () => undefined };
    };
    await supervisor.start([child('a'), child('b', { start }), child('c')]);
    fail('a');
    await settle();
    await advance(100);
    assert.deepEqual(states(), { a: 'running', b: 'waiting', c: 'waiting' });
    take();
    await advance(100);
    assert.deepEqual(take(), ['+c']);
    assert.equal(starts, 3);
  });
});

describe('escalation', () => {
  test('F-34 more restarts than allowed stop everything, in reverse, and are told once', async () => {
    const { supervisor, child, fail, advance, take } = createBench({ maxRestarts: 2 });
    await supervisor.start([child('a'), child('b')]);
    for (const wait of [100, 200]) {
      fail('a');
      await settle();
      await advance(wait);
    }
    take();
    fail('a', 'the third');
    fail('b', 'not told any more');
    await settle();
    await supervisor.stop();
    const lines = take();
    assert.deepEqual(
      lines.filter((line) => line.startsWith('escalate')),
      ['escalate: the third'],
    );
    assert.ok(lines.includes('-b'));
    assert.equal(supervisor.state(), 'escalated');
    await advance(60_000);
    assert.deepEqual(take(), []);
  });

  test('restarts that lie further apart than the window do not add up', async () => {
    const { supervisor, child, fail, advance, take } = createBench({ maxRestarts: 1, withinSeconds: 10 });
    await supervisor.start([child('a')]);
    for (let round = 0; round < 5; round++) {
      fail('a');
      await settle();
      await advance(11_000);
    }
    assert.equal(take().filter((line) => line.startsWith('escalate')).length, 0);
  });
});

describe('a stop in between', () => {
  test('during a backoff: the child is not started again', async () => {
    const { supervisor, child, fail, advance, take, clock } = createBench();
    await supervisor.start([child('a')]);
    fail('a');
    await settle();
    take();
    await supervisor.stop();
    await advance(60_000);
    assert.deepEqual(take(), []);
    assert.equal(clock.pending(), 0);
  });

  test('during a start that listens to its signal: the start is called off and `start` throws', async () => {
    const { supervisor, child, states } = createBench();
    const start: ChildSpec['start'] = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    const starting = assert.rejects(supervisor.start([child('a', { start }), child('b')]), /did not start/);
    await settle();
    await supervisor.stop();
    await starting;
    assert.deepEqual(states(), { a: 'stopped', b: 'stopped' });
  });

  test('at once after failures: nothing is left running, whatever the order', async () => {
    for (let round = 0; round < 20; round++) {
      const { supervisor, child, fail, advance, take, clock } = createBench({
        strategy: round % 2 === 0 ? 'one_for_one' : 'rest_for_one',
      });
      const names = ['a', 'b', 'c'];
      await supervisor.start(names.map((name) => child(name)));
      for (const [index, name] of names.entries()) if ((round >> index) % 2 === 0) fail(name);
      for (let turn = 0; turn < round % 4; turn++) await settle();
      if (round % 3 === 0) clock.advance(100);
      await supervisor.stop();
      await advance(60_000);
      const lines = take();
      for (const name of names) {
        const count = (sign: string) => lines.filter((line) => line === `${sign}${name}`).length;
        assert.equal(count('+'), count('-'), `${name} in round ${round}`);
      }
    }
  });
});

test('the report tells the health of children that have one, and survives a health that throws', async () => {
  const { supervisor, child } = createBench();
  const healthy = child('ok', { start: async () => ({ stop: async () => {}, health: () => ({ status: 'ok' }) }) });
  const thrower = child('throws', {
    start: async () => ({
      stop: async () => {},
      health: () => {
        throw new Error('no figures');
      },
    }),
  });
  await supervisor.start([child('silent'), healthy, thrower]);
  assert.deepEqual(
    supervisor.children().map(({ health }) => health),
    [undefined, { status: 'ok' }, { status: 'degraded', detail: 'no figures' }],
  );
  await supervisor.stop();
});
