/** The way for hints by Redis, on a real server. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { createRedisTransport, type HintTransport } from '../../packages/server/src/cluster/index.ts';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { openRedis, type Redis } from '../../packages/server/src/platform/redis/index.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/service.ts';

let server: TestRedis;
const ends: (() => Promise<void>)[] = [];
before(async () => {
  server = await startRedis();
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
after(() => server.stop());

interface Node {
  readonly way: HintTransport;
  readonly redis: Redis;
  readonly heard: string[];
}

async function node(incarnation: string): Promise<Node> {
  const redis = await openRedis({
    address: { kind: 'single', server: { host: '127.0.0.1', port: server.port } },
    prefix: 'hints-test:',
    connectionName: incarnation,
    clock: { monotonicMs: () => performance.now() },
    random: systemRandom,
  });
  const way = createRedisTransport({ redis, incarnation });
  const heard: string[] = [];
  await way.start((_from, text) => heard.push(text));
  ends.push(
    () => redis.close(),
    () => way.stop(),
  );
  await until('it hears', async () => redis.hears);
  return { way, redis, heard };
}

describe('hints by Redis', () => {
  test('reach all, or the one that is meant', async () => {
    const [a, b, c] = await Promise.all([node('node-a'), node('node-b'), node('node-c')]);
    a.way.broadcast('to all');
    b.way.sendTo('node-c', 'to c');
    c.way.sendTo('node-a', 'to a');
    await until('they have come', async () => a.heard.length >= 2 && b.heard.length >= 1 && c.heard.length >= 2);
    assert.deepEqual(a.heard.toSorted(), ['to a', 'to all'], 'own messages come back');
    assert.deepEqual(b.heard, ['to all']);
    assert.deepEqual(c.heard.toSorted(), ['to all', 'to c']);
  });

  test('INP-09 a name that is no incarnation is no channel, and a text beyond the bound is not sent', async () => {
    const a = await node('node-a');
    a.way.sendTo('*', 'nobody');
    a.way.sendTo('x\r\nPUBLISH y', 'nobody');
    a.way.broadcast('x'.repeat(64 * 1024 + 1));
    a.way.broadcast('x'.repeat(64 * 1024));
    await until('the last one has come', async () => a.heard.length > 0);
    assert.deepEqual(
      a.heard.map(({ length }) => length),
      [64 * 1024],
    );
  });

  test('are dropped while Redis is away, and travel again afterwards; nobody waits and nothing is thrown', async () => {
    const [a, b] = await Promise.all([node('node-a'), node('node-b')]);
    await server.kill9();
    await until('it is away', async () => !a.redis.isUp);
    for (let n = 0; n < 10_000; n++) a.way.broadcast('lost');
    await server.restart();
    await until('both hear', async () => a.redis.hears && b.redis.hears);
    a.way.broadcast('after');
    await until('it has come', async () => b.heard.includes('after'));
    assert.deepEqual(b.heard, ['after']);
  });

  test('stop with their way, and can start again', async () => {
    const [a, b] = await Promise.all([node('node-a'), node('node-b')]);
    await b.way.stop();
    a.way.broadcast('unheard');
    await until('our own has come', async () => a.heard.includes('unheard'));
    await b.way.start((_from, text) => b.heard.push(text));
    await until('it hears again', async () => {
      a.way.broadcast('heard');
      return b.heard.includes('heard');
    });
    assert.ok(!b.heard.includes('unheard'));
  });
});
