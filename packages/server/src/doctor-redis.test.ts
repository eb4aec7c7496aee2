import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judge } from './doctor-redis.ts';
import type { RedisFacts } from './platform/redis/index.ts';

const sound: RedisFacts = {
  version: '7.0.15',
  maxmemoryPolicy: 'noeviction',
  maxmemory: 0,
  appendOnly: true,
  snapshots: true,
  replicas: 1,
  cluster: null,
};
const wrong = (facts: Partial<RedisFacts>, kind: 'single' | 'sentinel' | 'cluster' = 'single', holdsSessions = false) =>
  judge({ ...sound, ...facts }, kind, holdsSessions)
    .filter(({ status }) => status !== 'ok')
    .map(({ check, status, detail }) => {
      assert.match(detail, /: .|; .|does not tell/, 'it says what to mend');
      return `${status} ${check}`;
    });

describe('what doctor says of Redis', () => {
  test('nothing is wrong with a sound one', () => {
    assert.deepEqual(wrong({}), []);
    assert.deepEqual(wrong({}, 'single', true), []);
    assert.deepEqual(wrong({ cluster: { state: 'ok', slots: 16_384, masters: 3 } }, 'cluster', true), []);
  });

  test('what drops keys is a warning for rate limits, and a failure for sessions', () => {
    const evicting = { maxmemoryPolicy: 'allkeys-lru', maxmemory: 1_000_000 };
    assert.deepEqual(wrong(evicting), ['warning redis memory']);
    assert.deepEqual(wrong({ ...evicting, maxmemory: 0 }), []);
    assert.deepEqual(wrong(evicting, 'single', true), ['failed redis memory']);
    assert.deepEqual(wrong({ maxmemoryPolicy: null }), ['warning redis memory']);
  });

  test('sessions want to be kept over a restart', () => {
    assert.deepEqual(wrong({ appendOnly: false }), []);
    assert.deepEqual(wrong({ appendOnly: false }, 'single', true), ['warning redis persistence']);
    assert.deepEqual(wrong({ appendOnly: false, snapshots: false }, 'single', true), ['warning redis persistence']);
  });

  test('an old version, a Cluster with a hole, and Sentinels without a replica are told', () => {
    assert.deepEqual(wrong({ version: '5.0.14' }), ['failed redis version']);
    assert.deepEqual(wrong({ cluster: { state: 'ok', slots: 10_000, masters: 2 } }, 'cluster'), [
      'failed redis cluster',
    ]);
    assert.deepEqual(wrong({ cluster: { state: 'fail', slots: 16_384, masters: 3 } }, 'cluster'), [
      'failed redis cluster',
    ]);
    assert.deepEqual(wrong({ replicas: 0 }, 'sentinel'), ['warning redis replicas']);
  });
});
