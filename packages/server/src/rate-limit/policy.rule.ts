/** Rate-limit policies: how they are written in the configuration and in headers, and the decision itself (GCRA). */

/** `limit` requests may come at once; used ones come back evenly over the window. */
export interface RatePolicy {
  readonly limit: number;
  readonly windowSeconds: number;
}

export interface RateLimitResult extends RatePolicy {
  readonly policy: string;
  readonly allowed: boolean;
  /** What may still come at once. */
  readonly remaining: number;
  /** Whole seconds until the limit is whole again. */
  readonly resetSeconds: number;
  /** Whole seconds until this request would be allowed; 0 when it is. */
  readonly retryAfterSeconds: number;
}

const limitMax = 1_000_000;
const windowSecondsMax = 86_400;

/** `20/60`: twenty in sixty seconds. `undefined` when it does not read so, or is beyond a million or a day. */
export function parseRateLimit(text: string): RatePolicy | undefined {
  const match = /^\s*(\d{1,7})\s*\/\s*(\d{1,5})\s*$/.exec(text);
  if (match === null) return undefined;
  const limit = Number(match[1]);
  const windowSeconds = Number(match[2]);
  if (limit < 1 || limit > limitMax || windowSeconds < 1 || windowSeconds > windowSecondsMax) return undefined;
  return { limit, windowSeconds };
}

/** draft-ietf-httpapi-ratelimit-headers: the policy, and where this client stands. */
export function rateLimitHeaders(result: RateLimitResult): Readonly<Record<'RateLimit-Policy' | 'RateLimit', string>> {
  return {
    'RateLimit-Policy': `"${result.policy}";q=${result.limit};w=${result.windowSeconds}`,
    RateLimit: `"${result.policy}";r=${result.remaining};t=${result.resetSeconds}`,
  };
}

export interface GcraDecision {
  readonly allowed: boolean;
  /** The theoretical arrival time to store: when everything that was taken will have come back, in milliseconds. */
  readonly arrivalMs: number;
  readonly remaining: number;
  readonly resetSeconds: number;
  readonly retryAfterSeconds: number;
}

/**
 * The generic cell rate algorithm. `arrivalMs` is what was stored (anything up to now: nothing is taken). A refused request
 * takes nothing, so whoever keeps knocking is let in as soon as whoever waits.
 */
export function decide(policy: RatePolicy, arrivalMs: number, nowMs: number, cost: number): GcraDecision {
  const windowMs = policy.windowSeconds * 1000;
  const intervalMs = windowMs / policy.limit;
  // So that no rounding takes the last one away: a thousandth of a request, and what a clock of that size cannot tell apart.
  const roundingMs = policy.limit * nowMs * Number.EPSILON;
  const toleranceMs = Math.min(intervalMs / 2, intervalMs / 1000 + roundingMs);
  const takenMs = Math.max(arrivalMs - nowMs, 0);
  const wantedMs = takenMs + intervalMs * cost;
  const allowed = wantedMs <= windowMs + toleranceMs;
  const usedMs = allowed ? wantedMs : takenMs;
  return {
    allowed,
    arrivalMs: nowMs + usedMs,
    remaining: Math.max(0, Math.floor((windowMs - usedMs + toleranceMs) / intervalMs)),
    resetSeconds: Math.ceil((usedMs - toleranceMs) / 1000),
    retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil((wantedMs - windowMs - toleranceMs) / 1000)),
  };
}
