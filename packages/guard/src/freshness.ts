/**
 * Whether this process may still say "valid": it has proved, at most `maxStalenessMs` ago, that it knew every revocation.
 *
 * Counted on the monotonic clock from **before** the confirming request was sent. The wall clock is compared as well, because a
 * monotonic clock may stand still while a machine is suspended; only its advance on this machine counts. Everything doubtful is
 * stale: never confirmed, invalidated, a clock that ran backwards.
 */

/** One moment, on both clocks, milliseconds. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** Whether this process may still say "valid". */
export interface Freshness {
  /** Now, on both clocks: take it before a confirming request is sent. */
  moment(): Moment;
  /** Everything that was committed when `sent` was taken is known. An older one than the last changes nothing. */
  confirm(sentAtMonotonicMs: number, sentAtWallMs: number): void;
  /** Stale from now on, until something sent after this call is confirmed. */
  invalidate(): void;
  /** `wallMs`: the wall clock as the caller has just read it, after its look-up; it is read here otherwise. */
  isFresh(wallMs?: number): boolean;
  /** The same with another bound than `maxStalenessMs`. */
  isFreshWithin(boundMs: number, wallMs?: number): boolean;
  /** Milliseconds since the last confirmation was sent; `Infinity` when there is none. */
  lagMs(): number;
}

const never = Number.NEGATIVE_INFINITY;

/** Nothing is confirmed yet, so it begins stale. Clocks are milliseconds. */
export function createFreshness(deps: {
  readonly monotonicNow: () => number;
  readonly wallNow: () => number;
  readonly maxStalenessMs: number;
}): Freshness {
  const { monotonicNow, wallNow, maxStalenessMs } = deps;
  if (!(maxStalenessMs > 0)) throw new TypeError('maxStalenessMs must be more than 0');
  let monotonicMs = never;
  let wallMs = never;
  let invalidatedAt = never;

  function isFreshWithin(boundMs: number, nowWallMs: number): boolean {
    const elapsed = monotonicNow() - monotonicMs;
    return elapsed >= 0 && elapsed < boundMs && nowWallMs - wallMs < boundMs;
  }

  return {
    moment: () => ({ monotonicMs: monotonicNow(), wallMs: wallNow() }),
    confirm(sentAtMonotonicMs, sentAtWallMs) {
      if (!(sentAtMonotonicMs >= invalidatedAt) || !(sentAtMonotonicMs >= monotonicMs)) return;
      monotonicMs = sentAtMonotonicMs;
      wallMs = sentAtWallMs;
    },
    invalidate() {
      invalidatedAt = monotonicNow();
      monotonicMs = never;
      wallMs = never;
    },
    isFresh: (nowWallMs = wallNow()) => isFreshWithin(maxStalenessMs, nowWallMs),
    isFreshWithin: (boundMs, nowWallMs = wallNow()) => isFreshWithin(boundMs, nowWallMs),
    lagMs: () => monotonicNow() - monotonicMs,
  };
}
