/**
 * The primary's part: so many workers, each kept running in its place.
 *
 * - The first worker starts alone, and the others when it works: what keeps one from starting keeps all, and is said once.
 * - Each place has its own account of deaths: more than `maxRestarts` within a minute end the whole (`onEscalate`).
 * - A place is handed over by starting its next worker before the old one is asked to stop.
 * - `stop` asks all workers at once and resolves when every process has ended; one that does not end in time is killed.
 */

import { type ChildContext, createSupervisor, type RunningChild, type Supervisor } from '../supervision/index.ts';
import type { Clock, Timers } from '../time/index.ts';
import { type Channel, type ChannelPort, createChannel } from './channel.ts';

export interface WorkerProcess extends ChannelPort {
  readonly pid: number | undefined;
  /** Once it has ended, and its channel with it. */
  onExit(listener: (code: number | null, signal: string | null) => void): void;
  /** At once (SIGKILL). */
  kill(): void;
}

export interface PrimaryOptions {
  readonly count: number;
  /** Starts the process for a place (from 1), which has been started `restarts` times before. */
  readonly fork: (place: number, restarts: number) => WorkerProcess;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  /** From 0 to 1, for the jitter. */
  readonly random: () => number;
  readonly maxRestarts: number;
  readonly withinSeconds: number;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** A worker whose place was taken: done with before it is asked to stop. */
  readonly standBack: (channel: Channel) => Promise<void>;
  /** A worker is there and may be spoken to; it does not work yet. */
  readonly onWorker: (place: number, channel: Channel) => void;
  readonly onRestart: (place: number, error: Error) => void;
  readonly onEscalate: (place: number, error: Error) => void;
  readonly onProblem: (place: number, error: Error) => void;
}

export interface Primary {
  /** Resolves with what the first worker told when it began to work; throws when one does not start, and then all are stopped. */
  start(): Promise<unknown>;
  /** The channels of all workers that live, by their places. */
  channels(): ReadonlyMap<number, Channel>;
  /** Another worker in this place, then the end of the old one. Answers whether it came to that. */
  replace(place: number): Promise<boolean>;
  stop(): Promise<void>;
}

/** What a worker casts when it works, and what it is told when it is to end. */
export const readyTopic = 'ready';
export const stopTopic = 'stop';

interface Worker {
  readonly forked: WorkerProcess;
  readonly channel: Channel;
  readonly exited: Promise<string>;
  isOver: boolean;
  told: unknown;
}

interface Place {
  readonly number: number;
  readonly supervisor: Supervisor;
  current: Worker | undefined;
  tellFailed: ChildContext['failed'];
  launches: number;
  isReplacing: boolean;
}

