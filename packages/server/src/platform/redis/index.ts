/**
 * Redis: functions and messages there, on a single server, behind Sentinels, or on a Cluster.
 *
 * Guarantees: every call ends in time. When Redis is away every call throws `RedisUnavailable` at once; it is found again
 * without a restart. Messages may get lost.
 */
export type { HostPort, RedisAddress } from './dial.ts';
export { digestPart } from './keys.rule.ts';
export { openRedis, type RedisOptions } from './open.ts';
export * from './redis.ts';
