/**
 * Redis: functions and messages there, on a single server, behind Sentinels, or on a Cluster.
 *
 * Guarantees: every call ends in time. When Redis is away every call throws `RedisUnavailable` at once; it is found again
 * without a restart. Messages may get lost. Who has no Redis does not load its client.
 */
import type { RedisOptions } from './open.ts';
import type { Redis } from './redis.ts';

export type { HostPort, RedisAddress } from './dial.ts';
export { digestPart } from './keys.rule.ts';
export type { RedisOptions } from './open.ts';
export * from './redis.ts';

/** Resolves when it is known whether Redis is there: a Redis that is away is looked for until `close`. */
export async function openRedis(options: RedisOptions): Promise<Redis> {
  const { open } = await import('./open.ts');
  return open(options);
}
