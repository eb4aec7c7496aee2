/** Settings: what stops a start, one line a problem; files, .env and what Kubernetes puts into an environment. */
import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertProblem, tokensOf } from '../support/http.ts';
import { freePort } from '../support/ports.ts';
import {
  type Ended,
  type Env,
  isHealthy,
  makeFolder,
  randomSecret,
  runProgram,
  sharedPostgres,
  startService,
  testEnv,
} from '../support/service.ts';
import { assertQuiet, login, newEmail, newPassword, register } from './support/suite.ts';

async function start(env: Env): Promise<Ended & { readonly lines: readonly string[] }> {
  const cwd = makeFolder();
  const port = String(await freePort());
  const ended = await runProgram(['start'], {
    env: { ...testEnv('embedded', undefined, join(cwd, 'store')), PORT: port, ...env },
    cwd,
  });
  assert.equal(await isHealthy(`http://127.0.0.1:${port}`), false);
  rmSync(cwd, { recursive: true, force: true });
  return { ...ended, lines: (ended.stdout + ended.stderr).trim().split('\n') };
}

/** Each of these alone stops the start; they are tried many at a time, and each must get its line. */
const refused: readonly (readonly [variable: string, value: string])[] = [
  ['PORT', '70000'],
  ['PORT', 'http'],
  ['PORT', '-1'],
  ['PORT', '4000.5'],
  ['PORT', '0x10'],
  ['HOST', 'not a host'],
  ['PUBLIC_URL', 'localhost:4000'],
  ['PUBLIC_URL', 'ftp://example.org'],
  ['NODE_NAME', 'two words'],
  ['TRUST_PROXY', 'maybe'],
  ['TRUST_PROXY', '10.0.0.0/99'],
  ['CORS_ORIGINS', 'example.com'],
  ['CORS_ORIGINS', 'https://example.com/path'],
  ['JWT_SECRET', 'your-super-secret-jwt-key'],
  ['JWT_SECRET', 'changeme'],
  ['JWT_SECRET', 'a'.repeat(64)],
  ['JWT_SECRET', 'short'],
  ['JWT_SECRET', 'abcabcabcabcabcabcabcabcabcabcabcabcabc'],
  ['JWT_SECRET', ''],
  ['JWT_ALGORITHM', 'HS256'],
  ['JWT_ALGORITHM', 'none'],
  ['KEY_ROTATION_INTERVAL', '0'],
  ['TOKEN_TTL', '0'],
  ['TOKEN_TTL', '1h'],
  ['REFRESH_TTL', '-5'],
  ['REFRESH_REUSE_GRACE', '301'],
  ['SESSION_MAX_AGE', 'never'],
  ['MAX_SESSIONS_PER_USER', '0'],
  ['PASSWORD_HASH', 'md5'],
  ['BCRYPT_COST', '3'],
  ['BCRYPT_COST', '99'],
  ['PASSWORD_MIN_LENGTH', '4'],
  ['PASSWORD_MIN_LENGTH', '200'],
  ['MAX_LOGIN_ATTEMPTS', '0'],
  ['LOCKOUT_DURATION', '-1'],
  ['RATE_LIMIT_ENABLED', 'maybe'],
  ['RATE_LIMIT_LOGIN', '20'],
  ['RATE_LIMIT_LOGIN', '0/60'],
  ['RATE_LIMIT_LOGIN', '20/0'],
  ['RATE_LIMIT_API', 'unlimited'],
  ['EMAIL_VERIFICATION', 'yes'],
  ['BOOTSTRAP_ADMIN_EMAIL', 'nobody'],
  ['REVOCATION_MAX_STALENESS', '0'],
  ['REVOCATION_WHEN_STALE', 'ignore'],
  ['REVOCATION_ACK_TIMEOUT', '-1'],
  ['METRICS_TOKEN', 'short'],
  ['LOG_LEVEL', 'loud'],
  ['LOG_FORMAT', 'xml'],
  ['DB_SSL', 'maybe'],
  ['DATABASE_URL', 'mysql://localhost/auth'],
  ['DATABASE_URL', 'not a url'],
  ['DB_POOL_SIZE', '0'],
  ['REDIS_URL', 'http://localhost:6379'],
  ['SESSION_STORE', 'memory'],
  ['WORKERS', 'many'],
  ['SMTP_URL', 'http://localhost'],
];

