/** A clock with timers that stand still until a test moves them. */
import type { Clock } from './clock.ts';
import type { Timers } from './timers.ts';

export interface ManualClock extends Clock, Timers {
  /** Moves both clocks, and runs what falls due on the way, each at its own moment, in the order of the moments. */
  advance(ms: number): void;
  /** Sets the wall clock alone, as an administrator or a leap would. */
  setWallMs(ms: number): void;
  /** Timers that wait. */
  pending(): number;
}

interface Waiting {
  readonly dueMs: number;
  readonly run: () => void;
}

export function createManualClock(startWallMs = 1_800_000_000_000): ManualClock {
  let wall = startWallMs;
  let monotonic = 0;
  const waiting = new Set<Waiting>();

  const moveTo = (dueMs: number): void => {
    const step = Math.max(0, dueMs - monotonic);
    wall += step;
    monotonic += step;
  };

  const nextDue = (untilMs: number): Waiting | undefined => {
    let next: Waiting | undefined;
    // A set keeps the order of insertion, so of two that fall due together the older one is first.
    for (const timer of waiting) {
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  };

  return {
    wallMs: () => wall,
    monotonicMs: () => monotonic,
    after(delayMs, run) {
      const timer = { dueMs: monotonic + Math.max(0, delayMs), run };
      waiting.add(timer);
      return () => {
        waiting.delete(timer);
      };
    },
    advance(ms) {
      const untilMs = monotonic + ms;
      for (let timer = nextDue(untilMs); timer !== undefined; timer = nextDue(untilMs)) {
        waiting.delete(timer);
        moveTo(timer.dueMs);
        timer.run();
      }
      moveTo(untilMs);
    },
    setWallMs(ms) {
      wall = ms;
    },
    pending: () => waiting.size,
  };
}
