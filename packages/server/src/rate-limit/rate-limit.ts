/** The port: counters that a limit is taken from. */
import type { RateLimitResult } from './policy.rule.ts';

export interface RateLimiter {
  /**
   * Takes `cost` (1) from what `key` has left under `policy`, if there is so much. A policy that is not configured is a
   * mistake in the program, and throws.
   */
  take(policy: string, key: string, cost?: number): RateLimitResult | Promise<RateLimitResult>;
  /** Where nodes should count together: whether they do. */
  readonly state?: 'shared' | 'per_node';
}
