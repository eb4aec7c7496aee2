/** Health, metrics, status and documents; and a process that mends itself. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog } from '../../packages/server/src/platform/log/index.ts';
import { createService, type Service } from '../../packages/server/src/service.ts';
import { loadSettings } from '../../packages/server/src/settings.ts';
import { assertProblem, createApi, tokensOf } from '../support/http.ts';
import { makeFolder, testEnv, until } from '../support/service.ts';
import { createSecrets } from './support/secrets.ts';
import {
  login,
  logout,
  metricsOf,
  newEmail,
  newPassword,
  onEachStore,
  refresh,
  register,
  validate,
} from './support/suite.ts';

/** CONTRACT section 8, word for word. */
const promised =
  `auth_http_request_duration_seconds auth_login_total auth_login_duration_seconds auth_registrations_total
auth_tokens_issued_total auth_token_validations_total auth_token_validation_duration_seconds auth_token_cache_total
auth_revocations_total auth_revocations_live auth_revocation_propagation_seconds auth_revocation_lag_seconds
auth_sessions_created_total auth_sessions_ended_total auth_sessions_active auth_session_duration_seconds
auth_rate_limited_total auth_lockouts_total auth_mfa_challenges_total auth_password_hash_seconds
auth_password_hash_queue auth_db_query_duration_seconds auth_db_pool auth_redis_command_duration_seconds
auth_cache_requests_total auth_cluster_nodes auth_cluster_messages_total auth_singleton_runs_total
auth_supervisor_restarts_total`.split(/\s+/);