export function createPrimary(options: PrimaryOptions): Primary {
  const { timers } = options;
  const places = Array.from({ length: options.count }, (_, index) => makePlace(index + 1));
  const alive = new Map<number, Channel>();
  const stopping = new AbortController();
  /** Workers that start beside those whose places they shall have. */
  const replacing = new Set<Promise<boolean>>();

  function makePlace(number: number): Place {
    const supervisor = createSupervisor({
      name: `worker ${number}`,
      strategy: 'one_for_one',
      maxRestarts: options.maxRestarts,
      withinSeconds: options.withinSeconds,
      clock: options.clock,
      timers,
      random: options.random,
      onRestart: (_child, error) => options.onRestart(number, error),
      onEscalate: (error) => options.onEscalate(number, error),
      onProblem: (_child, error) => options.onProblem(number, error),
    });
    return { number, supervisor, current: undefined, tellFailed: () => undefined, launches: 0, isReplacing: false };
  }

  /** A worker that works; throws when it ended before, and kills it when it was called off. */
  async function launch(place: Place, signal?: AbortSignal): Promise<Worker> {
    const forked = options.fork(place.number, place.launches);
    place.launches += 1;
    const channel = createChannel(forked, { timers });
    const exit = Promise.withResolvers<string>();
    const ready = Promise.withResolvers<unknown>();
    const worker: Worker = { forked, channel, exited: exit.promise, isOver: false, told: undefined };
    forked.onExit((code, signal) => {
      channel.close();
      const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
      exit.resolve(how);
    });
    channel.on(readyTopic, (told) => ready.resolve(told));
    options.onWorker(place.number, channel);
    const callOff = (): void => forked.kill();
    signal?.addEventListener('abort', callOff, { once: true });
    const first = await Promise.race([
      ready.promise.then((told) => ({ told })),
      exit.promise.then((how) => ({ failure: `it ${how} before it worked` })),
    ]);
    signal?.removeEventListener('abort', callOff);
    if ('failure' in first) throw new Error(first.failure);
    worker.told = first.told;
    return worker;
  }

  async function end(place: Place, worker: Worker): Promise<void> {
    worker.isOver = true;
    worker.channel.cast(stopTopic, null);
    const cancel = timers.after(options.stopTimeoutMs, () => {
      options.onProblem(place.number, new Error('it did not end in time and was killed'));
      worker.forked.kill();
    });
    await worker.exited;
    cancel();
  }

  function take(place: Place, worker: Worker): void {
    place.current = worker;
    alive.set(place.number, worker.channel);
    void worker.exited.then((how) => {
      if (alive.get(place.number) === worker.channel) alive.delete(place.number);
      if (place.current === worker && !worker.isOver) place.tellFailed(new Error(`it ${how}`));
    });
  }

  async function run(place: Place, { failed, signal }: ChildContext): Promise<RunningChild> {
    const worker = await launch(place, signal);
    place.tellFailed = failed;
    take(place, worker);
    return {
      async stop() {
        if (place.current !== undefined) await end(place, place.current);
      },
    };
  }

  const startPlace = (place: Place): Promise<void> =>
    place.supervisor.start([
      {
        name: 'process',
        restart: 'permanent',
        startTimeoutMs: options.startTimeoutMs,
        stopTimeoutMs: options.stopTimeoutMs + 2_000,
        start: (context) => run(place, context),
      },
    ]);

  /** `launch` for a place that is taken: whoever waits for it has no patience of its own. */
  async function launchInTime(place: Place): Promise<Worker> {
    const late = new AbortController();
    const cancel = timers.after(options.startTimeoutMs, () => late.abort());
    try {
      return await launch(place, AbortSignal.any([stopping.signal, late.signal]));
    } catch (error) {
      if (!late.signal.aborted) throw error;
      throw new Error(`it did not work within ${options.startTimeoutMs} ms and was killed`, { cause: error });
    } finally {
      cancel();
    }
  }

  /** Meanwhile the old one may have died and its place been filled, or everything been stopped: then the next one goes. */
  async function handOver(place: Place, old: Worker): Promise<boolean> {
    try {
      const next = await launchInTime(place);
      const isWanted = !stopping.signal.aborted && place.current === old && !old.isOver;
      if (isWanted) {
        take(place, next);
        await options.standBack(old.channel);
      }
      await end(place, isWanted ? old : next);
      return isWanted;
    } catch (error) {
      options.onProblem(place.number, error instanceof Error ? error : new Error('it was not replaced'));
      return false;
    } finally {
      place.isReplacing = false;
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await Promise.all(places.map((place) => place.supervisor.stop()));
    await Promise.all(replacing);
  }

  return {
    async start() {
      const [first, ...others] = places;
      try {
        if (first !== undefined) await startPlace(first);
        await Promise.all(others.map(startPlace));
      } catch (failure) {
        await stop();
        throw failure;
      }
      return first?.current?.told;
    },
    channels: () => alive,
    replace(number) {
      const place = places.find((one) => one.number === number);
      const old = place?.current;
      if (place === undefined || old === undefined || old.isOver || place.isReplacing || stopping.signal.aborted) {
        return Promise.resolve(false);
      }
      place.isReplacing = true;
      const handing = handOver(place, old);
      replacing.add(handing);
      return handing.finally(() => replacing.delete(handing));
    },
    stop,
  };
}
