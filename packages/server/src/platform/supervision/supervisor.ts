/**
 * A supervisor.
 *
 *   start()              failed(), or a start that      backoff over,
 *      │                 throws or takes too long       start() again
 *      ▼                ┌──────────────────────┐      ┌──────────────┐
 *   starting ──────▶ running ──── stop() of it ──▶ waiting ───▶ starting …
 *      │                │  └─ ended() ──▶ ended      │
 *      └────────────────┴──── supervisor.stop() ─────┴──▶ stopping ──▶ stopped
 *
 * - Children start one after the other, in order; a start that fails stops those before it, in reverse, and throws.
 * - There are never two of one child: the old one is stopped (or out of time) before a new one starts.
 * - `one_for_one`: only the child that failed is started again, whatever its siblings do meanwhile. `rest_for_one`: those
 *   that started after it are stopped first, in reverse, and started again after it, in order.
 * - A child waits before it is started again: 100 ms, doubled with each failure in a row up to 10 s, less up to a half at
 *   random. A child that ran for `withinSeconds` begins anew.
 * - More than `maxRestarts` within `withinSeconds`, over all children: everything is stopped and `onEscalate` is called,
 *   once, at the beginning of that.
 * - `stop` may come at any moment, a backoff and a start that hangs included; nothing starts after it.
 */
import type { Clock, Timers } from '../time/index.ts';
import { type ChildReport, type ChildSpec, type ChildState, type RunningChild, readHealth, toError } from './child.ts';

export interface SupervisorOptions {
  readonly name: string;
  readonly strategy: 'one_for_one' | 'rest_for_one';
  readonly maxRestarts: number;
  readonly withinSeconds: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  /** From 0 to 1, for the jitter. */
  readonly random: () => number;
  /** A child failed, or ended though it is permanent, and will be started again. */
  onRestart(child: string, error: Error): void;
  onEscalate(error: Error): void;
  /** A temporary child failed, or a child's stop threw or took too long. */
  onProblem?(child: string, error: Error): void;
}

export interface Supervisor {
  /** Starts these after those that run already. Throws when one does not start; then all are stopped. */
  start(children: readonly ChildSpec[]): Promise<void>;
  stop(): Promise<void>;
  children(): readonly ChildReport[];
  /** For drills: as if the child had called `failed`. Answers whether there was such a child, running. */
  fail(child: string, error: Error): boolean;
  readonly state: () => 'running' | 'stopping' | 'stopped' | 'escalated';
}

interface Instance {
  readonly controller: AbortController;
  running: RunningChild | undefined;
  /** It has told its end, or is being stopped: what it tells from now on counts no more. */
  over: boolean;
  startedMs: number;
}

interface Child {
  readonly spec: ChildSpec;
  state: ChildState;
  restarts: number;
  failuresInRow: number;
  lastError: Error | undefined;
  instance: Instance | undefined;
  cancelWait: (() => void) | undefined;
  /** What was asked of this child and is not done; `rest_for_one` has one such line for all. */
  line: Line;
}

interface Line {
  tail: Promise<unknown>;
}

