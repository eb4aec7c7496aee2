/** Rate limits in a real Redis: the same decisions as in the process, shared by nodes, and what happens without it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { digestPart, openRedis, type Redis, redisFunction } from '../../packages/server/src/platform/redis/index.ts';
import {
  createLocalRateLimiter,
  createRedisRateLimiter,
  type RatePolicy,
} from '../../packages/server/src/rate-limit/index.ts';
import { decide } from '../../packages/server/src/rate-limit/policy.rule.ts';
import { rateLimitContract } from '../../packages/server/src/rate-limit/rate-limit.contract.ts';
import { decisionOf, gcraText } from '../../packages/server/src/rate-limit/rate-limit.redis.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/service.ts';

/** Test machines are slow and shared: what is not about deadlines must not fail by them. */
const patienceMs = 10_000;
const clock = { monotonicMs: () => performance.now() };
let server: TestRedis;
let open: Redis[] = [];
let prefixes = 0;

before(async () => {
  server = await startRedis();
});
afterEach(async () => {
  await Promise.all(open.map((redis) => redis.close()));
  open = [];
});
after(() => server.stop());

async function connect(prefix = `p${prefixes++}:`): Promise<Redis> {
  const redis = await openRedis({
    address: { kind: 'single', server: { host: '127.0.0.1', port: server.port } },
    prefix,
    connectionName: 'test',
    clock,
    random: systemRandom,
    deadlineMs: patienceMs,
  });
  open.push(redis);
  return redis;
}

function limiterOn(redis: Redis, policies: Record<string, RatePolicy>, nodes = 1) {
  const states: string[] = [];
  const alone = createLocalRateLimiter({ policies, clock, random: systemRandom, slots: 1_024 });
  const limiter = createRedisRateLimiter({
    ...{ redis, policies, alone, clock, patienceMs },
    countedBy: () => nodes,
    onState: (state) => states.push(state),
  });
  return { limiter, states };
}

describe('rate limits in Redis', () => {
  rateLimitContract(async (policies) => {
    const { limiter } = limiterOn(await connect(), policies);
    return { limiter, pass: (ms) => sleep(ms) };
  });

  test('decide like those of the process, for any policy, time and cost', async () => {
    const redis = await connect();
    // Time stands still for Redis here: its keys must not go by its own clock.
    const text = gcraText('tonumber(ARGV[4])').replace("'PX', math.ceil(used) + 1", "'EX', 60");
    assert.match(text, /'EX', 60/);
    const takeAt = redisFunction('test_take_at', 1, text, decisionOf);
    const policies = fc.record({
      limit: fc.integer({ min: 1, max: 1_000_000 }),
      windowSeconds: fc.integer({ min: 1, max: 86_400 }),
    });
    const move = fc.record({
      afterMs: fc.double({ min: 0, max: 20_000, noNaN: true }),
      cost: fc.integer({ min: 1, max: 50 }),
    });
    const start = fc.double({ min: 0, max: 1e6, noNaN: true });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(policies, start, fc.array(move, { maxLength: 12 }), async (policy, from, moves) => {
        const key = redis.key('agree', `run${runs++}`);
        let arrival = 0;
        let now = from;
        for (const { afterMs, cost } of moves) {
          now += afterMs;
          const { arrivalMs, ...decision } = decide(policy, arrival, now, cost);
          arrival = arrivalMs;
          const there = await redis.run(takeAt, [key], [policy.limit, policy.windowSeconds, cost, now]);
          // Adding zero makes one zero of two.
          const inWords = (d: typeof there) => ({ ...d, resetSeconds: d.resetSeconds + 0 });
          assert.deepEqual(inWords(there), inWords(decision));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('RAT-01 two nodes count together', async () => {
    const policies = { login: { limit: 10, windowSeconds: 3_600 } };
    const [one, two] = [limiterOn(await connect('shared:'), policies), limiterOn(await connect('shared:'), policies)];
    let allowed = 0;
    for (let n = 0; n < 20; n++) {
      const result = await (n % 2 === 0 ? one : two).limiter.take('login', '10.0.0.1');
      allowed += result.allowed ? 1 : 0;
    }
    assert.equal(allowed, 10);
  });

  test('RAT-06, INP-09 keys are of one form and go when everything has come back', async () => {
    const { limiter } = limiterOn(await connect('form:'), { login: { limit: 10, windowSeconds: 1 } });
    await limiter.take('login', 'x\r\n{}');
    const key = `form:limit:{${digestPart('login\nx\r\n{}')}}:login`;
    assert.equal(await server.command('KEYS', 'form:*'), key);
    const ttlMs = Number(await server.command('PTTL', key));
    assert.ok(ttlMs <= 102, `${ttlMs}`);
    await until('the key has gone', async () => (await server.command('KEYS', 'form:*')) === '');
  });

  test('RAT-05 without Redis each node counts its share: at most twice the limit in all, and never nothing', async () => {
    const policies = { login: { limit: 30, windowSeconds: 3_600 } };
    const nodes = await Promise.all([1, 2, 3].map(async () => limiterOn(await connect('away:'), policies, 3)));
    const flood = async (): Promise<number> => {
      let allowed = 0;
      for (let n = 0; n < 150; n++)
        allowed += (await nodes[n % 3]?.limiter.take('login', 'a'))?.allowed === true ? 1 : 0;
      return allowed;
    };
    assert.equal(await flood(), 30);
    await server.kill9();
    const without = await flood();
    assert.ok(without >= 3 && without <= 30, `${without}`);
    for (const { limiter, states } of nodes) {
      assert.equal(limiter.state, 'per_node');
      assert.deepEqual(states, ['per_node']);
    }
    await server.restart({ wiped: true });
    await until('Redis counts again', async () => {
      await nodes[0]?.limiter.take('login', 'b');
      return nodes[0]?.states.at(-1) === 'shared';
    });
    assert.equal(nodes[0]?.limiter.state, 'shared');
  });

  test('RAT-05 a counter that is no counter of ours is counted here instead: neither refused for good nor unlimited', async () => {
    const redis = await connect('foreign:');
    const { limiter, states } = limiterOn(redis, { login: { limit: 4, windowSeconds: 3_600 } }, 2);
    assert.ok((await limiter.take('login', 'a')).allowed);
    const key = (await server.command('KEYS', 'foreign:*')).trim();
    for (const spoil of [
      ['SET', key, 'x y'],
      ['DEL', key],
      ['LPUSH', key, 'x'],
    ]) {
      await server.command(...spoil);
      if (spoil[0] === 'DEL') continue;
      assert.equal(typeof (await limiter.take('login', 'a')).allowed, 'boolean', spoil.join(' '));
    }
    assert.equal((await limiter.take('login', 'a')).allowed, false);
    assert.deepEqual([states, limiter.state], [['per_node'], 'per_node']);
  });

  test('F-16 a Redis that is full is told of as well, though it is up', async () => {
    const redis = await connect();
    const { limiter } = limiterOn(redis, { login: { limit: 2, windowSeconds: 3_600 } });
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    assert.ok((await limiter.take('login', 'a')).allowed);
    assert.ok((await limiter.take('login', 'a')).allowed);
    assert.ok(!(await limiter.take('login', 'a')).allowed);
    assert.deepEqual([limiter.state, redis.isUp], ['per_node', true]);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    assert.ok((await limiter.take('login', 'a')).allowed);
  });
});
