/**
 * One wall clock for all nodes of a store: the database's, kept between two readings by the monotonic clock.
 *
 * Guarantee: a step of this machine's wall clock, either way, changes nothing that is decided by time (whether a token has
 * expired, when one was issued): nobody is refused and nothing dead is accepted for it. Off by at most `toleranceMs` and half
 * of a round trip; the clock only moves when it is wrong by more. Before the first reading it is the machine's own.
 */
import type { Clock } from './clock.ts';

export interface StoreClock {
  readonly clock: Clock;
  /** The store said `storeMs` at some moment between these two of the monotonic clock. */
  learn(storeMs: number, sentMonotonicMs: number, receivedMonotonicMs: number): void;
}

const toleranceMs = 1_000;

export function createStoreClock(
  machine: Clock,
  /** Told once when the machine's own clock is found to be wrong by so many milliseconds, and with 0 when it is right again. */
  onSkew: (skewMs: number) => void = () => undefined,
): StoreClock {
  let offsetMs = machine.wallMs() - machine.monotonicMs();
  let skewed = false;

  function tellSkew(skewMs: number, doubtMs: number): void {
    const isSkewed = Math.abs(skewMs) > toleranceMs + doubtMs;
    if (isSkewed !== skewed) onSkew(isSkewed ? Math.round(skewMs) : 0);
    skewed = isSkewed;
  }

  return {
    clock: { wallMs: () => machine.monotonicMs() + offsetMs, monotonicMs: machine.monotonicMs },
    learn(storeMs, sentMonotonicMs, receivedMonotonicMs) {
      const doubtMs = (receivedMonotonicMs - sentMonotonicMs) / 2;
      const storeOffsetMs = storeMs - (sentMonotonicMs + doubtMs);
      if (Math.abs(storeOffsetMs - offsetMs) > toleranceMs + doubtMs) offsetMs = storeOffsetMs;
      tellSkew(machine.wallMs() - machine.monotonicMs() - storeOffsetMs, doubtMs);
    },
  };
}
