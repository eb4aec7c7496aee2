/** One completion of a beat by the real `Subscriber` and the real freshness rule, for each case that the model comes to. */
import { createFreshness, createSubscriber } from '@auth-service/guard';

export interface Reading {
  /** The cursor with which the beat began: the store's epoch and whether the revocation was visible; `null` for none. */
  readonly cursor: { readonly epoch: string; readonly snapshot: string } | null;
  readonly epoch: string;
  readonly snapshot: string;
  /** Ticks between the sending of the first statement and now. */
  readonly age: number;
}

export interface Completed {
  readonly cursor: { readonly epoch: string; readonly snapshot: string } | null;
  /** Ticks for which the node goes on vouching. */
  readonly freshFor: number;
  /** Whether the rows that were read are in the replica. */
  readonly applied: boolean;
}

const tickMs = 1_000;
const row = { kind: 'session', subject: 'x', min_epoch: 0, expires_at: 2 ** 31 } as const;

export function completeReally(reading: Reading, stalenessTicks: number): Completed {
  const time = { nowMs: 0 };
  const freshness = createFreshness({
    monotonicNow: () => time.nowMs,
    wallNow: () => time.nowMs,
    maxStalenessMs: stalenessTicks * tickMs,
  });
  let held = 0;
  const replica = {
    applyMany(entries: Iterable<unknown>): void {
      for (const _ of entries) held += 1;
    },
    horizon: () => Number.NEGATIVE_INFINITY,
    swept: () => 0,
    reloaded: () => undefined,
  };
  const subscriber = createSubscriber({ replica, freshness });
  const { cursor } = reading;
  if (cursor !== null) {
    const read = { storeEpoch: cursor.epoch, snapshot: cursor.snapshot, entries: [], whole: true };
    subscriber.complete(subscriber.begin(), read);
    time.nowMs += 100 * tickMs;
  }
  const attempt = subscriber.begin();
  time.nowMs += reading.age * tickMs;
  subscriber.complete(attempt, {
    storeEpoch: reading.epoch,
    snapshot: reading.snapshot,
    entries: [row],
    whole: attempt.whole,
  });
  let freshFor = 0;
  for (; freshFor < stalenessTicks && freshness.isFresh(); time.nowMs += tickMs) freshFor += 1;
  const now = subscriber.cursor();
  return {
    cursor: now === null ? null : { epoch: now.storeEpoch, snapshot: now.snapshot },
    freshFor,
    applied: held === 1,
  };
}