const startTimeoutMsDefault = 30_000;
const stopTimeoutMsDefault = 5_000;
const backoffMsFirst = 100;
const backoffMsMax = 10_000;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, timers, strategy } = options;
  const children: Child[] = [];
  const sharedLine: Line = { tail: Promise.resolve() };
  let restartTimes: number[] = [];
  let stopping: Promise<void> | undefined;
  let state: 'running' | 'stopping' | 'stopped' | 'escalated' = 'running';

  /** Tasks of one line run one after the other. A task that throws is a fault of the supervisor itself. */
  function inLine<T>(line: Line, task: () => Promise<T>): Promise<T> {
    const done = line.tail.then(task);
    line.tail = done.catch((error: unknown) => escalate(toError(error)));
    return done;
  }

  async function start(specs: readonly ChildSpec[]): Promise<void> {
    const added = specs.map(addChild);
    // One task for all, so that a failure of an early one is handled when the late ones have started.
    const failure =
      strategy === 'rest_for_one'
        ? await inLine(sharedLine, () => startAll(added, launch))
        : await startAll(added, (child) => inLine(child.line, () => launch(child)));
    if (failure === undefined) return;
    await stop();
    throw failure;
  }

  async function startAll(
    added: readonly Child[],
    run: (child: Child) => Promise<Error | undefined>,
  ): Promise<Error | undefined> {
    for (const child of added) {
      const cause = await run(child);
      if (cause !== undefined) return new Error(`${options.name}: ${child.spec.name} did not start`, { cause });
    }
    return undefined;
  }

  function addChild(spec: ChildSpec): Child {
    if (children.some((known) => known.spec.name === spec.name)) throw new Error(`two children are named ${spec.name}`);
    const line = strategy === 'rest_for_one' ? sharedLine : { tail: Promise.resolve() };
    const child: Child = {
      spec,
      state: 'stopped',
      restarts: 0,
      failuresInRow: 0,
      lastError: undefined,
      instance: undefined,
      cancelWait: undefined,
      line,
    };
    children.push(child);
    return child;
  }

  /** Starts one instance; answers why it did not start. */
  async function launch(child: Child): Promise<Error | undefined> {
    if (stopping !== undefined) return new Error('the supervisor is stopping');
    const controller = new AbortController();
    const instance: Instance = { controller, running: undefined, over: false, startedMs: clock.monotonicMs() };
    child.instance = instance;
    child.state = 'starting';
    const tell = (error: Error | undefined): void => {
      if (instance.over) return;
      instance.over = true;
      void inLine(child.line, () => handleEnd(child, instance, error)).catch(() => undefined);
    };
    const context = {
      failed: (error: unknown): void => tell(toError(error)),
      ended: (): void => tell(undefined),
      signal: controller.signal,
    };
    const starting = Promise.resolve().then(() => child.spec.start(context));
    const limitMs = child.spec.startTimeoutMs ?? startTimeoutMsDefault;
    const result = await settle(starting, limitMs, controller.signal);
    if (result.kind === 'done') {
      instance.running = result.value;
      child.state = 'running';
      return undefined;
    }
    instance.over = true;
    child.instance = undefined;
    child.state = 'stopped';
    controller.abort();
    // A start that comes to its end after all must leave nothing behind.
    if (result.kind !== 'failed') await abandon(child, starting);
    const error = result.kind === 'failed' ? result.error : new Error(`its start ${reasonOf(result.kind, limitMs)}`);
    child.lastError = error;
    return error;
  }

  async function abandon(child: Child, starting: Promise<RunningChild>): Promise<void> {
    const late = starting.then((running) => running.stop());
    const result = await settle(late, child.spec.stopTimeoutMs ?? stopTimeoutMsDefault);
    if (result.kind === 'late')
      options.onProblem?.(child.spec.name, new Error('its start hangs and was left to itself'));
  }

  /** A running child told its end. */
  async function handleEnd(child: Child, instance: Instance, error: Error | undefined): Promise<void> {
    if (stopping !== undefined || child.instance !== instance) return;
    if (error !== undefined) child.lastError = error;
    const ranMs = clock.monotonicMs() - instance.startedMs;
    if (ranMs >= options.withinSeconds * 1_000) child.failuresInRow = 0;
    const again = child.spec.restart === 'permanent' || (child.spec.restart === 'transient' && error !== undefined);
    if (again) await holdRest(child);
    await halt(child);
    if (again) return await restartLater(child, error ?? new Error('it ended'));
    child.state = 'ended';
    if (error !== undefined) options.onProblem?.(child.spec.name, error);
  }

  async function restartLater(child: Child, error: Error): Promise<void> {
    if (stopping !== undefined) return;
    const now = clock.monotonicMs();
    restartTimes = [...restartTimes.filter((time) => now - time <= options.withinSeconds * 1_000), now];
    if (restartTimes.length > options.maxRestarts) return escalate(error);
    child.restarts += 1;
    child.failuresInRow += 1;
    child.state = 'waiting';
    options.onRestart(child.spec.name, error);
    const backoffMs = Math.min(backoffMsMax, backoffMsFirst * 2 ** (child.failuresInRow - 1));
    const delayMs = backoffMs * (1 - options.random() / 2);
    child.cancelWait = timers.after(delayMs, () => {
      child.cancelWait = undefined;
      void inLine(child.line, () => resume(child)).catch(() => undefined);
    });
  }

  async function resume(child: Child): Promise<void> {
    // In `rest_for_one` those behind wait for this one; one of them that fails waits, and those behind wait for it.
    const rest = strategy === 'rest_for_one' ? children.slice(children.indexOf(child) + 1) : [];
    for (const next of [child, ...rest]) {
      if (stopping !== undefined) return;
      if (next.state !== 'waiting') continue;
      const error = await launch(next);
      if (error !== undefined) return await restartLater(next, error);
    }
  }

  /** Those behind the child, in reverse, are stopped and wait for it. */
  async function holdRest(child: Child): Promise<void> {
    if (strategy === 'one_for_one') return;
    for (const next of children.slice(children.indexOf(child) + 1).toReversed()) {
      if (next.state !== 'running' && next.state !== 'waiting') continue;
      await halt(next);
      next.state = next.spec.restart === 'temporary' ? 'ended' : 'waiting';
    }
  }

  async function halt(child: Child): Promise<void> {
    child.cancelWait?.();
    child.cancelWait = undefined;
    const { instance } = child;
    child.instance = undefined;
    if (instance?.running !== undefined) {
      instance.over = true;
      child.state = 'stopping';
      instance.controller.abort();
      const { running } = instance;
      const limitMs = child.spec.stopTimeoutMs ?? stopTimeoutMsDefault;
      const result = await settle(
        Promise.resolve().then(() => running.stop()),
        limitMs,
      );
      if (result.kind === 'failed') options.onProblem?.(child.spec.name, result.error);
      if (result.kind === 'late') {
        options.onProblem?.(child.spec.name, new Error(`its stop ${reasonOf('late', limitMs)}`));
      }
    }
    if (child.state !== 'ended') child.state = 'stopped';
  }

  function escalate(error: Error): void {
    if (stopping !== undefined) return;
    void stop();
    state = 'escalated';
    options.onEscalate(new Error(`${options.name}: its children fail too often`, { cause: error }));
  }

  function stop(): Promise<void> {
    stopping ??= stopAll();
    return stopping;
  }

  async function stopAll(): Promise<void> {
    state = 'stopping';
    for (const child of children) {
      child.cancelWait?.();
      if (child.state === 'starting') child.instance?.controller.abort();
    }
    for (const child of children.toReversed()) await inLine(child.line, () => halt(child)).catch(() => undefined);
    if (state === 'stopping') state = 'stopped';
  }

  type Settled<T> =
    | { readonly kind: 'done'; readonly value: T }
    | { readonly kind: 'failed'; readonly error: Error }
    | { readonly kind: 'late' }
    | { readonly kind: 'aborted' };

  function settle<T>(work: Promise<T>, limitMs: number, signal?: AbortSignal): Promise<Settled<T>> {
    return new Promise((resolve) => {
      const onAbort = (): void => finish({ kind: 'aborted' });
      const cancel = timers.after(limitMs, () => finish({ kind: 'late' }));
      const finish = (result: Settled<T>): void => {
        cancel();
        signal?.removeEventListener('abort', onAbort);
        resolve(result);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      work.then(
        (value) => finish({ kind: 'done', value }),
        (error: unknown) => finish({ kind: 'failed', error: toError(error) }),
      );
    });
  }

  return {
    start,
    stop,
    children: () =>
      children.map(({ spec, state: childState, restarts, instance, lastError }) => ({
        name: spec.name,
        state: childState,
        restarts,
        health: readHealth(instance?.running),
        lastError,
      })),
    fail(name, error) {
      const child = children.find((known) => known.spec.name === name);
      const { instance } = child ?? {};
      if (child === undefined || instance?.running === undefined || instance.over) return false;
      instance.over = true;
      void inLine(child.line, () => handleEnd(child, instance, error)).catch(() => undefined);
      return true;
    },
    state: () => state,
  };
}

const reasonOf = (kind: 'late' | 'aborted', limitMs: number): string =>
  kind === 'late' ? `took longer than ${limitMs} ms` : 'was called off';
