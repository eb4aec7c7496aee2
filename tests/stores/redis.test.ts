/** Redis as one server: what is said, what is refused, and how long a dead one may hold anybody up. */
import assert from 'node:assert/strict';
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { after, afterEach, describe, mock, test } from 'node:test';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import {
  digestPart,
  openRedis,
  type Redis,
  type RedisAddress,
  RedisUnavailable,
  redisFunction,
} from '../../packages/server/src/platform/redis/index.ts';
import { createManualClock } from '../../packages/server/src/platform/time/index.ts';
import { createLocalRateLimiter, createRedisRateLimiter } from '../../packages/server/src/rate-limit/index.ts';
import { freePort } from '../support/ports.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

type LookupDone = (failure: Error | null, found: unknown, family?: number) => void;
const clock = { monotonicMs: () => performance.now() };
const number = (reply: unknown): number => Number(reply);
const add = redisFunction('test_add', 1, "return redis.call('INCRBY', KEYS[1], ARGV[1])", number);
const echo = redisFunction('test_echo', 1, 'return ARGV[1]', String);
const busy = redisFunction(
  'test_busy',
  1,
  'local until_us = tonumber(ARGV[1]) * 1000 local s = redis.call("TIME") repeat local t = redis.call("TIME") until (t[1]-s[1])*1000000+t[2]-s[2] > until_us return 1',
  number,
);

const open: Redis[] = [];
const servers: TestRedis[] = [];
interface Opened {
  readonly redis: Redis;
  readonly states: string[];
}

async function opened(address: RedisAddress, more: { durableWrites?: boolean; prefix?: string } = {}): Promise<Opened> {
  const states: string[] = [];
  const redis = await openRedis({
    address,
    prefix: 'test:',
    connectionName: 'a test/with odd letters',
    clock,
    random: systemRandom,
    onState: (state) => states.push(state),
    ...more,
  });
  open.push(redis);
  return { redis, states };
}
const at = (port: number): RedisAddress => ({ kind: 'single', server: { host: '127.0.0.1', port } });

let shared: Promise<TestRedis> | undefined;
function server(): Promise<TestRedis> {
  shared ??= startRedis();
  return shared;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((redis) => redis.close()));
  await Promise.all(servers.splice(0).map((each) => each.stop()));
});
after(async () => {
  await (await shared)?.stop();
});

/** Milliseconds until `work` failed as it should. */
async function refusedAfter(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await assert.rejects(work, RedisUnavailable);
  return performance.now() - began;
}

