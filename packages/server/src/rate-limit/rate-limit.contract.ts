/** What every adapter of the rate limit's port must do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RatePolicy } from './policy.rule.ts';
import type { RateLimiter } from './rate-limit.ts';

export interface LimiterUnderTest {
  readonly limiter: RateLimiter;
  /** Lets time pass, at least as long. */
  pass(ms: number): Promise<void>;
}

/** `make` gives a limiter with nothing taken under these policies. */
export function rateLimitContract(make: (policies: Record<string, RatePolicy>) => Promise<LimiterUnderTest>): void {
  test('RAT-01 exactly the limit passes at once, and the next is refused with the time to wait', async () => {
    const { limiter } = await make({ login: { limit: 5, windowSeconds: 3_600 } });
    for (let left = 4; left >= 0; left--) {
      const result = await limiter.take('login', 'a');
      assert.deepEqual([result.allowed, result.remaining, result.retryAfterSeconds], [true, left, 0]);
      assert.deepEqual([result.policy, result.limit, result.windowSeconds], ['login', 5, 3_600]);
    }
    const refused = await limiter.take('login', 'a');
    assert.deepEqual([refused.allowed, refused.remaining], [false, 0]);
    assert.ok(refused.retryAfterSeconds > 700 && refused.retryAfterSeconds <= 720, `${refused.retryAfterSeconds}`);
    assert.ok(refused.resetSeconds > 3_580 && refused.resetSeconds <= 3_600, `${refused.resetSeconds}`);
    assert.ok((await limiter.take('login', 'b')).allowed);
  });

  test('RAT-02 of many at once exactly the limit pass', async () => {
    const { limiter } = await make({ login: { limit: 20, windowSeconds: 3_600 } });
    const all = await Promise.all(Array.from({ length: 200 }, async () => limiter.take('login', 'a')));
    assert.equal(all.filter(({ allowed }) => allowed).length, 20);
  });

  test('RAT-01 policies have separate budgets, and an unknown one is a mistake', async () => {
    const { limiter } = await make({
      login: { limit: 1, windowSeconds: 60 },
      refresh: { limit: 1, windowSeconds: 60 },
    });
    assert.ok((await limiter.take('login', 'a')).allowed);
    assert.ok((await limiter.take('refresh', 'a')).allowed);
    assert.ok(!(await limiter.take('login', 'a')).allowed);
    for (const unknown of ['logout', '__proto__']) {
      await assert.rejects(async () => limiter.take(unknown, 'a'), /no rate limit is named/);
    }
  });

  test('what was taken comes back evenly, and whoever keeps knocking is let in as soon as whoever waits', async () => {
    const { limiter, pass } = await make({ login: { limit: 2, windowSeconds: 4 } });
    assert.ok((await limiter.take('login', 'a', 2)).allowed);
    assert.ok(!(await limiter.take('login', 'a')).allowed);
    await pass(2_050);
    assert.ok((await limiter.take('login', 'a')).allowed);
    assert.ok(!(await limiter.take('login', 'a', 2)).allowed);
  });

  test('INP-09 any text is a key of its own', async () => {
    const { limiter } = await make({ login: { limit: 1, windowSeconds: 3_600 } });
    const hostile = [
      '',
      '{',
      '}',
      '{a}',
      'a',
      'a\r\nFLUSHALL',
      '\0',
      'é',
      'x'.repeat(10_240),
      '2001:db8::/64',
      '10.0.0.1',
    ];
    for (const key of hostile) assert.ok((await limiter.take('login', key)).allowed, key.slice(0, 40));
    for (const key of hostile) assert.ok(!(await limiter.take('login', key)).allowed, key.slice(0, 40));
  });
}