onEachStore('operations', (service) => {
  test('every metric of the contract is there from the start, and the runtime’s own', async () => {
    const metrics = await metricsOf(service());
    assert.deepEqual(
      promised.filter((name) => !metrics.names.has(name)),
      [],
    );
    assert.ok([...metrics.names].some((name) => name.startsWith('nodejs_') || name.startsWith('process_')));
    for (const name of metrics.names) assert.match(metrics.text, new RegExp(`^# HELP ${name} \\S`, 'm'));
  });

  test('the metrics count what happened', async () => {
    const before = await metricsOf(service());
    const account = await register(service());
    tokensOf(await login(service(), account));
    await login(service(), { ...account, password: newPassword() });
    const next = tokensOf(await refresh(service(), account.tokens.refresh_token));
    await validate(service(), next.access_token);
    await validate(service(), next.access_token);
    await validate(service(), 'x');
    await logout(service(), next.access_token);
    const after = await metricsOf(service());
    const grew = (name: string, labels?: Record<string, string>) => after.sum(name, labels) - before.sum(name, labels);
    assert.equal(grew('auth_registrations_total'), 1);
    assert.equal(grew('auth_login_total'), 2);
    assert.equal(grew('auth_sessions_created_total'), 2);
    assert.equal(grew('auth_sessions_ended_total', { reason: 'logout' }), 1);
    assert.ok(grew('auth_token_validations_total') >= 3);
    assert.ok(grew('auth_token_cache_total') >= 2);
    assert.equal(grew('auth_revocations_total', { kind: 'session' }), 1);
    assert.equal(grew('auth_revocations_live'), 1);
    assert.equal(grew('auth_password_hash_seconds_count'), 3);
    assert.ok(grew('auth_db_query_duration_seconds_count') > 5);
    assert.ok(grew('auth_http_request_duration_seconds_count', { route: '/api/auth/login', method: 'POST' }) === 2);
  });

  test('CFG-06 labels come from a closed set: paths, methods and people add no series', async () => {
    const { api } = service();
    const warm = async (round: number) => {
      const account = await register(service());
      await validate(service(), account.tokens.access_token);
      await api.get(`/nothing-${round}`);
      await api.send('PATCH', `/api/auth/sessions/${account.tokens.session_id}`);
      await api.get('/api/auth/me', { headers: { 'User-Agent': `agent-${round}` } });
    };
    // The store's own statements appear as they are first used, whoever asks.
    const series = async () => {
      const lines = (await metricsOf(service())).text
        .split('\n')
        .filter((line) => !/^#|^nodejs_|^auth_db_|^$/.test(line));
      return new Set(lines.map((line) => line.slice(0, line.lastIndexOf(' '))));
    };
    await warm(0);
    await metricsOf(service());
    const before = await series();
    for (let round = 1; round < 15; round += 1) await warm(round);
    const added = [...(await series())].filter((one) => !before.has(one));
    assert.deepEqual(added, []);
    assert.doesNotMatch((await metricsOf(service())).text, /@|nothing-|agent-/);
  });

  test('health tells each part, and its own names no one', async () => {
    const answer = await service().api.get('/health');
    const report = answer.body as { status: string; checks: Record<string, { status: string }>; version: string };
    assert.equal(report.status, 'ok');
    for (const part of ['database', 'redis', 'revocations', 'cluster'])
      assert.ok(report.checks[part] !== undefined, part);
    assert.equal(report.checks['database']?.status, 'ok');
    for (const path of ['/health/live', '/health/ready']) assert.equal((await service().api.get(path)).status, 200);
    const root = JSON.parse(readFileSync(new URL('../../packages/server/package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    assert.equal(report.version, root.version);
  });

  test('/cluster/status describes one node', async () => {
    const answer = await service().api.get('/cluster/status');
    const status = answer.body as {
      clustering: boolean;
      size: number;
      nodes: { status: string }[];
      revocations: { stale: boolean };
    };
    assert.deepEqual(
      [status.clustering, status.size, status.nodes[0]?.status, status.revocations.stale],
      [false, 1, 'up', false],
    );
  });

  test('AZ-01 the document describes every route, with who may call it, and each of its own references resolves', async () => {
    const document = await service().api.document();
    assert.equal(document.openapi, '3.1.0');
    const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const wanted = [
      'POST /api/auth/register',
      'POST /api/auth/login',
      'POST /api/auth/logout',
      'POST /api/auth/validate-token',
      'POST /api/auth/refresh-token',
      'POST /api/auth/revoke-all-tokens',
      'GET /api/auth/me',
      'GET /api/auth/sessions',
      'DELETE /api/auth/sessions/{session_id}',
      'GET /api/auth/revocations/{position}',
      'GET /api/auth/revocations/feed',
      'POST /api/auth/mfa/verify',
      'POST /api/auth/mfa/webauthn/options',
      'POST /api/auth/reauthenticate',
      'POST /api/auth/reauthenticate/options',
      'GET /api/auth/mfa',
      'POST /api/auth/mfa/totp',
      'DELETE /api/auth/mfa/totp',
      'POST /api/auth/mfa/totp/confirm',
      'POST /api/auth/mfa/recovery-codes',
      'GET /health',
      'GET /health/live',
      'GET /health/ready',
      'GET /change-email',
      'GET /cluster/status',
      'GET /metrics',
      'GET /.well-known/jwks.json',
      'GET /.well-known/oauth-authorization-server',
      'GET /openapi.json',
      'GET /docs',
      'DELETE /api/auth/me',
      'GET /api/auth/me/export',
      'PATCH /api/auth/me',
      'POST /api/auth/change-password',
      'POST /api/auth/change-email',
      'POST /api/auth/verify-email',
      'POST /api/auth/resend-verification',
      'POST /api/auth/forgot-password',
      'POST /api/auth/reset-password',
      'GET /verify-email',
      'GET /reset-password',
      'POST /api/auth/webauthn/login/options',
      'POST /api/auth/webauthn/login/verify',
      'POST /api/auth/webauthn/registration/options',
      'POST /api/auth/webauthn/registration/verify',
      'GET /api/auth/webauthn/credentials',
      'PATCH /api/auth/webauthn/credentials/{id}',
      'DELETE /api/auth/webauthn/credentials/{id}',
    ];
    // Those of the administration have a table of their own, in administration.test.ts.
    const others = routes.filter((route) => !route.includes(' /api/admin/'));
    assert.deepEqual(others.sort(), wanted.sort());
    const text = JSON.stringify(document);
    for (const [, reference = ''] of text.matchAll(/"\$ref":"#([^"]+)"/g)) {
      const found = reference
        .slice(1)
        .split('/')
        .reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], document);
      assert.ok(found !== undefined, reference);
    }
    const open = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations)
        .filter(([, operation]) => operation.security?.length === 0)
        .map(([method]) => `${method} ${path}`),
    );
    for (const guarded of ['get /api/auth/me', 'post /api/auth/logout', 'get /metrics'])
      assert.ok(!open.includes(guarded), guarded);
  });

  test('AZ-01 whoever sends no token is told so first by each guarded route, whatever else is missing or malformed', async () => {
    const { api } = service();
    const guarded = Object.entries((await api.document()).paths).flatMap(([path, operations]) =>
      Object.entries(operations)
        .filter(([, operation]) => operation.security?.length !== 0 && path.startsWith('/api/'))
        .map(([method]) => [method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x')] as const),
    );
    assert.ok(guarded.length >= 9, String(guarded.length));
    for (const [method, path] of guarded) {
      assertProblem(await api.send(method, path), 401, 'missing_token');
      if (method !== 'GET') assertProblem(await api.send(method, path, undefined, { raw: '{' }), 401, 'missing_token');
    }
  });

  test('the reference page needs nothing from elsewhere and runs no script', async () => {
    const answer = await service().api.get('/docs');
    assert.match(answer.headers['content-type'] ?? '', /^text\/html/);
    assert.doesNotMatch(answer.text, /<script|<link|<img|<iframe|@import|url\(|srcset|\son\w+=/i);
    assert.doesNotMatch(String(answer.headers['content-security-policy']), /unsafe|\*|https?:/);
    const shown = answer.text
      .replaceAll(/<[^>]*>/g, '')
      .replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
    for (const path of Object.keys((await service().api.document()).paths)) assert.ok(shown.includes(path), path);
  });
});

async function embedded(): Promise<{ service: Service; url: string; end: () => Promise<void> }> {
  const folder = makeFolder();
  const loaded = loadSettings(
    { ...testEnv('embedded', undefined, join(folder, 'store')), LOG_LEVEL: 'silent' },
    {
      readFile: (path) => readFileSync(path, 'utf8'),
      machine: { cores: 2, hostName: 'test', suffix: 'x', isTerminal: false },
    },
  );
  assert.ok(loaded.ok);
  const { settings } = loaded;
  const log = createLog({ level: 'silent', format: 'json', destination: process.stderr });
  const service = createService({ settings, log });
  await service.start();
  const server = createServer((request, response) => service.handler(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    service,
    url: `http://127.0.0.1:${address.port}`,
    end: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await service.stop();
    },
  };
}

test('each part that dies is started again, is seen in /metrics, and the service works on', async (t) => {
  const { service, url, end } = await embedded();
  t.after(end);
  const secrets = createSecrets();
  const api = createApi(url, secrets);
  t.after(() => api.close());
  const user = { email: newEmail(), password: newPassword() };
  tokensOf(await api.post('/api/auth/register', { user }), 201);
  const names = service.supervisor.children().map((child) => child.name);
  assert.ok(names.length >= 6, names.join(' '));
  const restarts = async (child: string): Promise<number> => {
    const { text } = await api.get('/metrics');
    return Number(new RegExp(`^auth_supervisor_restarts_total\\{child="${child}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
  };
  for (const name of names) {
    const before = await restarts(name);
    assert.ok(service.supervisor.fail(name, new Error(`${name} was killed by a drill`)), name);
    await until(`${name} to be counted`, async () => (await restarts(name)) === before + 1);
    await until(`${name} to run again`, async () =>
      service.supervisor.children().some((child) => child.name === name && child.state === 'running'),
    );
    await until('the service to be ready', async () => (await api.get('/health/ready')).status === 200);
    tokensOf(await api.post('/api/auth/login', user));
  }
});
