/**
 * As many hashing threads as cores behind one bounded queue, first come, first served.
 *
 * - A full queue is answered at once, and so is one that would take too long, going by how long jobs took lately: on a machine
 *   whose cores others have, fewer wait; a job that was taken is answered, whatever happens to the thread that has it: it is
 *   tried on another one once, and fails when that one dies too.
 * - Threads start with the first job that needs them and end after a while without work, so that an idle service is small.
 * - A thread that dies is replaced. After deaths in a row the replacement waits, longer each time, up to five seconds.
 *
 * A thread: starting or idle → busy (one job) → idle → … → ended (idle too long, stop) or dead (crash: its job is retried).
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../platform/time/index.ts';
import { type HashJob, type HashReply, type HashWorkerData, runHashWorker } from './hash-worker.ts';

export interface PoolOptions {
  readonly workers: number;
  readonly nice: number;
  /** Jobs that may wait; those being computed are not counted. */
  readonly queueLimit: number;
  readonly idleMs: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly onWorkerExit: (error: Error) => void;
  /** A job was computed, without its wait in the queue. */
  readonly observe: (seconds: number) => void;
}

export type PoolResult = { readonly kind: 'done'; readonly value: string | boolean } | { readonly kind: 'overloaded' };

export interface PoolFigures {
  readonly workers: number;
  readonly busy: number;
  readonly queued: number;
  /** Threads that died, since the start. */
  readonly deaths: number;
  /** Deaths since a job was last finished. */
  readonly deathsInARow: number;
}

export interface WorkerPool {
  run(job: HashJob): Promise<PoolResult>;
  /** Whether a job would be taken now. */
  accepts(): boolean;
  figures(): PoolFigures;
  /** Ends one thread as a crash would, for drills. */
  killOne(): Promise<void>;
  /** Jobs being computed are finished, waiting ones are answered as overloaded. */
  stop(): Promise<void>;
}

interface Task {
  readonly job: HashJob;
  readonly resolve: (result: PoolResult) => void;
  readonly reject: (error: Error) => void;
  startedMs: number;
  deaths: number;
}

interface Thread {
  readonly worker: Worker;
  task: Task | undefined;
  idleTimer: NodeJS.Timeout | undefined;
}

/** A hash and its message need a few hundred kilobytes; what a library allocates natively is not counted here. */
const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1, codeRangeSizeMb: 4 };
const deathsPerTaskMax = 2;
const respawnDelayMsMax = 5000;
/** Nobody waits longer than this before it begins, as far as can be foretold: a request has ten seconds in all. */
const waitMsMax = 8_000;
/** What the latest job counts for in how long jobs take. */
const latestWeight = 0.2;

