/** Redis behind Sentinels and as a Cluster: a master dies or freezes, and it works again without a hand. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import {
  type HostPort,
  openRedis,
  type Redis,
  type RedisAddress,
  RedisUnavailable,
  redisFunction,
} from '../../packages/server/src/platform/redis/index.ts';
import { startCluster, startSentinels, type TestCluster } from '../support/redis.ts';
import { until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';

const add = redisFunction('test_add', 1, "return redis.call('INCRBY', KEYS[1], ARGV[1])", Number);
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const addressOf = (text: string): HostPort => {
  const [host = '', port] = text.split(':');
  return { host, port: Number(port) };
};

async function opened(address: RedisAddress, states: string[] = [], away: number[] = []): Promise<Redis> {
  const redis = await openRedis({
    address,
    prefix: 'test:',
    connectionName: 'test',
    clock: { monotonicMs: () => performance.now() },
    random: systemRandom,
    durableWrites: true,
    onState: (state) => states.push(state),
    onMastersAway: (count) => away.push(count),
  });
  ends.push(() => redis.close());
  return redis;
}

/** Calls until one succeeds; none may outlast the deadline. */
async function worksAgain(redis: Redis, tag: string): Promise<number> {
  const began = performance.now();
  let longestMs = 0;
  await until(
    'it works again',
    async () => {
      const called = performance.now();
      const ok = await redis.run(add, [redis.key('n', tag)], [1]).catch((failure: unknown) => {
        assert.ok(failure instanceof RedisUnavailable, String(failure));
        return false;
      });
      longestMs = Math.max(longestMs, performance.now() - called);
      return ok !== false;
    },
    60_000,
  );
  assert.ok(longestMs < besideOthers(1_000), `a call took ${longestMs} ms`);
  return performance.now() - began;
}

describe('Redis behind Sentinels', () => {
  test('F-04 the master is killed: the replica is found, with what was acknowledged by it', async () => {
    const set = await startSentinels({ password: 'sentinel-test' });
    ends.push(set.stop);
    const states: string[] = [];
    const sentinels = set.sentinels.map(addressOf);
    const redis = await opened({ kind: 'sentinel', name: set.name, sentinels, password: 'sentinel-test' }, states);
    const wait = { replicas: 1, timeoutMs: 400 };
    assert.deepEqual(await redis.runDurably(add, [redis.key('n', 'a')], [5], wait), {
      value: 5,
      acknowledged: 1,
      isEnough: true,
    });
    const old = await set.master();
    await old.kill9();
    await worksAgain(redis, 'a');
    assert.equal(await redis.run(add, [redis.key('n', 'a')], [0]), 6);
    assert.deepEqual(states, ['up', 'away', 'up']);
    assert.notEqual((await set.master()).port, old.port);
  });

  test('F-08 the master is frozen and wakes up: nothing that it says afterwards is believed', async () => {
    const set = await startSentinels({ tls: true, password: 'of-the-servers', sentinelPassword: 'of-the-sentinels' });
    ends.push(set.stop);
    const sentinels = set.sentinels.map(addressOf);
    const tls = { ca: readFileSync(set.caFile ?? '', 'utf8') };
    const secrets = { password: 'of-the-servers', sentinelPassword: 'of-the-sentinels' };
    const redis = await opened({ kind: 'sentinel', name: set.name, sentinels, tls, ...secrets });
    await redis.run(add, [redis.key('n', 'a')], [1]);
    const old = await set.master();
    old.pause();
    await worksAgain(redis, 'a');
    const before = await redis.run(add, [redis.key('n', 'a')], [10]);
    old.resume();
    for (let n = 1; n <= 20; n++) {
      await until('a call', async () => redis.run(add, [redis.key('n', 'a')], [1]).catch(() => false));
      await sleep(50);
    }
    assert.equal(await redis.run(add, [redis.key('n', 'a')], [0]), before + 20);
  });
});

describe('Redis Cluster', () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({ tls: true, password: 'cluster-test' });
  });
  after(() => cluster.stop());
  const connect = (states: string[], away: number[] = []): Promise<Redis> =>
    opened(
      {
        kind: 'cluster',
        nodes: cluster.nodes.map(addressOf),
        password: 'cluster-test',
        tls: { ca: readFileSync(cluster.servers[0]?.caFile ?? '', 'utf8') },
      },
      states,
      away,
    );

  test('F-05 all nodes freeze: known to be away, and back by itself', async () => {
    const states: string[] = [];
    const redis = await connect(states);
    const heard: string[] = [];
    redis.subscribe('hints', (message) => heard.push(message));
    await until('it hears', async () => redis.hears);
    for (const server of cluster.servers) server.pause();
    await until('it is away', async () => !redis.isUp);
    for (const server of cluster.servers) server.resume();
    await until('it is back', async () => redis.isUp);
    await worksAgain(redis, 'a');
    await until('it hears again', async () => redis.hears);
    await redis.publish('hints', 'x');
    await until('x', async () => heard.includes('x'));
    assert.deepEqual(states, ['up', 'away', 'up']);
  });

  test('F-08 a master freezes: its replica takes over, and its awakening changes nothing', async () => {
    await cluster.inStep();
    const redis = await connect([]);
    await redis.run(add, [redis.key('frozen', 'a')], [1]);
    const old = await cluster.masterOf('{a}');
    old.pause();
    await worksAgain(redis, 'a');
    const before = await redis.run(add, [redis.key('frozen', 'a')], [10]);
    old.resume();
    for (let n = 0; n < 20; n++) {
      await until('a call', async () => redis.run(add, [redis.key('frozen', 'a')], [1]).catch(() => false));
      await sleep(25);
    }
    assert.equal(await redis.run(add, [redis.key('frozen', 'a')], [0]), before + 20);
  });

  test('F-04 a master is killed: other keys are served all the while, its own after the fail-over', async () => {
    await cluster.inStep();
    const states: string[] = [];
    const away: number[] = [];
    const redis = await connect(states, away);
    const tags = Array.from({ length: 9 }, (_, n) => `tag${n}`);
    const wait = { replicas: 1, timeoutMs: 400 };
    const masters = new Map<string, number>();
    for (const tag of tags) {
      assert.deepEqual(await redis.runDurably(add, [redis.key('n', tag)], [1], wait), {
        value: 1,
        acknowledged: 1,
        isEnough: true,
      });
      masters.set(tag, (await cluster.masterOf(`{${tag}}`)).port);
    }
    assert.equal(new Set(masters.values()).size, 3);

    const victim = await cluster.masterOf('{tag0}');
    await victim.kill9();
    const others = tags.filter((tag) => masters.get(tag) !== victim.port);
    await assert.rejects(redis.run(add, [redis.key('n', 'tag0')], [0]), RedisUnavailable);
    for (const tag of others) assert.equal(await redis.run(add, [redis.key('n', tag)], [1]), 2);
    await worksAgain(redis, 'tag0');
    // Nothing that a replica had acknowledged is lost.
    for (const tag of tags) assert.ok((await redis.run(add, [redis.key('n', tag)], [0])) >= 1, tag);
    assert.deepEqual(states, ['up']);
    await until('all masters are there', async () => redis.mastersAway === 0);
    assert.deepEqual(away, [1, 0]);
  });
});
