/**
 * Counters in the primary process, for workers of one machine: a limit is the limit, however many workers there are and
 * whichever of them a connection is handed to. A primary that does not answer in time leaves the decision to counters of
 * the worker's own.
 */
import type { RateLimitResult, RatePolicy } from './policy.rule.ts';
import type { RateLimiter } from './rate-limit.ts';

/** A primary that is gone refuses at once; this is for one that stands still. */
const deadlineMs = 1_000;

export function createPrimaryRateLimiter(deps: {
  /** Rejects when there is no answer in time. */
  readonly ask: (body: readonly [policy: string, key: string, cost: number], deadlineMs: number) => Promise<unknown>;
  readonly local: RateLimiter;
  /** The policies of `local`, which are smaller than the primary's. */
  readonly shares: Readonly<Record<string, RatePolicy>>;
}): RateLimiter {
  return {
    take: (policy, key, cost = 1) =>
      deps.ask([policy, key, cost], deadlineMs).then(
        (answer) => answer as RateLimitResult,
        // What costs more than there is here would never pass.
        () => deps.local.take(policy, key, Math.min(cost, deps.shares[policy]?.limit ?? cost)),
      ),
  };
}