export function createWorkerPool(options: PoolOptions): WorkerPool {
  const threads = new Set<Thread>();
  const waiting: Task[] = [];
  let deaths = 0;
  /** How long a job takes, lately. */
  let jobMs = 0;
  let deathsInARow = 0;
  let respawnTimer: NodeJS.Timeout | undefined;
  let stopping = false;
  let drained: (() => void) | undefined;

  function run(job: HashJob): Promise<PoolResult> {
    const thread = stopping ? undefined : freeThread();
    if (thread === undefined && (stopping || isFull())) {
      return Promise.resolve({ kind: 'overloaded' });
    }
    return new Promise((resolve, reject) => {
      const task: Task = { job, resolve, reject, startedMs: 0, deaths: 0 };
      if (thread === undefined) waiting.push(task);
      else give(thread, task);
    });
  }

  function isFull(): boolean {
    const waitMs = (waiting.length * jobMs) / options.workers;
    return waiting.length >= options.queueLimit || waitMs > waitMsMax;
  }

  function freeThread(): Thread | undefined {
    for (const thread of threads) if (thread.task === undefined) return thread;
    return threads.size < options.workers && respawnTimer === undefined ? spawn() : undefined;
  }

  function spawn(): Thread {
    const workerData: HashWorkerData = { resolveFrom: import.meta.url, nice: options.nice };
    const worker = new Worker(`(${runHashWorker.toString()})()`, {
      eval: true,
      name: 'password-hash',
      workerData,
      resourceLimits,
      env: {},
      execArgv: [],
    });
    const thread: Thread = { worker, task: undefined, idleTimer: undefined };
    threads.add(thread);
    let cause: unknown;
    worker.on('message', (reply: HashReply) => finish(thread, reply));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => gone(thread, code, cause));
    return thread;
  }

  function give(thread: Thread, task: Task): void {
    clearTimeout(thread.idleTimer);
    thread.idleTimer = undefined;
    thread.task = task;
    task.startedMs = options.clock.monotonicMs();
    // Only a thread at work keeps the process alive.
    thread.worker.ref();
    thread.worker.postMessage(task.job);
  }

  function finish(thread: Thread, reply: HashReply): void {
    const task = thread.task;
    thread.task = undefined;
    deathsInARow = 0;
    if (task !== undefined) {
      const tookMs = options.clock.monotonicMs() - task.startedMs;
      jobMs = jobMs === 0 ? tookMs : jobMs + latestWeight * (tookMs - jobMs);
      options.observe(tookMs / 1000);
    }
    const next = waiting.shift();
    if (next !== undefined) give(thread, next);
    else rest(thread);
    if (reply.kind === 'done') task?.resolve(reply);
    else task?.reject(new Error(`a password could not be hashed: ${reply.message}`));
    settleStop();
  }

  function rest(thread: Thread): void {
    thread.worker.unref();
    thread.idleTimer = setTimeout(() => retire(thread), options.idleMs);
    thread.idleTimer.unref();
  }

  function retire(thread: Thread): void {
    threads.delete(thread);
    void thread.worker.terminate();
  }

  function gone(thread: Thread, code: number, cause: unknown): void {
    clearTimeout(thread.idleTimer);
    if (!threads.delete(thread)) return;
    deaths++;
    deathsInARow++;
    const error = new Error(`a hashing thread ended with code ${code}`, { cause });
    const task = thread.task;
    if (task !== undefined) {
      task.deaths++;
      if (stopping) task.resolve({ kind: 'overloaded' });
      else if (task.deaths >= deathsPerTaskMax) task.reject(error);
      else waiting.unshift(task);
    }
    // Whoever listens hears of it after the pool is consistent again.
    options.onWorkerExit(error);
    respawn();
    settleStop();
  }

  function respawn(): void {
    if (respawnTimer !== undefined || waiting.length === 0) return;
    const delayMs = deathsInARow <= 1 ? 0 : Math.min(100 * 2 ** (deathsInARow - 2), respawnDelayMsMax);
    respawnTimer = setTimeout(() => {
      respawnTimer = undefined;
      while (waiting.length > 0) {
        const thread = freeThread();
        const task = thread === undefined ? undefined : waiting.shift();
        if (thread === undefined || task === undefined) return;
        give(thread, task);
      }
    }, delayMs);
  }

  const busy = (): number => [...threads].filter((thread) => thread.task !== undefined).length;

  function settleStop(): void {
    if (stopping && busy() === 0) drained?.();
  }

  async function stop(): Promise<void> {
    stopping = true;
    clearTimeout(respawnTimer);
    for (const task of waiting.splice(0)) task.resolve({ kind: 'overloaded' });
    if (busy() > 0) {
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
    }
    const ending = [...threads];
    threads.clear();
    await Promise.all(ending.map(async (thread) => thread.worker.terminate()));
  }

  const hasThread = (): boolean =>
    (threads.size < options.workers && respawnTimer === undefined) || busy() < threads.size;

  return {
    run,
    accepts: () => !stopping && (hasThread() || !isFull()),
    figures: () => ({ workers: threads.size, busy: busy(), queued: waiting.length, deaths, deathsInARow }),
    killOne: async () => {
      const [first] = [...threads].toSorted((a, b) => Number(b.task !== undefined) - Number(a.task !== undefined));
      await first?.worker.terminate();
    },
    stop,
  };
}
