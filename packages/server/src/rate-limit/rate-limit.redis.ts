/**
 * Counters in Redis, shared by all nodes: one function there, one round trip a decision, on the clock of Redis.
 *
 * When Redis is away, takes longer than 250 ms, or holds something else where the counter should be, the decision is made in the
 * process: each node then gives what is its share of the limit among the live nodes, so that all together accept at most twice the
 * limit around the moment of the loss. The next decision that Redis makes ends that.
 */
import { digestPart, type Redis, redisFunction } from '../platform/redis/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { RateLimitResult, RatePolicy } from './policy.rule.ts';
import type { RateLimiter } from './rate-limit.ts';

export interface RedisRateLimiterOptions {
  readonly redis: Pick<Redis, 'key' | 'run' | 'isUp'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly policies: Readonly<Record<string, RatePolicy>>;
  /** Who decides when Redis does not. */
  readonly alone: RateLimiter;
  /** How many such deciders there are, this one included. */
  readonly countedBy: () => number;
  /** How long a decision may take; 250. */
  readonly patienceMs?: number;
  /** Once for each change, as the next decision finds it. */
  readonly onState?: (state: 'shared' | 'per_node') => void;
}

export interface RedisRateLimiter extends RateLimiter {
  take(policy: string, key: string, cost?: number): Promise<RateLimitResult>;
  /** `per_node`: Redis is away, or a decision of the last seconds was made without it. */
  readonly state: 'shared' | 'per_node';
}

type Decision = Pick<RateLimitResult, 'allowed' | 'remaining' | 'resetSeconds' | 'retryAfterSeconds'>;

const patienceMsDefault = 250;
/** A Redis that fails now and then is told of once, not at each failure. */
const rememberedMs = 5_000;

const takeCell = redisFunction(
  'rate_limit_take',
  1,
  gcraText("(function() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end)()"),
  decisionOf,
);

export function createRedisRateLimiter(options: RedisRateLimiterOptions): RedisRateLimiter {
  const { redis, alone, policies, clock, patienceMs = patienceMsDefault } = options;
  const known = new Map(Object.entries(policies));
  let failedAt: number | undefined;
  const hasFailed = (): boolean => failedAt !== undefined && clock.monotonicMs() - failedAt < rememberedMs;

  function failed(): void {
    if (failedAt === undefined) options.onState?.('per_node');
    failedAt = clock.monotonicMs();
  }

  function decided(): void {
    if (failedAt === undefined || hasFailed()) return;
    failedAt = undefined;
    options.onState?.('shared');
  }

  return {
    get state() {
      return !redis.isUp || hasFailed() ? 'per_node' : 'shared';
    },
    async take(name, key, cost = 1) {
      const policy = known.get(name);
      if (policy === undefined) throw new Error(`no rate limit is named ${name}`);
      const { limit, windowSeconds } = policy;
      const cell = redis.key('limit', digestPart(`${name}\n${key}`), name);
      try {
        const decision = await redis.run(takeCell, [cell], [limit, windowSeconds, cost], patienceMs);
        decided();
        return { policy: name, ...policy, ...decision };
      } catch {
        // Whatever it was: a request is neither refused nor let through for what a shared store does.
        failed();
        // A share of the limit is the limit with every request weighing as many times as there are nodes.
        const weight = Math.min(Math.max(1, options.countedBy()) * cost, limit);
        const result = await alone.take(name, key, weight);
        return { ...result, remaining: Math.floor(result.remaining / (weight / cost)) };
      }
    },
  };
}

/**
 * The same algorithm as `decide` of `policy.rule.ts`. `now` is the expression of the time in milliseconds. What is kept is the time
 * and what was taken then, not their sum: as a double the sum would lose microseconds with each of many requests. A clock
 * that steps back gives nothing back. The key goes when everything that was taken has come back.
 */
export function gcraText(now: string): string {
  return `
local limit = tonumber(ARGV[1])
local windowMs = tonumber(ARGV[2]) * 1000
local cost = tonumber(ARGV[3])
local now = ${now}
local at, held = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+)$')
local interval = windowMs / limit
local tolerance = interval / 1000
local taken = 0
if at then taken = math.max(tonumber(held) - math.max(now - tonumber(at), 0), 0) end
local wanted = taken + interval * cost
local allowed = wanted <= windowMs + tolerance
local used = taken
if allowed then
  used = wanted
  redis.call('SET', KEYS[1], string.format('%.17g %.17g', now, used), 'PX', math.ceil(used) + 1)
end
local retry = 0
if not allowed then retry = math.max(1, math.ceil((wanted - windowMs - tolerance) / 1000)) end
return {
  allowed and 1 or 0,
  math.max(0, math.floor((windowMs - used + tolerance) / interval)),
  math.ceil((used - tolerance) / 1000),
  retry
}`;
}

export function decisionOf(reply: unknown): Decision {
  if (!Array.isArray(reply) || reply.length !== 4) throw new Error('a rate limit in Redis answered something else');
  const [allowed, remaining = 0, resetSeconds = 0, retryAfterSeconds = 0] = reply.map(Number);
  return { allowed: allowed === 1, remaining, resetSeconds, retryAfterSeconds };
}
