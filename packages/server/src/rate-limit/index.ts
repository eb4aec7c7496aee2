/**
 * Rate limits per client: so many at once, coming back evenly over the window.
 *
 * - A decision is made in memory, without I/O, before anything of the request's body is looked at. Workers of one machine
 *   share the counters of their primary.
 * - The table of counters is bounded; a flood of addresses costs at most its 16 MiB.
 */

export { type RateLimitResult, type RatePolicy, rateLimitHeaders } from './policy.rule.ts';
export { createPrimaryRateLimiter } from './rate-limit.ipc.ts';
export { createLocalRateLimiter, type LocalRateLimiter, type LocalRateLimiterOptions } from './rate-limit.local.ts';
export { createRedisRateLimiter, type RedisRateLimiter } from './rate-limit.redis.ts';
export type { RateLimiter } from './rate-limit.ts';
