import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RedisUnavailable } from './redis.ts';
import { createShards } from './shards.ts';

describe('masters of a Cluster', () => {
  test('one that failed fails at once, one call in a while tries it, and its answer ends that', () => {
    let now = 1_000;
    const shards = createShards(() => now);
    shards.demand('a');
    shards.failed('a');
    assert.throws(() => shards.demand('a'), RedisUnavailable);
    shards.demand('b');
    now += 250;
    shards.demand('a');
    assert.throws(() => shards.demand('a'), RedisUnavailable, 'one is trying already');
    shards.answered('a');
    shards.demand('a');
    shards.demand('a');
  });

  test('a new connection forgets all of it', () => {
    const shards = createShards(() => 0);
    shards.failed('a');
    shards.clear();
    shards.demand('a');
  });
});
