/**
 * The work of one held singleton: a run, a pause, a run. One at a time, none after the hold has ended, and none while it is to be
 * handed over. The schedule goes on where another node left it.
 */
import type { Clock, Timers } from '../../platform/time/index.ts';
import { FenceLost, type Held, type Hold } from './hold.ts';

/** `lost`: this node had to stop with it; what the run had not committed is not done. */
export type RunResult = 'success' | 'failure' | 'lost';

/** What a run may tell of itself; every node can read it. */
export type RunDetail = Readonly<Record<string, unknown>>;

export interface SingletonKind {
  readonly kind: string;
  /** There is always one of it, of this very name. */
  readonly standing?: boolean;
  /** From the end of a run to the next one. */
  readonly everyMs: number;
  /**
   * One run: idempotent, in bounded batches, every write under the fence of `held`. One that is to go on for long returns when
   * `held.signal` is aborted.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a run that tells nothing ends without a return.
  run(held: Held): Promise<RunDetail | void>;
}

export interface Runner {
  /** No further run begins. Answers whether none is under way. */
  rest(): boolean;
  /** Runs go on after a rest. */
  resume(): void;
  /** Resolves when the run under way has ended. */
  ended(): Promise<void>;
}

export function createRunner(deps: {
  readonly hold: Hold;
  readonly kind: SingletonKind;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  /** Since its latest run on any node; `null` when it never ran. */
  readonly ranMsAgo: number | null;
  readonly record: (result: RunResult, detail: RunDetail | null) => Promise<void>;
  readonly onRun: (result: RunResult, error: unknown) => void;
}): Runner {
  const { hold, kind, clock, timers } = deps;
  let running: Promise<void> | null = null;
  let resting = false;
  let cancel = (): void => undefined;
  let dueMs = clock.monotonicMs() + kind.everyMs - Math.min(kind.everyMs, Math.max(0, deps.ranMsAgo ?? 0));

  async function once(): Promise<void> {
    let result: RunResult = 'success';
    let detail: RunDetail | null = null;
    let failure: unknown;
    try {
      detail = (await kind.run(hold)) ?? null;
    } catch (error) {
      failure = error;
      result = error instanceof FenceLost || hold.signal.aborted ? 'lost' : 'failure';
    }
    deps.onRun(result, failure);
    // Only told, and told again after the next run.
    await deps.record(result, detail).catch(() => undefined);
  }

  function arm(): void {
    if (resting || hold.signal.aborted) return;
    cancel = timers.after(dueMs - clock.monotonicMs(), () => {
      if (resting || !hold.isValid()) return;
      running = once().finally(() => {
        running = null;
        dueMs = clock.monotonicMs() + kind.everyMs;
        arm();
      });
    });
  }

  hold.signal.addEventListener('abort', () => cancel(), { once: true });
  arm();
  return {
    rest() {
      resting = true;
      cancel();
      return running === null;
    },
    resume() {
      if (!resting) return;
      resting = false;
      if (running === null) arm();
    },
    ended: async () => {
      await running;
    },
  };
}
