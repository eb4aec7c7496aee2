/** Rate limits: each policy, its headers, and whose bucket a request is counted in. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, assertProblem } from '../support/http.ts';
import { type RunningService, startService } from '../support/service.ts';
import { assertQuiet, login, metricsOf, newEmail, newPassword, register, validate } from './support/suite.ts';

const limits = {
  RATE_LIMIT_ENABLED: 'true',
  RATE_LIMIT_LOGIN: '4/600',
  RATE_LIMIT_REGISTER: '3/600',
  RATE_LIMIT_REFRESH: '5/600',
  RATE_LIMIT_API: '8/600',
  MAX_LOGIN_ATTEMPTS: '50',
};

/** How many go through before the first 429, which must come. */
async function passed(send: () => Promise<Answer>, atMost = 40): Promise<number> {
  for (let count = 0; count <= atMost; count += 1) {
    const answer = await send();
    if (answer.status === 429) {
      assertProblem(answer, 429, 'rate_limited');
      return count;
    }
  }
  return assert.fail('no limit was met');
}

describe('rate limits (untrusted peers)', () => {
  let service: RunningService;
  before(async () => {
    service = await startService({ store: 'postgres', env: limits });
  });
  after(() => service.stop());

  test('RAT-01 each policy has a budget of its own, and says so in every answer', async () => {
    const { api } = service;
    const { tokens } = await register(service);
    const first = await login(service, { email: newEmail(), password: newPassword() });
    assert.match(String(first.headers['ratelimit-policy']), /^"login";q=4;w=600$/);
    assert.match(String(first.headers['ratelimit']), /^"login";r=3;t=\d+$/);
    assert.equal(await passed(() => login(service, { email: newEmail(), password: newPassword() })), 3);
    assert.equal(await passed(() => api.post('/api/auth/register', {})), 2, 'RAT-02 the limit comes before the body');
    assert.equal(await passed(() => api.post('/api/auth/refresh-token', { refresh_token: 'x' })), 5);
    assert.equal(
      await passed(() => api.get('/api/auth/me', { token: tokens.access_token })),
      7,
      'openapi.json was one',
    );
    const refused = await api.get('/api/auth/sessions', { token: tokens.access_token });
    assertProblem(refused, 429, 'rate_limited');
    const wait = Number(refused.headers['retry-after']);
    assert.ok(wait >= 1 && wait <= 76, `${wait}`);
    assert.match(String(refused.headers['ratelimit']), /^"api";r=0;t=\d+$/);
    for (const policy of ['login', 'register', 'refresh', 'api']) {
      assert.ok((await metricsOf(service)).sum('auth_rate_limited_total', { policy }) >= 1, policy);
    }
  });

  test('validate-token, health, metrics and the key set are never limited', async () => {
    const { api } = service;
    for (let at = 0; at < 30; at += 1) {
      await validate(service, 'x');
      for (const path of ['/health', '/health/live', '/health/ready', '/metrics', '/.well-known/jwks.json']) {
        const answer = await api.get(path);
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['ratelimit'], undefined);
      }
    }
  });

  test('RAT-03 no header of a stranger changes whose budget is used', async () => {
    const names = [
      'X-Forwarded-For',
      'Forwarded',
      'X-Real-IP',
      'CF-Connecting-IP',
      'True-Client-IP',
      'X_Forwarded_For',
      'X-Client-IP',
    ];
    for (const [at, name] of names.entries()) {
      for (const value of [
        `203.0.113.${at}`,
        `for=203.0.113.${at}`,
        `2001:db8::${at}`,
        'x',
        Array(100).fill('198.51.100.1').join(', '),
      ]) {
        const answer = await service.api.post('/api/auth/login', {}, { headers: { [name]: value } });
        assertProblem(answer, 429, 'rate_limited');
      }
    }
  });

  test('BRW-05 a stranger cannot make the service speak of https', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'https' };
    const answer = await service.api.get('/health/live', { headers });
    assert.equal(answer.headers['strict-transport-security'], undefined);
  });

  test('LOG-01 the service ends with 0 and says no secret', async () => {
    assert.equal(await service.halt(), 0);
    assertQuiet(service);
  });
});

describe('rate limits (behind proxies)', () => {
  let service: RunningService;
  before(async () => {
    service = await startService({ store: 'postgres', env: { ...limits, TRUST_PROXY: '127.0.0.0/8,10.0.0.0/8' } });
  });
  after(() => service.stop());

  const from = (forwarded: string) => () =>
    service.api.post('/api/auth/login', {}, { headers: { 'X-Forwarded-For': forwarded } });

  test('RAT-03 behind trusted proxies the right-most address that is not theirs counts', async () => {
    assert.equal(await passed(from('198.51.100.1')), 4);
    assert.equal(await passed(from('198.51.100.2')), 4);
    assert.equal(await passed(from('1.2.3.4, 198.51.100.1')), 0, 'what stands left of it is the client’s own talk');
    assert.equal(await passed(from('198.51.100.3, 10.1.2.3, 10.9.9.9')), 4);
    assert.equal(await passed(from('5.6.7.8, 198.51.100.3')), 0);
  });

  test('RAT-04 IPv6 is counted by /64, and IPv4 in IPv6 is IPv4', async () => {
    assert.equal(await passed(from('2001:db8:1:2::1')), 4);
    assert.equal(await passed(from('2001:0DB8:0001:0002:ffff:0:0:9')), 0);
    assert.equal(await passed(from('[2001:db8:1:2::77]:1234')), 0);
    assert.equal(await passed(from('2001:db8:1:3::1')), 4);
    assert.equal(await passed(from('198.51.100.44')), 4);
    assert.equal(await passed(from('::ffff:198.51.100.44')), 0);
    assert.equal(await passed(from('198.51.100.44:5555')), 0);
  });

  test('RAT-03 garbage ends the walk at the last proxy that is trusted', async () => {
    await passed(from('not an address'));
    for (const forwarded of ['', 'x, y', '999.1.1.1', '1.2.3.4, garbage', '0x7f.1']) {
      assert.equal(await passed(from(forwarded)), 0, forwarded);
    }
  });

  test('a session shows the address of the client, not of the proxy', async () => {
    const user = { email: newEmail(), password: newPassword() };
    const headers = { 'X-Forwarded-For': '6.6.6.6, 203.0.113.9' };
    const made = await service.api.post('/api/auth/register', { user }, { headers });
    const { access_token: token } = made.body as { access_token: string };
    const answer = await service.api.get('/api/auth/me', { token, headers });
    assert.equal((answer.body as { session: { ip: string } }).session.ip, '203.0.113.9');
  });

  test('BRW-05 Strict-Transport-Security is sent when a trusted proxy says that the client came by https', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'https' };
    const answer = await service.api.get('/health/live', { headers });
    assert.match(answer.headers['strict-transport-security'] ?? '', /^max-age=\d{8,}; includeSubDomains/);
    const plain = await service.api.get('/health/live', { headers: { ...headers, 'X-Forwarded-Proto': 'http' } });
    assert.equal(plain.headers['strict-transport-security'], undefined);
  });

  test('metrics and status stay closed to what was forwarded for a public client', async () => {
    const forwarded = { headers: { 'X-Forwarded-For': '203.0.113.9' } };
    for (const path of ['/metrics', '/cluster/status']) {
      assertProblem(await service.api.get(path, forwarded), 403, 'insufficient_permissions');
      assert.equal((await service.api.get(path)).status, 200);
    }
  });
});
