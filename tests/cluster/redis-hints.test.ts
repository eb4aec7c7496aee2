/** Two nodes that hear of each other's revocations by Redis alone (`CLUSTER_STRATEGY=redis`), and what is true without it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertQuiet, login, logout, metricsOf, register, worth } from '../service/support/suite.ts';
import { receiptOf, tokensOf } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RunningService, randomSecret, sharedPostgres, startService, until } from '../support/service.ts';

describe('hints by Redis between two nodes', () => {
  let redis: TestRedis;
  let a: RunningService;
  let b: RunningService;
  before(async () => {
    redis = await startRedis();
    const databaseUrl = await (await sharedPostgres()).createDatabase();
    const clusterSecret = randomSecret();
    const env = {
      ...{ JWT_SECRET: randomSecret(), PUBLIC_URL: 'http://auth.example.org', REDIS_URL: redis.url },
      ...{ ENABLE_CLUSTERING: 'true', CLUSTER_STRATEGY: 'redis', CLUSTER_SECRET: clusterSecret },
    };
    [a, b] = await Promise.all([
      startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: 'a' } }),
      startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: 'b' } }),
    ]);
    for (const service of [a, b]) service.secrets.add(clusterSecret);
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
    await redis.stop();
  });

  const messages = async (service: RunningService, type: string, direction = 'received'): Promise<number> =>
    (await metricsOf(service)).sum('auth_cluster_messages_total', { type, direction });

  /** So many logouts here; each must be refused there as soon as its receipt says so. */
  async function revoke(count: number): Promise<number> {
    const account = await register(a);
    let everywhere = 0;
    for (let n = 0; n < count; n += 1) {
      const { access_token: token } = tokensOf(await login(a, account));
      assert.equal(await worth(b, token), 'valid');
      const receipt = receiptOf(await logout(a, token));
      if (!receipt.effective_everywhere) continue;
      everywhere += 1;
      assert.equal(await worth(b, token), 'revoked');
    }
    return everywhere;
  }

  test('REV-01 a revocation reaches the other node as a hint, and its acknowledgement comes back the same way', async () => {
    await until(
      'they hear each other',
      async () => (await messages(a, 'membership')) > 0 && (await messages(b, 'membership')) > 0,
    );
    const before = [await messages(b, 'hint'), await messages(a, 'acknowledgement')];
    const everywhere = await revoke(20);
    assert.ok(everywhere >= 19, `${everywhere} of 20`);
    assert.ok((await messages(b, 'hint')) >= (before[0] ?? 0) + 20);
    assert.ok((await messages(a, 'acknowledgement')) >= (before[1] ?? 0) + everywhere);
  });

  test('CFG-09 whoever can write to Redis, and no more, is refused and counted', async () => {
    const { tokens } = await register(a);
    const refused = await messages(b, 'refused');
    const forged = JSON.stringify(['hint', '1', 'x', [['session', tokens.session_id, 0, 4_102_444_800]]]);
    await redis.command('PUBLISH', 'auth:hints', forged);
    await redis.command(
      'PUBLISH',
      'auth:hints',
      `1.${tokens.session_id}.1.${Buffer.from(forged).toString('base64url')}`,
    );
    await until('both are refused', async () => (await messages(b, 'refused')) >= refused + 2);
    assert.equal(await worth(b, tokens.access_token), 'valid');
  });

  test('without Redis the ledger alone tells: receipts stay true', async () => {
    await redis.kill9();
    // Until the silence is noticed the beats are a second apart, and a receipt may name the other node. Each of them is true.
    await until('the beats to be quick enough for ten receipts in a row', async () => (await revoke(10)) === 10);
    await redis.restart();
    await until('hints travel again', async () => {
      const heard = await messages(b, 'hint');
      await revoke(1);
      return (await messages(b, 'hint')) > heard;
    });
  });

  test('LOG-01 no secret is in anything that they wrote', () => {
    for (const service of [a, b]) assertQuiet(service);
  });
});
