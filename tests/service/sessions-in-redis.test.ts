/** SESSION_STORE=redis as its users meet it when Redis is away, wiped, or not what it must be. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, assertProblem, meOf, receiptOf, sessionsOf, tokensOf } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RunningService, startService, until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';
import {
  type Account,
  assertQuiet,
  login,
  logout,
  me,
  metricsOf,
  newEmail,
  newPassword,
  refresh,
  register,
  worth,
} from './support/suite.ts';

const list = (service: RunningService, token: string): Promise<Answer> =>
  service.api.get('/api/auth/sessions', { token });
const revokeAll = (service: RunningService, token: string, body?: unknown): Promise<Answer> =>
  service.api.post('/api/auth/revoke-all-tokens', body, { token });

const changePassword = (service: RunningService, { tokens, password }: Account): Promise<Answer> => {
  const change = { current_password: password, new_password: newPassword() };
  return service.api.post('/api/auth/change-password', change, { token: tokens.access_token });
};

/** How long an answer may take: the deadline. */
const answeredWithinMs = besideOthers(1_000);

async function assertAway(ask: () => Promise<Answer>): Promise<void> {
  const began = performance.now();
  const answer = await ask();
  assert.ok(performance.now() - began < answeredWithinMs, `answered after ${performance.now() - began} ms`);
  assertProblem(answer, 503, 'overloaded');
  assert.equal(answer.headers['retry-after'], '1');
}

