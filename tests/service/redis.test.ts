/** Two services on one PostgreSQL and one Redis: limits together, and what happens when Redis goes and comes back. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RunningService, randomSecret, sharedPostgres, startService, until } from '../support/service.ts';
import { assertQuiet, login, metricsOf, newEmail, newPassword, refresh, register, worth } from './support/suite.ts';

const limit = 12;
const password = 'redis-password-of-this-test';

interface Health {
  readonly status: string;
  readonly checks: { readonly redis: { readonly status: string; readonly rate_limits?: string } };
}

describe('two services on one Redis', () => {
  let redis: TestRedis;
  let a: RunningService;
  let b: RunningService;
  before(async () => {
    redis = await startRedis({ password });
    const env = {
      ...{ JWT_SECRET: randomSecret(), PUBLIC_URL: 'http://auth.example.org', REDIS_URL: redis.url },
      ...{ RATE_LIMIT_ENABLED: 'true', RATE_LIMIT_LOGIN: `${limit}/3600`, RATE_LIMIT_REGISTER: '100/60' },
    };
    const databaseUrl = await (await sharedPostgres()).createDatabase();
    [a, b] = await Promise.all([
      startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: 'a' } }),
      startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: 'b' } }),
    ]);
    for (const service of [a, b]) service.secrets.add(password);
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
    await redis.stop();
  });

  const healthOf = async (service: RunningService): Promise<Health> =>
    (await service.api.get('/health')).body as Health;
  const lines = (service: RunningService, text: string): number => service.logs().split(text).length - 1;
  const gauge = async (service: RunningService, name: string): Promise<number> =>
    (await metricsOf(service)).sum(name, {});

  /** How many of so many logins get past the limit, through both in turn. */
  async function flood(tries: number): Promise<number> {
    let passed = 0;
    for (let n = 0; n < tries; n += 1) {
      const answer = await login(n % 2 === 0 ? a : b, { email: newEmail(), password: newPassword() });
      assert.ok(answer.status === 401 || answer.status === 429, `${answer.status}`);
      if (answer.status !== 429) passed += 1;
    }
    return passed;
  }

  test('are whole and say so', async () => {
    for (const service of [a, b]) {
      const health = await healthOf(service);
      assert.equal(health.status, 'ok');
      assert.deepEqual([health.checks.redis.status, health.checks.redis.rate_limits], ['ok', 'shared']);
      assert.equal(await gauge(service, 'auth_redis_up'), 1);
      assert.equal(await gauge(service, 'auth_rate_limit_degraded'), 0);
      const { stores } = (await service.api.get('/cluster/status')).body as { stores: { state: string } };
      assert.equal(stores.state, 'redis');
    }
  });

  test('RAT-01 a limit is the limit of both together', async () => {
    const passed = await flood(3 * limit);
    // One that took longer than a decision may is made by its node.
    assert.ok(passed >= limit && passed <= limit + 2, `${passed} of a limit of ${limit}`);
    assert.ok((await gauge(a, 'auth_redis_command_duration_seconds_count')) > 0);
  });

  test('doctor tells a Redis that is well, one that refuses the password, and one that is not there', async () => {
    const well = await a.cli(['doctor']);
    assert.equal(well.code, 0, well.stdout);
    assert.match(well.stdout, /^ok +redis: 127\.0\.0\.1:\d+ answers in \d+ ms$/m);
    assert.match(well.stdout, /^ok +redis version: \d/m);
    const wrong = await a.cli(['doctor'], { env: { REDIS_URL: redis.url.replace(password, 'another') } });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stdout, /^failed +redis: .*WRONGPASS.*: correct the address/m);
    const absent = await a.cli(['doctor', '--json'], { env: { REDIS_URL: 'redis://127.0.0.1:1' } });
    assert.equal(absent.code, 1);
    assert.match(absent.stdout, /ECONNREFUSED/);
    assert.ok(![well, wrong, absent].some(({ stdout }) => stdout.includes(password)));
  });

  test('RAT-05, F-05 Redis dies in a flood: nobody notices but the limit, which at most doubles', async () => {
    const account = await register(a);
    await redis.kill9();
    const passed = await flood(3 * limit);
    assert.ok(passed >= 2 && passed <= limit, `${passed} of a limit of ${limit}`);
    for (const service of [a, b]) {
      assert.equal(await worth(service, account.tokens.access_token), 'valid');
      assert.equal((await service.api.get('/health/ready')).status, 200);
      const answer = await service.api.get('/health');
      const health = answer.body as Health;
      assert.deepEqual([answer.status, health.status, health.checks.redis.status], [200, 'degraded', 'unavailable']);
      assert.equal(health.checks.redis.rate_limits, 'per_node');
      assert.equal(await gauge(service, 'auth_redis_up'), 0);
      assert.equal(await gauge(service, 'auth_rate_limit_degraded'), 1);
      assert.equal(lines(service, 'Redis is away'), 1, 'one line, not one a request');
      assert.ok(lines(service, 'each node counts its share') <= 2);
    }
    assert.equal((await refresh(b, account.tokens.refresh_token)).status, 200);
  });

  test('F-05 Redis comes back empty: limits are shared again without a hand', async () => {
    await redis.restart({ wiped: true });
    for (const service of [a, b]) {
      await until('it is whole again', async () => {
        await refresh(service, 'x');
        return (await healthOf(service)).status === 'ok';
      });
      assert.equal((await healthOf(service)).checks.redis.rate_limits, 'shared');
      assert.equal(lines(service, 'Redis is there'), 2);
    }
    const passed = await flood(3 * limit);
    assert.ok(passed >= limit && passed <= limit + 2, `${passed} of a limit of ${limit}`);
  });

  test('a service starts without its Redis, and finds it later', async () => {
    await redis.kill9();
    await b.halt();
    await b.start();
    assert.equal((await healthOf(b)).status, 'degraded');
    await redis.restart();
    await until('it is found', async () => (await healthOf(b)).status === 'ok');
  });

  test('LOG-01 both end with 0, and no secret is in anything that they wrote', async () => {
    for (const service of [a, b]) {
      assert.equal(await service.halt(), 0, service.logs().slice(-2_000));
      assertQuiet(service);
    }
  });
});