describe('Redis on one server', () => {
  test('a function runs with its keys and arguments, and again when the server has forgotten it', async () => {
    const { port, command } = await fresh();
    const { redis } = await opened(at(port));
    const key = redis.key('count', 'a');
    assert.equal(await redis.run(add, [key], [2]), 2);
    await command('SCRIPT', 'FLUSH');
    assert.equal(await redis.run(add, [key], [3]), 5);
    assert.equal(await redis.run(echo, [key], ['ünï\r\n{}\0']), 'ünï\r\n{}\0');
    assert.equal(await command('GET', 'test:count:{a}'), '5');
    await assert.rejects(redis.run(add, [], [1]), /takes 1 keys/);
  });

  test('INP-09 a key is of fixed form, and anything from outside is refused or digested', async () => {
    const { redis } = await opened(at((await server()).port));
    for (const hostile of ['{', '}', 'a b', 'a\r\nDEL x', '', 'x'.repeat(65), 'é', 'a:b', '*', '\0']) {
      assert.throws(() => redis.key('kind', hostile), /fixed form/);
      assert.throws(() => redis.key(hostile, 'tag'), /fixed form/);
      assert.throws(() => redis.key('kind', 'tag', hostile), /fixed form/);
      assert.match(redis.key('kind', digestPart(hostile)), /^test:kind:\{[A-Za-z0-9_-]{22}\}$/);
    }
    assert.equal(redis.key('kind', 'tag', 'rest'), 'test:kind:{tag}:rest');
  });

  test('INP-09 what is sent holds hostile text in arguments only', async () => {
    const { port, command } = await fresh();
    const { redis } = await opened(at(port));
    const hostile = `x' }\r\nFLUSHALL\r\n{"${'y'.repeat(10_240)}`;
    assert.equal(await redis.run(echo, [redis.key('in', digestPart(hostile))], [hostile]), hostile);
    await redis.run(add, [redis.key('in', digestPart(hostile))], [1]);
    assert.equal(await command('KEYS', '*'), `test:in:{${digestPart(hostile)}}`);
  });

  test('a mistake in a script is an error of the program, not a Redis that is away', async () => {
    const wrong = redisFunction('test_wrong', 1, 'return nonsense(', String);
    const { redis } = await opened(at((await server()).port));
    await assert.rejects(
      redis.run(wrong, [redis.key('a', 'b')], []),
      (failure) => !(failure instanceof RedisUnavailable),
    );
    assert.ok(redis.isUp);
  });

  test('a slow command ends at its deadline, and a server that answers again is not taken for dead', async () => {
    const { redis } = await opened(at((await fresh()).port));
    const tookMs = await refusedAfter(() => redis.run(busy, [redis.key('a', 'b')], [700]));
    assert.ok(tookMs >= 490, `${tookMs} ms`);
    await until('it answers', async () => redis.run(echo, [redis.key('a', 'b')], ['x']).catch(() => false));
    assert.ok(redis.isUp);
  });

  test('F-16 a server without memory refuses at once, and is not taken for dead', async () => {
    const { port, command } = await fresh();
    const { redis, states } = await opened(at(port));
    await command('CONFIG', 'SET', 'maxmemory', '1');
    await assert.rejects(redis.run(add, [redis.key('a', 'b')], [1]), { name: 'RedisUnavailable', reason: 'refused' });
    assert.deepEqual(states, ['up']);
    await command('CONFIG', 'SET', 'maxmemory', '0');
    assert.equal(await redis.run(add, [redis.key('a', 'b')], [1]), 1);
  });

  test('TLS and a password: the right ones work, a plain or nameless or unknown one does not', async () => {
    const secure = await fresh({ tls: true, password: 'p:w/@x' });
    assert.ok(secure.caFile !== undefined);
    const ca = readFileSync(secure.caFile, 'utf8');
    const right = { ...at(secure.port), password: 'p:w/@x', tls: { ca } };
    const { redis } = await opened(right);
    assert.ok(redis.isUp);
    assert.equal(await redis.run(add, [redis.key('a', 'b')], [1]), 1);
    for (const wrong of [
      { ...right, tls: undefined },
      { ...right, tls: {} },
      { ...right, password: undefined },
      { ...right, password: 'another' },
    ]) {
      assert.ok(!(await opened(wrong)).redis.isUp);
    }
  });

  test('CFG-08 a user of Redis that may do what the documents list, and nothing else, is enough', async () => {
    const own = await fresh();
    const page = readFileSync(new URL('../../docs/operations/redis.md', import.meta.url), 'utf8');
    const [, rules] = /^ACL SETUSER auth-service on >PASSWORD (.+)$/m.exec(page) ?? [];
    assert.ok(rules !== undefined, 'the documents list them');
    const words = rules.replaceAll('auth:', 'test:').split(' ');
    assert.equal(await own.command('ACL', 'SETUSER', 'auth-service', 'on', '>only-for-tests', ...words), 'OK');
    await own.command('ACL', 'SETUSER', 'default', 'off');
    const { redis } = await opened({ ...at(own.port), username: 'auth-service', password: 'only-for-tests' });
    assert.ok(redis.isUp);
    const policies = { login: { limit: 1, windowSeconds: 60 } };
    const alone = createLocalRateLimiter({ policies, clock, random: systemRandom, slots: 64 });
    const limiter = createRedisRateLimiter({ redis, policies, alone, clock, countedBy: () => 1 });
    assert.ok((await limiter.take('login', 'a')).allowed);
    assert.ok(!(await limiter.take('login', 'a')).allowed);
    assert.equal(limiter.state, 'shared');
    const heard: string[] = [];
    redis.subscribe('hints', (message) => heard.push(message));
    await until('it hears', async () => redis.hears);
    await redis.publish('hints', 'x');
    await until('x', async () => heard.includes('x'));
    assert.equal((await redis.facts()).maxmemoryPolicy, 'noeviction');
    const wipe = redisFunction('test_wipe', 1, "return redis.call('FLUSHALL')", String);
    await assert.rejects(redis.run(wipe, [redis.key('a', 'b')], []), /can't run this command/);
    const { redis: stranger } = await opened(
      { ...at(own.port), username: 'auth-service', password: 'only-for-tests' },
      { prefix: 'other:' },
    );
    await assert.rejects(stranger.run(add, [stranger.key('a', 'b')], [1]));
  });

  test('a wiped server is as good as a new one', async () => {
    const own = await fresh();
    const { redis, states } = await opened(at(own.port));
    await redis.run(add, [redis.key('a', 'b')], [7]);
    await own.kill9();
    await until('it is away', async () => !redis.isUp);
    await own.restart({ wiped: true });
    await until('it is found again', async () => redis.isUp);
    assert.equal(await redis.run(add, [redis.key('a', 'b')], [1]), 1);
    assert.deepEqual(states, ['up', 'away', 'up']);
  });

  test('a durable write tells how many replicas have it, and many share one wait', async () => {
    const own = await fresh();
    const replica = await fresh({ settings: { replicaof: `127.0.0.1 ${own.port}`, 'repl-diskless-sync-delay': '0' } });
    await own.command('CONFIG', 'SET', 'repl-diskless-sync-delay', '0');
    await until('the replica is in step', async () =>
      (await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    );
    const { redis } = await opened(at(own.port), { durableWrites: true });
    const write = (timeoutMs: number) => redis.runDurably(add, [redis.key('a', 'b')], [1], { replicas: 1, timeoutMs });
    assert.deepEqual(await write(400), { value: 1, acknowledged: 1, isEnough: true });
    await own.command('CONFIG', 'RESETSTAT');
    const all = await Promise.all(Array.from({ length: 200 }, () => write(400)));
    assert.ok(all.every(({ acknowledged }) => acknowledged === 1));
    const waits = Number(/cmdstat_wait:calls=(\d+)/.exec(await own.command('INFO', 'commandstats'))?.[1]);
    assert.ok(waits <= 4, `${waits} waits`);
    replica.pause();
    assert.deepEqual(await write(50), { value: 202, acknowledged: 0, isEnough: false });
    assert.equal(await redis.run(echo, [redis.key('a', 'b')], ['not held up']), 'not held up');
    replica.resume();
    const { redis: plain } = await opened(at(own.port));
    await assert.rejects(
      plain.runDurably(add, [plain.key('a', 'b')], [1], { replicas: 1, timeoutMs: 9 }),
      /durableWrites/,
    );
  });
});

test('a write that wants a replica where there is one waits for none on a server alone, and not on without one just lost', async () => {
  const own = await startRedis({ settings: { 'repl-diskless-sync-delay': '0' } });
  const clock = createManualClock();
  const redis = await openRedis({
    ...{ address: at(own.port), prefix: 't:', connectionName: 'test', random: systemRandom, deadlineMs: 5_000 },
    ...{ clock, durableWrites: true },
  });
  let replica: TestRedis | undefined;
  try {
    const write = (timeoutMs: number) =>
      redis.runDurably(add, [redis.key('a', 'b')], [1], { replicas: 'where_there_is_one', timeoutMs });
    assert.deepEqual(await write(4_000), { value: 1, acknowledged: 0, isEnough: true });
    replica = await startRedis({
      settings: { replicaof: `127.0.0.1 ${own.port}`, 'repl-diskless-sync-delay': '0' },
    });
    const other = replica;
    await until('the replica is in step', async () =>
      (await other.command('INFO', 'replication')).includes('master_link_status:up'),
    );
    // Seen when it is asked for again, each second.
    clock.advance(1_000);
    await write(4_000);
    assert.deepEqual(await write(4_000), { value: 3, acknowledged: 1, isEnough: true });
    await replica.kill9();
    await until('the server sees it', async () =>
      (await own.command('INFO', 'replication')).includes('connected_slaves:0'),
    );
    clock.advance(4_000);
    assert.deepEqual(await write(50), { value: 4, acknowledged: 0, isEnough: false });
    clock.advance(1_001);
    assert.deepEqual(await write(4_000), { value: 5, acknowledged: 0, isEnough: true });
  } finally {
    await redis.close();
    await replica?.stop();
    await own.stop();
  }
});

describe('a Redis that is dead holds nobody up', () => {
  /** Calls all the while: none may take longer than the deadline, and once it is known all fail at once. */
  async function watchDeath(redis: Redis): Promise<void> {
    const call = () => redis.run(echo, [redis.key('a', 'b')], ['x']);
    const together = await Promise.all(Array.from({ length: 20 }, () => refusedAfter(call)));
    for (const tookMs of together) assert.ok(tookMs < besideOthers(1_000), `${tookMs} ms`);
    await until('it is known to be away', async () => !redis.isUp);
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    const refusals = await Promise.allSettled(Array.from({ length: 1_000 }, call));
    assert.ok(!turned, 'a thousand refusals are made in one turn of the loop: they wait for nothing');
    for (const refusal of refusals) {
      assert.ok(refusal.status === 'rejected' && refusal.reason instanceof RedisUnavailable);
      assert.equal(refusal.reason.reason, 'away');
    }
  }

  test('F-05 refused connection: not there at the start, found when it comes', async () => {
    const port = await freePort();
    const { redis, states } = await opened(at(port));
    assert.deepEqual(states, ['away']);
    await watchDeath(redis);
    await fresh({ port });
    await until('it is found', async () => redis.isUp);
    assert.deepEqual(states, ['away', 'up']);
  });

  test('F-04 killed: known at once, and found again on the same port', async () => {
    const own = await fresh();
    const { redis, states } = await opened(at(own.port));
    await own.kill9();
    await watchDeath(redis);
    await own.restart();
    await until('it is back', async () => redis.isUp);
    assert.equal(await redis.run(echo, [redis.key('a', 'b')], ['x']), 'x');
    assert.deepEqual(states, ['up', 'away', 'up']);
  });

  test('F-08 frozen: the connection stays open and nobody answers', async () => {
    const own = await fresh();
    const { redis, states } = await opened(at(own.port));
    own.pause();
    await watchDeath(redis);
    own.resume();
    await until('it is back', async () => redis.isUp);
    assert.deepEqual(states, ['up', 'away', 'up']);
  });

  test('F-30 moved to another address: the name is asked again', async () => {
    const port = await freePort();
    const before = await fresh({ port });
    let address = '127.0.0.1';
    const lookup = mock.method(dns, 'lookup', (_name: string, options: { all?: boolean }, done: LookupDone) => {
      if (options.all === true) done(null, [{ address, family: 4 }]);
      else done(null, address, 4);
    });
    try {
      const { redis } = await opened({ kind: 'single', server: { host: 'redis.example', port } });
      assert.ok(redis.isUp);
      await before.kill9();
      await until('it is away', async () => !redis.isUp);
      await fresh({ port, host: '127.0.0.2' });
      address = '127.0.0.2';
      await until('it is found there', async () => redis.isUp);
    } finally {
      lookup.mock.restore();
    }
  });

  test('F-29 black hole: found without traffic, and new connections do not hang either', async () => {
    const own = await fresh();
    const proxy = await startTcpProxy(own.port);
    try {
      const { redis, states } = await opened(at(proxy.port));
      proxy.silence();
      await until('it is noticed without a call', async () => !redis.isUp);
      await watchDeath(redis);
      proxy.heal();
      await until('it is back', async () => redis.isUp);
      assert.deepEqual(states, ['up', 'away', 'up']);
    } finally {
      await proxy.close();
    }
  });
});

describe('messages', () => {
  test('reach every listener of their channel, through a reconnect, and the canary tells that they do', async () => {
    const own = await fresh();
    const { redis } = await opened(at(own.port));
    const { redis: other } = await opened(at(own.port));
    const { redis: stranger } = await opened(at(own.port), { prefix: 'stranger:' });
    const heard: string[] = [];
    const subscription = redis.subscribe('hints', (message) => heard.push(message));
    redis.subscribe('else', (message) => heard.push(`else ${message}`));
    stranger.subscribe('hints', (message) => heard.push(`stranger ${message}`));
    await until('it hears', async () => redis.hears && stranger.hears);
    await other.publish('hints', 'one');
    await until('one', async () => heard.includes('one'));
    await own.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('it has noticed', async () => !redis.hears);
    await until('it hears again', async () => redis.hears);
    await other.publish('hints', 'two');
    await until('two', async () => heard.includes('two'));
    subscription.close();
    await other.publish('hints', 'three');
    await other.publish('else', 'four');
    await until('four', async () => heard.includes('else four'));
    assert.deepEqual(heard, ['one', 'two', 'else four']);
  });

  test('a connection that hears nothing is given up, however open it is', async () => {
    const own = await fresh();
    const proxy = await startTcpProxy(own.port);
    try {
      const { redis } = await opened(at(proxy.port));
      redis.subscribe('hints', () => undefined);
      await until('it hears', async () => redis.hears);
      proxy.silence();
      await until('it has noticed', async () => !redis.hears);
      proxy.heal();
      await until('it hears again', async () => redis.hears);
    } finally {
      await proxy.close();
    }
  });
});

async function fresh(options: Parameters<typeof startRedis>[0] = {}): Promise<TestRedis> {
  const made = await startRedis(options);
  servers.push(made);
  return made;
}
