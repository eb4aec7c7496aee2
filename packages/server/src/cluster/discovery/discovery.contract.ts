/** What every strategy does, whatever it looks at. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, systemRandom } from '../../platform/random/index.ts';
import { type Clock, systemClock, systemTimers, type Timers } from '../../platform/time/index.ts';
import type { Discovery, DiscoveryListeners, PeerAddress } from './discovery.ts';
import { lookMsMax, peersMax } from './polling.ts';

export interface ContractDeps extends DiscoveryListeners {
  readonly self: () => PeerAddress | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Pick<Random, 'bytes'>;
}

/** What the strategy looks at, fresh for each test. */
export interface World {
  readonly self: PeerAddress;
  /** An address that can be found here; each number another one. */
  peer(number: number): PeerAddress;
  /** From now on these are there, and those that were. */
  add(...peers: readonly PeerAddress[]): Promise<void>;
  /** Until `mend`, looking fails. */
  break(): Promise<void>;
  mend(): Promise<void>;
  create(deps: ContractDeps): Discovery;
  close(): Promise<void>;
}

export interface ContractOptions {
  /** Looking fails by hanging, and the look's own limit ends it: waiting is shortened too. */
  readonly createHanging?: () => Promise<World>;
  /** Why the strategy does not know the case: what cannot fail, or tells one address at a time. */
  readonly cannotFail?: string;
  readonly tellsOneAtATime?: string;
}

const fasterBy = 20;

export function describeDiscovery(
  name: string,
  createWorld: () => Promise<World>,
  options: ContractOptions = {},
): void {
  describe(`discovery by ${name}`, () => {
    test('finds a peer that is there, and never tells of nobody', async () => {
      await using bench = await openBench(createWorld);
      await bench.world.add(bench.world.peer(1));
      await bench.start();
      await bench.until(() => bench.hasFound(1));
      assert.deepEqual(bench.states, ['working']);
      assert.ok(bench.told.every((peers) => peers.length > 0));
    });

    test('finds a peer that comes later', async () => {
      await using bench = await openBench(createWorld);
      await bench.world.add(bench.world.peer(1));
      await bench.start();
      await bench.until(() => bench.hasFound(1));
      await bench.world.add(bench.world.peer(2));
      await bench.until(() => bench.hasFound(2));
    });

    test('tells of a peer again and again, since a peer that went may come back', async () => {
      await using bench = await openBench(createWorld);
      await bench.world.add(bench.world.peer(1));
      await bench.start();
      await bench.until(() => bench.times(1) >= 3);
    });

    test('does not tell of our own address', async () => {
      await using bench = await openBench(createWorld);
      await bench.world.add(bench.world.self, bench.world.peer(1));
      await bench.start();
      await bench.until(() => bench.times(1) >= 2);
      const { host, port } = bench.world.self;
      assert.ok(!bench.told.flat().some((peer) => peer.host === host && peer.port === port));
    });

    test('a failure is told once, takes nothing away, and ends when what it looks at is back', {
      skip: options.cannotFail ?? false,
    }, async () => {
      await using bench = await openBench(createWorld);
      await bench.world.add(bench.world.peer(1));
      await bench.start();
      await bench.until(() => bench.hasFound(1));
      await bench.world.break();
      await bench.until(() => bench.states.includes('failing'));
      await sleep(200);
      assert.deepEqual(bench.states, ['working', 'failing']);
      assert.match(bench.reasons.at(-1) ?? '', /^[^\n]{10,300}$/);
      assert.ok(bench.told.every((peers) => peers.length > 0));
      await bench.world.mend();
      const before = bench.times(1);
      await bench.until(() => bench.states.at(-1) === 'working' && bench.times(1) > before);
    });

    test('what fails from the first look on does not fail the start, and is found when it is there', {
      skip: options.cannotFail ?? false,
    }, async () => {
      await using bench = await openBench(createWorld);
      await bench.world.break();
      await bench.start();
      await bench.until(() => bench.states.includes('failing'));
      await bench.world.mend();
      await bench.world.add(bench.world.peer(1));
      await bench.until(() => bench.hasFound(1));
    });

    test('tells no more addresses at once than a limit, each once', {
      skip: options.tellsOneAtATime ?? false,
    }, async () => {
      await using bench = await openBench(createWorld);
      const many = Array.from({ length: peersMax + 100 }, (_, index) => bench.world.peer(index + 1));
      await bench.world.add(...many);
      await bench.start();
      await bench.until(() => bench.told.length > 0);
      const told = bench.told[0] ?? [];
      assert.ok(told.length > 60 && told.length <= peersMax, String(told.length));
      assert.equal(new Set(told.map(({ host, port }) => `${host} ${port}`)).size, told.length);
    });

    test('after a stop nobody is told anything, and nothing is left open', async () => {
      const open = openResources();
      const bench = await openBench(createWorld);
      await bench.world.add(bench.world.peer(1));
      await bench.start();
      await bench.until(() => bench.hasFound(1));
      await bench.stop();
      const { length } = bench.told;
      await bench.world.add(bench.world.peer(2));
      await sleep(100);
      assert.equal(bench.told.length, length);
      await bench.world.close();
      await until(() => openResources() <= open, 'sockets or timers are left');
    });

    test('a stop in the midst of the first look ends it', async () => {
      await using bench = await openBench(createWorld);
      await bench.start();
      await bench.stop();
      await sleep(50);
      assert.deepEqual([bench.states.filter((state) => state === 'failing'), bench.told], [[], []]);
    });

    const { createHanging } = options;
    if (createHanging === undefined) return;

    test('a look that hangs is ended by its limit, told as a failure, and tried again', async () => {
      await using bench = await openBench(createHanging, 0);
      await bench.world.add(bench.world.peer(1));
      await bench.world.break();
      await bench.start();
      await bench.until(() => bench.states.includes('failing'));
      assert.match(bench.reasons[0] ?? '', /no answer within \d+ ms|did not answer/);
      await bench.world.mend();
      await bench.until(() => bench.hasFound(1));
    });

    test('a stop does not wait for a look that hangs', async () => {
      const open = openResources();
      const bench = await openBench(createHanging);
      await bench.world.break();
      await bench.start();
      await sleep(50);
      await bench.stop();
      assert.deepEqual([bench.states, bench.told], [[], []]);
      await bench.world.close();
      await until(() => openResources() <= open, 'sockets or timers are left');
    });
  });
}

