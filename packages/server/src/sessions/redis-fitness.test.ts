import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeRedisForSessions } from './redis-fitness.rule.ts';

test('a Redis that may evict keys holds no sessions', () => {
  for (const policy of ['allkeys-lru', 'allkeys-lfu', 'allkeys-random', 'volatile-lru', 'volatile-ttl']) {
    const { refusal } = judgeRedisForSessions({ maxmemoryPolicy: policy, appendOnly: true });
    assert.match(refusal ?? '', new RegExp(`maxmemory-policy is ${policy}; set it to noeviction`));
  }
});

test('one that keeps its keys does; without an append-only file, or when it does not tell, with a warning', () => {
  const judge = (maxmemoryPolicy: string | null, appendOnly: boolean | null) =>
    judgeRedisForSessions({ maxmemoryPolicy, appendOnly });
  assert.deepEqual(judge('noeviction', true), { refusal: null, warnings: [] });
  assert.deepEqual([judge('noeviction', false).refusal, judge('noeviction', false).warnings.length], [null, 1]);
  assert.deepEqual([judge(null, null).refusal, judge(null, null).warnings.length], [null, 2]);
});