describe('sessions in Redis', () => {
  let redis: TestRedis;
  let service: RunningService;
  before(async () => {
    redis = await startRedis();
    const env = { SESSION_STORE: 'redis', REDIS_URL: redis.url };
    service = await startService({ store: 'postgres', env });
  });
  after(async () => {
    await service.stop();
    await redis.stop();
  });

  const back = (): Promise<unknown> =>
    until('logins are taken again', async () => {
      const user = { email: newEmail(), password: newPassword() };
      return (await service.api.post('/api/auth/register', { user })).status === 201;
    });

  test('/cluster/status and /health tell where sessions live', async () => {
    const status = (await service.api.get('/cluster/status')).body as { stores: Record<string, string> };
    assert.equal(status.stores['sessions'], 'redis');
    const health = (await service.api.get('/health')).body as { status: string };
    assert.equal(health.status, 'ok');
  });

  for (const [how, away, mend] of [
    ['F-08 frozen', () => redis.pause(), () => redis.resume()],
    ['F-04 killed', () => redis.kill9(), () => redis.restart()],
  ] as const) {
    test(`${how}: validation and what ends sessions work, the rest is 503 in time, nobody is logged out`, async () => {
      const [account, gone, all] = [await register(service), await register(service), await register(service)];
      const [second, third] = [tokensOf(await login(service, all)), tokensOf(await login(service, all))];
      const changed = await register(service);
      const before = tokensOf(await login(service, changed));
      await away();
      const { access_token: token, refresh_token: refreshToken } = account.tokens;
      const user = { email: newEmail(), password: newPassword() };
      await assertAway(() => refresh(service, refreshToken));
      await assertAway(() => login(service, account));
      await assertAway(() => service.api.post('/api/auth/register', { user }));
      await assertAway(() => me(service, token));
      await assertAway(() => list(service, token));
      const own = { token: all.tokens.access_token };
      for (const [counted, answer] of [
        [undefined, await logout(service, gone.tokens.access_token)],
        [undefined, await service.api.delete(`/api/auth/sessions/${second.session_id}`, own)],
        [1, await revokeAll(service, own.token, { except_current: true })],
        [1, await revokeAll(service, own.token)],
        [1, await changePassword(service, changed)],
      ] as const) {
        const receipt = receiptOf(answer);
        assert.deepEqual([receipt.effective_everywhere, receipt.revoked_sessions], [true, counted]);
      }
      for (const live of [token, changed.tokens.access_token]) assert.equal(await worth(service, live), 'valid');
      for (const { access_token: dead } of [gone.tokens, all.tokens, second, third, before]) {
        assert.equal(await worth(service, dead), 'revoked');
      }
      const health = await service.api.get('/health');
      assert.deepEqual([health.status, (health.body as { status: string }).status], [200, 'degraded']);
      assert.equal((await service.api.get('/health/ready')).status, 200);
      await mend();
      await back();
      const next = tokensOf(await refresh(service, refreshToken));
      assert.equal(next.session_id, account.tokens.session_id);
      meOf(await me(service, next.access_token));
      for (const { refresh_token: dead } of [gone.tokens, all.tokens, second, third, before]) {
        assertProblem(await refresh(service, dead), 401, 'invalid_refresh_token');
      }
      const fresh = tokensOf(await login(service, all));
      assert.deepEqual(
        sessionsOf(await list(service, fresh.access_token)).map(({ id }) => id),
        [fresh.session_id],
      );
    });
  }

  test('a session that was ended while Redis was away is dropped there when it is back', async () => {
    const { tokens } = await register(service);
    const [key = ''] = (await redis.command('KEYS', `*${tokens.session_id}`)).split('\n');
    assert.match(key, /session:/);
    redis.pause();
    receiptOf(await logout(service, tokens.access_token));
    redis.resume();
    await until('it is dropped', async () => (await redis.command('EXISTS', key)) === '0');
  });

  test('F-05 wiped: sessions and refresh tokens are gone, access tokens stay valid, revocations in force', async () => {
    const [account, gone] = [await register(service), await register(service)];
    receiptOf(await logout(service, gone.tokens.access_token));
    await redis.command('FLUSHALL');
    const { access_token: token } = account.tokens;
    assertProblem(await refresh(service, account.tokens.refresh_token), 401, 'invalid_refresh_token');
    assert.equal(await worth(service, token), 'valid');
    assert.equal(await worth(service, gone.tokens.access_token), 'revoked');
    assert.deepEqual(sessionsOf(await list(service, token)), []);
    assert.equal(receiptOf(await logout(service, token)).effective_everywhere, true);
    assert.equal(await worth(service, token), 'revoked');
    tokensOf(await refresh(service, tokensOf(await login(service, account)).refresh_token));
  });

  test('REV-02, REV-05 wiped: all sessions but one, or those before a new password, end though Redis has lost them', async () => {
    const [kept, changed] = [await register(service), await register(service)];
    const others = [tokensOf(await login(service, kept)), tokensOf(await login(service, changed))];
    await redis.command('FLUSHALL');
    for (const answer of [
      await revokeAll(service, kept.tokens.access_token, { except_current: true }),
      await changePassword(service, changed),
    ]) {
      const receipt = receiptOf(answer);
      assert.deepEqual([receipt.effective_everywhere, receipt.revoked_sessions], [true, 1]);
    }
    for (const { access_token: dead } of others) assert.equal(await worth(service, dead), 'revoked');
    for (const { tokens } of [kept, changed]) assert.equal(await worth(service, tokens.access_token), 'valid');
  });

  test('REF-01 no token is in Redis, and the command line ends sessions there', async () => {
    const account = await register(service);
    const dump: string[] = [];
    for (const key of (await redis.command('KEYS', '*')).split('\n')) {
      dump.push(key, await redis.command('DUMP', key), await redis.command('GET', key).catch(() => ''));
    }
    const { access_token: access, refresh_token: token } = account.tokens;
    for (const secret of [access, token, account.password]) assert.ok(!dump.join('\n').includes(secret));
    const ended = await service.cli(['users', 'revoke-sessions', account.email]);
    assert.equal(ended.code, 0, ended.stderr);
    assertProblem(await refresh(service, token), 401, 'invalid_refresh_token');
    const metrics = await metricsOf(service);
    assert.ok(metrics.sum('auth_redis_command_duration_seconds_count') > 0);
  });

  test('LOG-01 the service ends with 0, and no secret is in anything that it wrote', async () => {
    assert.equal(await service.halt(), 0);
    assertQuiet(service);
  });
});

test('a Redis that may evict keys stops the start with one line; one without an append-only file is warned of', async () => {
  const redis = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru', appendonly: 'no' } });
  const env = { SESSION_STORE: 'redis', REDIS_URL: redis.url };
  try {
    await assert.rejects(
      startService({ store: 'postgres', env }),
      /maxmemory-policy is allkeys-lru; set it to noeviction/,
    );
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    const service = await startService({ store: 'postgres', env });
    assert.match(service.logs(), /append-only/);
    assert.equal(await service.stop(), 0);
  } finally {
    await redis.stop();
  }
});