/** Waiting passes quickly; the limit of a look does so only where a look is meant to reach it. */
const fastTimers = (keptMs: number): Timers => ({
  after: (delayMs, run) => systemTimers.after(delayMs === keptMs ? delayMs : delayMs / fasterBy, run),
});

async function openBench(createWorld: () => Promise<World>, keptMs = lookMsMax) {
  const world = await createWorld();
  const told: (readonly PeerAddress[])[] = [];
  const states: ('working' | 'failing')[] = [];
  const reasons: string[] = [];
  const discovery = world.create({
    self: () => world.self,
    clock: systemClock,
    timers: fastTimers(keptMs),
    random: systemRandom,
    onFound: (peers) => told.push(peers),
    onState: (state, reason) => {
      states.push(state);
      reasons.push(reason);
    },
  });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= discovery.stop();
    return stopping;
  };
  const times = (number: number): number => {
    const { host, port } = world.peer(number);
    return told.filter((peers) => peers.some((peer) => peer.host === host && peer.port === port)).length;
  };
  return {
    world,
    told,
    states,
    reasons,
    times,
    hasFound: (number: number) => times(number) > 0,
    start: () => discovery.start(),
    stop,
    until: (condition: () => boolean) =>
      until(condition, () => JSON.stringify({ states, reasons, told: told.slice(-3) })),
    async [Symbol.asyncDispose]() {
      await stop();
      await world.close();
    },
  };
}

async function until(condition: () => boolean, what: string | (() => string)): Promise<void> {
  for (let round = 0; round < 1_500; round++) {
    if (condition()) return;
    await sleep(10);
  }
  assert.fail(`it never came to be: ${typeof what === 'string' ? what : what()}`);
}

const openResources = (): number =>
  process.getActiveResourcesInfo().filter((kind) => /Wrap$|Timeout/.test(kind) && !/^(TTY|Pipe)Wrap$/.test(kind))
    .length;