test('CFG-01 a weak, wrong or impossible value stops the start, with a line that names the variable and the mend', async () => {
  const rounds: Map<string, string>[] = [];
  for (const [variable, value] of refused) {
    const round = rounds.find((one) => !one.has(variable)) ?? new Map<string, string>();
    if (round.size === 0) rounds.push(round);
    round.set(variable, value);
  }
  for (const round of rounds) {
    const { code, lines } = await start(Object.fromEntries(round));
    assert.equal(code, 1, lines.join('\n'));
    for (const [variable, value] of round) {
      const about = lines.filter((line) => line.startsWith(variable));
      assert.equal(about.length, 1, `${variable}=${value}:\n${lines.join('\n')}`);
      assert.match(about[0] ?? '', /; \w/, 'what is wrong; what to set');
      if (['JWT_SECRET', 'METRICS_TOKEN', 'DATABASE_URL'].includes(variable) && value.length > 6) {
        assert.ok(!lines.join('\n').includes(value), `${variable} is shown`);
      }
    }
    assert.equal(lines.length, round.size, lines.join('\n'));
  }
});

const contradictions: readonly (readonly [env: Env, variable: string])[] = [
  [{ DATABASE_URL: 'postgres://a:b@127.0.0.1/c', JWT_SECRET: undefined }, 'JWT_SECRET'],
  [{ DATABASE_URL: 'postgres://a:b@127.0.0.1/c', DB_HOST: 'elsewhere' }, 'DB_HOST'],
  [{ DB_HOST: '127.0.0.1' }, 'DB_NAME'],
  [{ DB_PORT: '5433' }, 'DB_PORT'],
  [{ TLS_CERT_FILE: '/nothing' }, 'TLS_CERT_FILE'],
  [{ TLS_CERT_FILE: '/etc/hostname' }, 'TLS_KEY_FILE'],
  [{ BOOTSTRAP_ADMIN_EMAIL: 'a@example.org' }, 'BOOTSTRAP_ADMIN_PASSWORD'],
  [{ NODE_ENV: 'production', CORS_ORIGINS: '*', BCRYPT_COST: '12' }, 'CORS_ORIGINS'],
  [{ NODE_ENV: undefined, BCRYPT_COST: '4' }, 'BCRYPT_COST'],
  [{ SESSION_IDLE_TTL: '1000', REFRESH_TTL: '500' }, 'SESSION_IDLE_TTL'],
  [{ JWT_SECRET_PREVIOUS: randomSecret(), JWT_SECRET: undefined }, 'JWT_SECRET_PREVIOUS'],
  [{ ENABLE_CLUSTERING: 'true', CLUSTER_SECRET: randomSecret(), PUBLIC_URL: 'https://a.example' }, 'ENABLE_CLUSTERING'],
  [{ ENABLE_CLUSTERING: 'true', DATABASE_URL: 'postgres://a:b@127.0.0.1/c' }, 'CLUSTER_SECRET'],
  [{ SESSION_STORE: 'redis' }, 'SESSION_STORE'],
  [{ WORKERS: '2' }, 'WORKERS'],
];

for (const [env, variable] of contradictions) {
  test(`CFG-01 settings that contradict each other stop the start: ${Object.keys(env).join(', ')}`, async () => {
    const { code, lines } = await start(env);
    assert.equal(code, 1, lines.join('\n'));
    assert.ok(
      lines.some((line) => line.startsWith(variable)),
      lines.join('\n'),
    );
  });
}

test('CFG-02 a misspelled variable is an error that names the one that was meant', async () => {
  const { code, lines } = await start({ JWT_SECERT: randomSecret(), RATE_LIMIT_LOGINS: '5/60' });
  assert.equal(code, 1);
  assert.ok(
    lines.some((line) => /^JWT_SECERT .*JWT_SECRET\?/.test(line)),
    lines.join('\n'),
  );
  assert.ok(
    lines.some((line) => /^RATE_LIMIT_LOGINS .*RATE_LIMIT_LOGIN\?/.test(line)),
    lines.join('\n'),
  );
});

test('what Kubernetes and other programs put into an environment is no setting of ours', async (t) => {
  const service = await startService({
    store: 'postgres',
    env: {
      REDIS_PORT: 'tcp://10.0.0.11:6379',
      REDIS_PORT_6379_TCP: 'tcp://10.0.0.11:6379',
      REDIS_PORT_6379_TCP_ADDR: '10.0.0.11',
      REDIS_SERVICE_HOST: '10.0.0.11',
      REDIS_SERVICE_PORT: '6379',
      AUTH_SERVICE_PORT: 'tcp://10.0.0.12:4000',
      AUTH_SERVICE_SERVICE_HOST: '10.0.0.12',
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      KUBERNETES_PORT: 'tcp://10.0.0.1:443',
      SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt',
      SSL_CERT_DIR: '/etc/ssl/certs',
      NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/ca-certificates.crt',
      HOSTNAME: 'pod-1',
      PWD: '/',
      LANG: 'C.UTF-8',
      EMPTY: '',
      PORTS: '1,2',
    },
  });
  t.after(() => service.stop());
  await register(service);
});

