import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createFingerprint } from './fingerprint.ts';
import { parseRateLimit, type RatePolicy, rateLimitHeaders } from './policy.rule.ts';
import { rateLimitContract } from './rate-limit.contract.ts';
import { createPrimaryRateLimiter } from './rate-limit.ipc.ts';
import { createLocalRateLimiter, type LocalRateLimiter } from './rate-limit.local.ts';

const secret = Buffer.from('0102030405060708', 'hex');
const random = { bytes: () => secret };

function limiterOf(
  policies: Record<string, RatePolicy>,
  slots = 1024,
): { limiter: LocalRateLimiter; clock: { ms: number } } {
  const clock = { ms: 1_000_000.25 };
  return {
    clock,
    limiter: createLocalRateLimiter({ policies, clock: { monotonicMs: () => clock.ms }, random, slots }),
  };
}

describe('the in-process rate limit', () => {
  rateLimitContract(async (policies) => {
    const { limiter, clock } = limiterOf(policies);
    return {
      limiter,
      pass: async (ms) => {
        clock.ms += ms;
      },
    };
  });

  test('RAT-01 exactly the limit passes at once, whatever the limit and the window', () => {
    const policy = fc.record({
      limit: fc.integer({ min: 1, max: 700 }),
      windowSeconds: fc.integer({ min: 1, max: 86_400 }),
    });
    fc.assert(
      fc.property(policy, fc.double({ min: 0, max: 1e12, noNaN: true }), (login, start) => {
        const { limiter, clock } = limiterOf({ login });
        clock.ms = start;
        for (let left = login.limit - 1; left >= 0; left--) {
          const result = limiter.take('login', 'a');
          assert.ok(result.allowed);
          assert.equal(result.remaining, left);
        }
        const refused = limiter.take('login', 'a');
        assert.ok(!refused.allowed && refused.remaining === 0 && refused.retryAfterSeconds >= 1);
        assert.ok(limiter.take('login', 'b').allowed);
      }),
    );
  });

  test('what was taken comes back evenly, and Retry-After tells the truth', () => {
    const { limiter, clock } = limiterOf({ login: { limit: 20, windowSeconds: 60 } });
    for (let n = 0; n < 20; n++) limiter.take('login', 'a');
    assert.equal(limiter.take('login', 'a').retryAfterSeconds, 3);
    clock.ms += 2_900;
    assert.equal(limiter.take('login', 'a').retryAfterSeconds, 1);
    clock.ms += 100;
    assert.ok(limiter.take('login', 'a').allowed);
    assert.ok(!limiter.take('login', 'a').allowed);
    clock.ms += 60_000;
    assert.equal(limiter.take('login', 'a').remaining, 19);
  });

  test('over any time no more passes than the limit and what came back since', () => {
    const step = fc.record({ waitMs: fc.integer({ min: 0, max: 5_000 }), tries: fc.integer({ min: 0, max: 8 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const login = { limit: 5, windowSeconds: 10 };
        const { limiter, clock } = limiterOf({ login });
        let passed = 0;
        let elapsedMs = 0;
        for (const { waitMs, tries } of steps) {
          clock.ms += waitMs;
          elapsedMs += waitMs;
          for (let n = 0; n < tries; n++) if (limiter.take('login', 'a').allowed) passed++;
          assert.ok(passed <= login.limit + (elapsedMs / 10_000) * login.limit + 0.01);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('whoever keeps knocking while refused is let in as soon as whoever waits', () => {
    const { limiter, clock } = limiterOf({ login: { limit: 2, windowSeconds: 10 } });
    limiter.take('login', 'a', 2);
    for (let n = 0; n < 49; n++) {
      clock.ms += 100;
      assert.ok(!limiter.take('login', 'a').allowed);
    }
    clock.ms += 100;
    assert.ok(limiter.take('login', 'a').allowed);
  });

  test('RAT-01 policies have separate budgets, and an unknown one is a mistake', () => {
    const { limiter } = limiterOf({ login: { limit: 1, windowSeconds: 60 }, refresh: { limit: 1, windowSeconds: 60 } });
    assert.ok(limiter.take('login', 'a').allowed);
    assert.ok(limiter.take('refresh', 'a').allowed);
    assert.ok(!limiter.take('login', 'a').allowed);
    assert.throws(() => limiter.take('logout', 'a'), /no rate limit is named logout/);
    assert.throws(() => limiter.take('__proto__', 'a'), /no rate limit/);
  });

  test('RAT-06 a flood of keys does not free one that is over its limit', () => {
    const { limiter } = limiterOf({ login: { limit: 20, windowSeconds: 60 } }, 1024);
    for (let n = 0; n < 20; n++) limiter.take('login', 'attacker');
    for (let n = 0; n < 50_000; n++) limiter.take('login', `flood-${n}`);
    assert.ok(!limiter.take('login', 'attacker').allowed);
  });

  test('RAT-06 a million keys take less than 64 MiB', () => {
    const limiter = createLocalRateLimiter({
      policies: { login: { limit: 20, windowSeconds: 3600 } },
      clock: { monotonicMs: () => 1e6 },
      random,
    });
    const before = process.memoryUsage.rss();
    for (let n = 0; n < 1_000_000; n++)
      limiter.take('login', `2001:db8:${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}::/64`);
    const grownMib = (process.memoryUsage.rss() - before) / 2 ** 20;
    assert.ok(grownMib < 64, `${grownMib} MiB`);
    let remembered = 0;
    for (let n = 0; n < 1000; n++)
      if (limiter.take('login', `2001:db8:0:${n.toString(16)}::/64`).remaining === 18) remembered++;
    assert.ok(remembered > 500, `${remembered} of 1000 of the oldest are remembered`);
  });
});

describe('rate-limit policies', () => {
  test('are written as N/SECONDS, and nothing else', () => {
    assert.deepEqual(parseRateLimit('20/60'), { limit: 20, windowSeconds: 60 });
    assert.deepEqual(parseRateLimit(' 600 / 60 '), { limit: 600, windowSeconds: 60 });
    for (const wrong of [
      '',
      '20',
      '20/',
      '/60',
      '0/60',
      '20/0',
      '-1/60',
      '1.5/60',
      '20/60/60',
      '1e3/60',
      '20/86401',
      '1000001/60',
    ]) {
      assert.equal(parseRateLimit(wrong), undefined, wrong);
    }
  });

  test('are told in the headers of the draft, with what is left and when it is whole again', () => {
    const { limiter } = limiterOf({ login: { limit: 20, windowSeconds: 60 } });
    assert.deepEqual(rateLimitHeaders(limiter.take('login', 'a')), {
      'RateLimit-Policy': '"login";q=20;w=60',
      RateLimit: '"login";r=19;t=3',
    });
  });
});

describe('fingerprints', () => {
  test('of different texts, spaces and secrets differ, and their bits are even', () => {
    const fingerprint = createFingerprint(secret);
    const seen = new Set<string>();
    let ones = 0;
    for (let n = 0; n < 20_000; n++) {
      const [high, low] = fingerprint(n % 2, `10.0.${n >>> 9}.${n >>> 1}`);
      assert.ok(high >= 0 && low >= 0);
      seen.add(`${high}/${low}`);
      ones += high.toString(2).replaceAll('0', '').length;
    }
    assert.equal(seen.size, 20_000);
    assert.ok(Math.abs(ones / 20_000 - 16) < 0.1);
    assert.notDeepEqual([...fingerprint(0, 'a')], [...createFingerprint(Buffer.alloc(8))(0, 'a')]);
    assert.notDeepEqual([...fingerprint(0, 'a')], [...fingerprint(0, 'a\0')]);
  });
});

test('RAT-05 a worker that is left to itself, without its primary, still lets its share pass, whatever a request weighs', async () => {
  const shares = { login: { limit: 2, windowSeconds: 60 } };
  const { limiter: local } = limiterOf(shares);
  const alone = createPrimaryRateLimiter({ local, shares, ask: () => Promise.reject(new Error('no answer')) });
  // As heavy as when Redis is away and three machines share a limit of five.
  assert.deepEqual(
    [(await alone.take('login', 'a', 3)).allowed, (await alone.take('login', 'a', 3)).allowed],
    [true, false],
  );
  assert.ok((await alone.take('login', 'b')).allowed);
});