test('a .env file in the working directory is read, and the environment wins over it', async (t) => {
  const folder = makeFolder();
  const url = await (await sharedPostgres()).createDatabase();
  const lines = [
    '# settings',
    `JWT_SECRET="${randomSecret()}"`,
    `DATABASE_URL=${url}`,
    'PASSWORD_MIN_LENGTH=20',
    'MAX_LOGIN_ATTEMPTS=99 # not this',
    'JWT_AUDIENCE=from-the-file',
  ];
  writeFileSync(join(folder, '.env'), `${lines.join('\n')}\n`);
  const service = await startService({
    store: 'postgres',
    dataDir: folder,
    databaseUrl: url,
    env: { JWT_SECRET: undefined, DATABASE_URL: undefined, MAX_LOGIN_ATTEMPTS: '2' },
  });
  t.after(async () => {
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const short = { user: { email: newEmail(), password: 'q8$kz!wv' } };
  assertProblem(await service.api.post('/api/auth/register', short), 422, 'validation_failed');
  const account = await register(service, { password: `${newPassword()} and more` });
  const { aud } = JSON.parse(Buffer.from(account.tokens.access_token.split('.')[1] ?? '', 'base64url').toString());
  assert.equal(aud, 'from-the-file');
  for (let at = 0; at < 2; at += 1) await login(service, { ...account, password: newPassword() });
  assertProblem(await login(service, account), 429, 'account_locked');
});

test('CFG-04 a secret may stand in a file; both at once, or a file that is not there, stop the start', async (t) => {
  const folder = makeFolder();
  const file = join(folder, 'jwt-secret');
  writeFileSync(file, `${randomSecret()}\n`);
  chmodSync(file, 0o400);
  const service = await startService({ store: 'postgres', env: { JWT_SECRET: undefined, JWT_SECRET_FILE: file } });
  t.after(async () => {
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const account = await register(service);
  tokensOf(await login(service, account));
  const both = await start({ JWT_SECRET_FILE: file });
  assert.equal(both.code, 1);
  assert.match(both.lines.join('\n'), /JWT_SECRET.*JWT_SECRET_FILE/);
  const missing = await start({ JWT_SECRET: undefined, JWT_SECRET_FILE: join(folder, 'nothing') });
  assert.equal(missing.code, 1);
  assert.match(missing.lines.join('\n'), /^JWT_SECRET_FILE /m);
});

test('CFG-04 no secret is shown by config, help, errors or logs', async (t) => {
  const canaries = {
    JWT_SECRET: randomSecret(),
    JWT_SECRET_PREVIOUS: randomSecret(),
    METRICS_TOKEN: randomSecret(),
    CLUSTER_STATUS_TOKEN: randomSecret(),
    BOOTSTRAP_ADMIN_PASSWORD: newPassword(),
  };
  const service = await startService({ store: 'postgres', env: { ...canaries, BOOTSTRAP_ADMIN_EMAIL: newEmail() } });
  t.after(() => service.stop());
  for (const value of Object.values(canaries)) service.secrets.add(value);
  service.secrets.add(new URL(service.databaseUrl ?? '').password);
  for (const args of [
    ['config'],
    ['config', '--json'],
    ['doctor'],
    ['help'],
    ['start', '--help'],
    ['users', 'list'],
    ['nonsense'],
    ['openapi'],
  ]) {
    const { stdout, stderr } = await service.cli(args);
    assert.ok(stdout !== '' || stderr !== '');
    service.secrets.assertAbsentFrom(stdout + stderr, args.join(' '));
  }
  await service.api.get('/health');
  for (const path of ['/metrics', '/cluster/status']) {
    assertProblem(await service.api.get(path), 401, 'missing_token');
    assertProblem(await service.api.get(path, { token: randomSecret() }), 401, 'invalid_token');
  }
  const metrics = await service.api.get('/metrics', { token: canaries.METRICS_TOKEN });
  const status = await service.api.get('/cluster/status', { token: canaries.CLUSTER_STATUS_TOKEN });
  assert.deepEqual([metrics.status, status.status], [200, 200]);
  service.secrets.assertAbsentFrom(metrics.text + status.text, 'metrics and status');
  assert.equal(await service.halt(), 0);
  assertQuiet(service);
});
