import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { createCertificateAuthority } from '../../../tests/support/certificates.ts';
import { type Environment, knownNames, withDotenv } from './platform/config/index.ts';
import { describeConfig, describeProblems, loadSettings, type Settings } from './settings.ts';
import { settingsTable } from './settings-table.ts';

const machine = { hostName: 'host.example', suffix: 'k3f9', cores: 4, isTerminal: false };
const secret = randomBytes(48).toString('base64');
const otherSecret = randomBytes(48).toString('base64');

const load = (environment: Environment) =>
  loadSettings(environment, {
    readFile: (path) => {
      if (path === '/readable/authority') return authority;
      if (path.startsWith('/readable/')) return 'content';
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    },
    machine,
  });

function settingsOf(environment: Environment): Settings {
  const result = load(environment);
  assert.ok(result.ok, result.ok ? '' : describeProblems(result.problems).join('\n'));
  return result.settings;
}

function problemsOf(environment: Environment): readonly string[] {
  const result = load(environment);
  assert.ok(!result.ok, `it was accepted: ${inspect(environment)}`);
  return describeProblems(result.problems);
}

function refused(environment: Environment, ...starts: readonly string[]): void {
  const lines = problemsOf(environment);
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    starts,
    lines.join('\n'),
  );
}

const authority = createCertificateAuthority().cert;

describe('defaults', () => {
  test('an empty environment is a sound node on the embedded store, open to this machine alone', () => {
    const settings = settingsOf({});
    assert.deepEqual(settings.database, { kind: 'embedded', dataDir: './data' });
    assert.equal(settings.host, '127.0.0.1');
    assert.equal(settings.port, 4000);
    assert.equal(settings.publicUrl, 'http://localhost:4000');
    assert.equal(settings.nodeName, 'host.example-k3f9');
    assert.equal(settings.environment, 'production');
    assert.equal(settings.jwtSecret, undefined);
    assert.equal(settings.logFormat, 'json');
    assert.equal(settings.sessionIdleTtlSeconds, settings.refreshTtlSeconds);
    assert.equal(settings.passwordHashWorkers, 4);
    assert.equal(settings.passwordHashQueueMax, 64);
    assert.equal(settings.shutdownTimeoutMs, 10_000);
    assert.equal(settings.trustProxy, false);
    assert.deepEqual(settings.rateLimits.api, { limit: 600, windowSeconds: 60 });
  });

  test('the promised names have the promised defaults', () => {
    const promised: Readonly<Record<string, unknown>> = {
      PORT: 4000,
      DATA_DIR: './data',
      DB_POOL_SIZE: 10,
      MIGRATE_ON_START: true,
      SESSION_STORE: 'postgres',
      JWT_ALGORITHM: 'EdDSA',
      JWT_AUDIENCE: 'auth-service',
      AUDIT_RETENTION_DAYS: 0,
      KEY_ROTATION_INTERVAL: 2_592_000,
      TOKEN_TTL: 3600,
      REFRESH_TTL: 604_800,
      SESSION_MAX_AGE: 2_592_000,
      MAX_SESSIONS_PER_USER: 100,
      REFRESH_REUSE_GRACE: 30,
      PASSWORD_HASH: 'bcrypt',
      BCRYPT_COST: 12,
      PASSWORD_MIN_LENGTH: 8,
      MAX_LOGIN_ATTEMPTS: 5,
      LOCKOUT_DURATION: 900,
      RATE_LIMIT_ENABLED: true,
      RATE_LIMIT_LOGIN: { limit: 20, windowSeconds: 60 },
      RATE_LIMIT_REGISTER: { limit: 10, windowSeconds: 3600 },
      RATE_LIMIT_REFRESH: { limit: 60, windowSeconds: 60 },
      RATE_LIMIT_RECOVERY: { limit: 5, windowSeconds: 3600 },
      RATE_LIMIT_MFA: { limit: 10, windowSeconds: 300 },
      RATE_LIMIT_API: { limit: 600, windowSeconds: 60 },
      TRUST_PROXY: false,
      ENABLE_CLUSTERING: false,
      CLUSTER_STRATEGY: 'postgres',
      CLUSTER_PORT: 4370,
      REDIS_PREFIX: 'auth:',
      REVOCATION_ACK_TIMEOUT: 1000,
      REVOCATION_MAX_STALENESS: 10,
      REVOCATION_WHEN_STALE: 'refuse',
      EMAIL_VERIFICATION: 'off',
      LOG_LEVEL: 'info',
      SHUTDOWN_TIMEOUT: 10,
    };
    const fallbacks = Object.fromEntries(Object.entries(settingsTable).map(([name, { fallback }]) => [name, fallback]));
    for (const [name, value] of Object.entries(promised)) assert.deepEqual(fallbacks[name], value, name);
  });

  test('a root secret of its own, or PostgreSQL, opens the service to the network; HOST has the last word', () => {
    assert.equal(settingsOf({ JWT_SECRET: secret }).host, '0.0.0.0');
    assert.equal(settingsOf({ JWT_SECRET: secret, DATABASE_URL: 'postgres://a:b@db/x' }).host, '0.0.0.0');
    assert.equal(settingsOf({ JWT_SECRET: secret, HOST: '::1' }).host, '::1');
    assert.equal(settingsOf({ HOST: '10.0.0.1' }).host, '10.0.0.1');
  });
});

describe('CFG-01 weak secrets', () => {
  test('CFG-01 stop the start, for the root secret, the cluster secret and the tokens of operations', () => {
    for (const name of ['JWT_SECRET', 'CLUSTER_SECRET', 'METRICS_TOKEN', 'CLUSTER_STATUS_TOKEN']) {
      for (const given of [
        '',
        'your-super-secret-jwt-key',
        'your-cluster-secret',
        'changeme',
        'secret',
        'z'.repeat(48),
      ]) {
        refused({ [name]: given }, name);
      }
    }
  });

  test('CFG-01 examples for the database password are refused everywhere, its defaults off this machine', () => {
    const address = { DB_USERNAME: 'a', DB_NAME: 'x', JWT_SECRET: secret };
    for (const password of ['yourpassword', 'changeme']) {
      refused({ ...address, DB_HOST: '127.0.0.1', DB_PASSWORD: password }, 'DB_PASSWORD');
      refused({ JWT_SECRET: secret, DATABASE_URL: `postgres://a:${password}@localhost/x` }, 'DATABASE_URL');
    }
    refused({ ...address, DB_HOST: 'db.internal', DB_PASSWORD: 'postgres' }, 'DB_PASSWORD');
    refused({ ...address, DB_HOST: '127.0.0.1', DB_PASSWORD: 'postgres', NODE_ENV: 'production' }, 'DB_PASSWORD');
    refused({ JWT_SECRET: secret, DATABASE_URL: 'postgres://a:x@db/x?password=postgres' }, 'DATABASE_URL');
    settingsOf({ ...address, DB_HOST: '127.0.0.1', DB_PASSWORD: 'postgres' });
    settingsOf({ ...address, DB_HOST: 'db.internal', DB_PASSWORD: 'postgres', NODE_ENV: 'test' });
  });

  test('CFG-01 no value that our documents print for a secret is taken', () => {
    const root = new URL('../../../', import.meta.url).pathname;
    const pages = ['README.md', '.env.example', ...globSync('docs/**/*.md', { cwd: root })];
    let seen = 0;
    for (const page of pages.filter((path) => existsSync(root + path))) {
      seen += 1;
      for (const [, value = ''] of readFileSync(root + page, 'utf8').matchAll(/\bJWT_SECRET=["']?([^\s"'`|]+)/g)) {
        if (!value.startsWith('$')) refused({ JWT_SECRET: value }, 'JWT_SECRET');
      }
    }
    assert.ok(seen > 2, 'no pages were found');
  });
});

describe('CFG-02 names', () => {
  test('CFG-02 a misspelled name stops the start and names the right one', () => {
    assert.match(problemsOf({ JWT_SECERT: secret }).join(), /did you mean JWT_SECRET\?/);
    assert.match(problemsOf({ TOKEN_TTLS: '5' }).join(), /did you mean TOKEN_TTL\?/);
    assert.match(problemsOf({ REVOCATION_MAX_STALENES: '5' }).join(), /did you mean REVOCATION_MAX_STALENESS\?/);
  });

  test('an environment of a machine, a container and a package manager is no mistake', () => {
    const result = load({
      ...{
        PATH: '/bin',
        HOME: '/root',
        HOSTNAME: 'x',
        LANG: 'C',
        TERM: 'xterm',
        PWD: '/',
        SHLVL: '1',
        LOGNAME: 'a',
        USER: 'a',
      },
      ...{
        NODE_OPTIONS: '',
        NODE_PATH: '/x',
        NODE_VERSION: '24',
        npm_config_cache: 'x',
        SSL_CERT_FILE: '/x',
        SSL_CERT_DIR: '/x',
      },
      ...{
        KUBERNETES_SERVICE_HOST: '10.0.0.1',
        KUBERNETES_PORT: 'tcp://10.0.0.1:443',
        KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
      },
      ...{
        AUTH_SERVICE_PORT: 'tcp://10.0.0.2:4000',
        AUTH_SERVICE_SERVICE_HOST: '10.0.0.2',
        REDIS_PORT: 'tcp://10.0.0.3:6379',
      },
      ...{ REDIS_SERVICE_HOST: '10.0.0.3', REDIS_SERVICE_PORT_REDIS: '6379', DB_PORT: 'tcp://10.0.0.4:5432' },
      ...{
        PGHOST: 'x',
        POSTGRES_PASSWORD: 'x',
        OTEL_SERVICE_NAME: 'x',
        HTTPS_PROXY: 'x',
        CI: 'true',
        TZ: 'UTC',
        POD_NAME: 'x',
      },
    });
    assert.ok(result.ok, JSON.stringify(result));
    assert.deepEqual(result.warnings, []);
  });
});

describe('what settings may be together', () => {
  test('the database: one address, whole, that does not contradict itself', () => {
    const base = { JWT_SECRET: secret };
    refused({ ...base, DB_HOST: 'db' }, 'DB_USERNAME', 'DB_NAME');
    refused({ ...base, DB_NAME: 'x', DB_PASSWORD: 'pw1' }, 'DB_PASSWORD', 'DB_NAME');
    refused({ ...base, DATABASE_URL: 'postgres://a:b@db' }, 'DATABASE_URL');
    const whole = { ...base, DATABASE_URL: 'postgres://a:b@db:5433/x?sslmode=require' };
    for (const [name, value] of Object.entries({
      DB_HOST: 'c',
      DB_PORT: '1',
      DB_USERNAME: 'c',
      DB_NAME: 'c',
      DB_SSL: 'disable',
    })) {
      refused({ ...whole, [name]: value }, name);
    }
    settingsOf({
      ...whole,
      DB_HOST: 'db',
      DB_PORT: '5433',
      DB_USERNAME: 'a',
      DB_PASSWORD: 'b',
      DB_NAME: 'x',
      DB_SSL: 'require',
    });
  });

  test('the database: parts become what the driver takes, and TLS is preferred to other machines', () => {
    const parts = { DB_HOST: 'db', DB_USERNAME: 'a', DB_PASSWORD: 'p@ss/w:rd', DB_NAME: 'x', JWT_SECRET: secret };
    const remote = settingsOf(parts).database;
    assert.ok(remote.kind === 'postgres');
    assert.deepEqual(remote.connection.reveal(), {
      host: 'db',
      port: 5432,
      user: 'a',
      password: 'p@ss/w:rd',
      database: 'x',
    });
    assert.deepEqual([remote.ssl, remote.place], ['prefer', 'db:5432/x']);
    for (const host of ['/var/run/postgresql', 'localhost', '127.0.0.1', '::1', '[::1]']) {
      const local = settingsOf({ ...parts, DB_HOST: host }).database;
      assert.ok(local.kind === 'postgres' && local.ssl === 'disable', host);
    }
    const url = settingsOf({ JWT_SECRET: secret, DATABASE_URL: 'postgresql://a:b@[::1]:5433/x' }).database;
    assert.ok(url.kind === 'postgres');
    assert.deepEqual([url.ssl, url.place], ['disable', '[::1]:5433/x']);
  });

  test('the root secret: required with PostgreSQL, another one than before', () => {
    refused({ DATABASE_URL: 'postgres://a:b@db/x' }, 'JWT_SECRET');
    refused({ JWT_SECRET: secret, JWT_SECRET_PREVIOUS: secret }, 'JWT_SECRET_PREVIOUS');
    refused({ JWT_SECRET_PREVIOUS: secret }, 'JWT_SECRET_PREVIOUS');
    assert.equal(
      settingsOf({ JWT_SECRET: secret, JWT_SECRET_PREVIOUS: otherSecret }).jwtSecretPrevious?.reveal(),
      otherSecret,
    );
  });

  test('CFG-03 cheap password hashes and open origins need the word for it', () => {
    refused({ BCRYPT_COST: '9' }, 'BCRYPT_COST');
    refused({ BCRYPT_COST: '9', NODE_ENV: 'development' }, 'BCRYPT_COST');
    refused({ BCRYPT_COST: '3', NODE_ENV: 'test' }, 'BCRYPT_COST');
    assert.equal(settingsOf({ BCRYPT_COST: '4', NODE_ENV: 'test' }).bcryptCost, 4);
    for (const environment of [undefined, 'production', 'staging', 'TEST']) {
      refused({ CORS_ORIGINS: 'https://a.example,*', NODE_ENV: environment }, 'CORS_ORIGINS');
    }
    assert.deepEqual(settingsOf({ CORS_ORIGINS: '*', NODE_ENV: 'development' }).corsOrigins, ['*']);
  });

  test('BRW-02 cookies are off unless asked for, never with any origin, and never where browsers would not keep them', () => {
    assert.equal(settingsOf({}).cookieMode, 'off');
    assert.equal(settingsOf({ COOKIE_MODE: 'lax' }).cookieMode, 'lax');
    assert.equal(settingsOf({ COOKIE_MODE: 'strict', PUBLIC_URL: 'https://auth.example.org' }).cookieMode, 'strict');
    for (const environment of [undefined, 'production', 'development', 'test']) {
      refused({ COOKIE_MODE: 'lax', CORS_ORIGINS: '*', NODE_ENV: environment }, 'CORS_ORIGINS');
    }
    refused({ COOKIE_MODE: 'lax', PUBLIC_URL: 'http://auth.example.org' }, 'COOKIE_MODE');
    refused({ COOKIE_MODE: 'none' }, 'COOKIE_MODE');
  });

  test('origins are exact, proxies are named', () => {
    for (const origin of [
      'https://a.example/',
      'a.example',
      'https://*.example',
      'null',
      'https://A.example',
      'https://a.example:443',
    ]) {
      refused({ CORS_ORIGINS: origin }, 'CORS_ORIGINS');
    }
    assert.deepEqual(settingsOf({ CORS_ORIGINS: 'https://a.example, http://localhost:3000' }).corsOrigins, [
      'https://a.example',
      'http://localhost:3000',
    ]);
    for (const proxy of ['true', '-1', '33', '1.5', 'proxy.example', '10.0.0.0/33', '10.0.0.0/8,'])
      refused({ TRUST_PROXY: proxy }, 'TRUST_PROXY');
    assert.deepEqual(
      ['false', '0', '2', '10.0.0.0/8, fd00::/8'].map((given) => settingsOf({ TRUST_PROXY: given }).trustProxy),
      [false, false, 2, ['10.0.0.0/8', 'fd00::/8']],
    );
  });

  test('certificate and key go together, and can be read', () => {
    refused({ TLS_CERT_FILE: '/readable/cert' }, 'TLS_KEY_FILE');
    refused({ TLS_CERT_FILE: '/readable/cert', TLS_KEY_FILE: '/nowhere' }, 'TLS_KEY_FILE');
    const settings = settingsOf({ TLS_CERT_FILE: '/readable/cert', TLS_KEY_FILE: '/readable/key' });
    assert.deepEqual(settings.tls, { certFile: '/readable/cert', keyFile: '/readable/key', clientCaFile: undefined });
    assert.equal(settings.publicUrl, 'https://localhost:4000');
  });

  test('authorities of clients are certificates of authorities, and need a listener with TLS', () => {
    const tls = { TLS_CERT_FILE: '/readable/cert', TLS_KEY_FILE: '/readable/key' };
    refused({ TLS_CLIENT_CA_FILE: '/readable/authority' }, 'TLS_CLIENT_CA_FILE');
    for (const path of ['/nowhere', '/readable/other'])
      refused({ ...tls, TLS_CLIENT_CA_FILE: path }, 'TLS_CLIENT_CA_FILE');
    const settings = settingsOf({ ...tls, TLS_CLIENT_CA_FILE: '/readable/authority' });
    assert.equal(settings.tls?.clientCaFile, '/readable/authority');
  });

  test('the first administrator has both an address and a password that the policy takes', () => {
    refused({ BOOTSTRAP_ADMIN_EMAIL: 'a@example.com' }, 'BOOTSTRAP_ADMIN_PASSWORD');
    refused({ BOOTSTRAP_ADMIN_PASSWORD: 'a long enough one' }, 'BOOTSTRAP_ADMIN_EMAIL');
    const email = { BOOTSTRAP_ADMIN_EMAIL: 'a@example.com' };
    for (const given of ['changeme', 'short', 'x'.repeat(129)]) {
      refused({ ...email, BOOTSTRAP_ADMIN_PASSWORD: given }, 'BOOTSTRAP_ADMIN_PASSWORD');
    }
    refused({ ...email, BOOTSTRAP_ADMIN_PASSWORD: 'eight by8', PASSWORD_MIN_LENGTH: '10' }, 'BOOTSTRAP_ADMIN_PASSWORD');
    assert.equal(
      settingsOf({ ...email, BOOTSTRAP_ADMIN_PASSWORD: 'a long enough one' }).bootstrapAdmin?.email,
      'a@example.com',
    );
  });

  test('an idle limit that the refresh token would cut short is a contradiction', () => {
    refused({ SESSION_IDLE_TTL: '604801' }, 'SESSION_IDLE_TTL');
    assert.equal(settingsOf({ SESSION_IDLE_TTL: '60' }).sessionIdleTtlSeconds, 60);
    assert.equal(settingsOf({ REFRESH_TTL: '2' }).sessionIdleTtlSeconds, 2);
  });

  test('limits are limits', () => {
    const wrong = {
      ...{
        PORT: '65536',
        PASSWORD_MIN_LENGTH: '7',
        REFRESH_REUSE_GRACE: '301',
        MAX_LOGIN_ATTEMPTS: '0',
        TOKEN_TTL: '0',
      },
      ...{
        RATE_LIMIT_LOGIN: '20',
        PUBLIC_URL: 'localhost',
        JWT_ALGORITHM: 'HS256',
        LOG_LEVEL: 'loud',
        NODE_NAME: 'a b',
      },
    };
    for (const [name, value] of Object.entries(wrong)) refused({ [name]: value }, name);
    assert.equal(problemsOf(wrong).length, Object.keys(wrong).length);
    refused({ PASSWORD_MIN_LENGTH: '129' }, 'PASSWORD_MIN_LENGTH');
    assert.equal(settingsOf({ PASSWORD_MIN_LENGTH: '128' }).passwordMinLength, 128);
  });

  test('a problem is told once: what follows from it is not told too', () => {
    refused(
      { DATABASE_URL: 'postgres://a:b@db/x', JWT_SECRET: 'changeme', BCRYPT_COST: '4' },
      'JWT_SECRET',
      'BCRYPT_COST',
    );
    refused(
      { BOOTSTRAP_ADMIN_EMAIL: 'a@example.com', BOOTSTRAP_ADMIN_PASSWORD: 'password' },
      'BOOTSTRAP_ADMIN_PASSWORD',
    );
  });
});

describe('defaults that are written down', () => {
  test('what asks for nothing is taken', () => {
    settingsOf({
      ENABLE_CLUSTERING: 'false',
      WORKERS: '1',
      SESSION_STORE: 'postgres',
      CLUSTER_STRATEGY: 'postgres',
      REDIS_PREFIX: 'x:',
    });
    settingsOf({ CLUSTER_SECRET: secret, CLUSTER_PORT: '0' });
  });
});

describe('mail', () => {
  const mailOf = (environment: Environment) => {
    const { smtp, from } = settingsOf(environment).mail;
    return { smtp: smtp?.reveal(), from };
  };
  const warned = (environment: Environment) => {
    const result = load(environment);
    return result.ok ? result.warnings.map(({ variable, mend }) => `${variable}: ${mend}`) : assert.fail();
  };

  test('without a mail server the sender is made of the public address', () => {
    const { smtp, from } = mailOf({ PUBLIC_URL: 'https://auth.example.org/base' });
    assert.equal(smtp, undefined);
    assert.deepEqual(from, { name: '', address: 'no-reply@auth.example.org' });
    assert.equal(mailOf({ PUBLIC_URL: 'http://192.0.2.1:80' }).from.address, 'no-reply@localhost');
  });

  test('another machine must prove itself by TLS unless it is said otherwise; this one need not', () => {
    const far = mailOf({ SMTP_URL: 'smtp://ada:p%40ss@mail.example', MAIL_FROM: 'Auth <auth@example.org>' });
    assert.deepEqual(far, {
      smtp: {
        ...{ host: 'mail.example', port: 587, secure: false, tls: 'required' },
        auth: { user: 'ada', pass: 'p@ss' },
      },
      from: { name: 'Auth', address: 'auth@example.org' },
    });
    assert.equal(mailOf({ SMTP_URL: 'smtp://mail.example?tls=opportunistic' }).smtp?.tls, 'opportunistic');
    assert.equal(mailOf({ SMTP_URL: 'smtp://127.0.0.1:2525' }).smtp?.tls, 'opportunistic');
    assert.equal(mailOf({ SMTP_URL: 'smtps://mail.example' }).smtp?.port, 465);
  });

  test('what contradicts itself is one line each', () => {
    for (const [variable, value] of [
      ['SMTP_URL', 'http://mail.example'],
      ['SMTP_URL', 'smtps://mail.example?tls=none'],
      ['SMTP_URL', 'smtp://a:b@mail.example?tls=none'],
      ['SMTP_URL', 'smtp://mail.example?tls=perhaps'],
      ['SMTP_URL', 'smtp://mail.example?pool=true'],
      ['SMTP_URL', 'smtp://:b@mail.example'],
      ['MAIL_FROM', 'ada'],
      ['MAIL_FROM', 'Ada <ada@example.org'],
      ['MAIL_FROM', 'ada@example.org>'],
      ['MAIL_FROM', 'a@example.org, b@example.org'],
    ] as const) {
      const lines = problemsOf({ [variable]: value });
      assert.deepEqual([lines.length, lines[0]?.startsWith(variable)], [1, true], `${value}: ${lines.join()}`);
    }
  });

  test('addresses that must be verified want a mail server, or somebody who verifies them', () => {
    assert.deepEqual(warned({}), []);
    assert.match(warned({ EMAIL_VERIFICATION: 'required' }).join(), /^EMAIL_VERIFICATION: set SMTP_URL.*users verify/);
    const whole = { SMTP_URL: 'smtp://mail.example', MAIL_FROM: 'a@example.org' };
    assert.deepEqual(warned({ EMAIL_VERIFICATION: 'required', ...whole }), []);
  });
});

describe('clustering', () => {
  const together = {
    ENABLE_CLUSTERING: 'true',
    DATABASE_URL: 'postgres://a:b@db/x',
    JWT_SECRET: otherSecret,
    CLUSTER_SECRET: secret,
    PUBLIC_URL: 'https://auth.example.org',
  };

  test('is off by default, and on with PostgreSQL, a secret and a public address', () => {
    assert.equal(settingsOf({}).cluster, undefined);
    const { cluster } = settingsOf({ ...together, CLUSTER_ADDRESS: '[fd00::1]', CLUSTER_PEERS: 'a:1,[fd00::2]:2' });
    assert.equal(cluster?.secret.reveal(), secret);
    assert.deepEqual([cluster?.strategy, cluster?.port, cluster?.address], ['postgres', 4370, 'fd00::1']);
    assert.deepEqual(cluster?.peers, [
      { host: 'a', port: 1 },
      { host: 'fd00::2', port: 2 },
    ]);
  });

  for (const [name, variables] of [
    ['CLUSTER_SECRET', { CLUSTER_SECRET: undefined }],
    ['PUBLIC_URL', { PUBLIC_URL: undefined }],
    ['ENABLE_CLUSTERING', { DATABASE_URL: undefined }],
  ] as const) {
    test(`is refused with one line where ${name} contradicts it`, () => {
      const lines = problemsOf({ ...together, ...variables });
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.ok(lines[0]?.startsWith(name));
    });
  }

  const inPod = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

  for (const [strategy, variables] of [
    ['postgres', {}],
    ['static', { CLUSTER_PEERS: 'a:4370' }],
    ['gossip', {}],
    ['gossip', { CLUSTER_PEERS: 'a:4370', CLUSTER_GOSSIP_TTL: '0' }],
    ['dns', { CLUSTER_DNS_QUERY: '_mesh._tcp.auth.example.com.' }],
    ['kubernetes-dns', { CLUSTER_DNS_QUERY: 'auth-headless' }],
    ['kubernetes', { KUBERNETES_SELECTOR: 'app in (a, b),!canary', ...inPod }],
  ] as const) {
    test(`${strategy} starts with ${Object.keys(variables).join(', ') || 'nothing more'}`, () => {
      assert.equal(settingsOf({ ...together, CLUSTER_STRATEGY: strategy, ...variables }).cluster?.strategy, strategy);
    });
  }

  for (const [name, strategy, variables] of [
    ['CLUSTER_PEERS', 'static', {}],
    ['CLUSTER_PEERS', 'static', { CLUSTER_PEERS: 'a:65536' }],
    ['CLUSTER_PEERS', 'static', { CLUSTER_PEERS: 'a:0' }],
    ['CLUSTER_PEERS', 'static', { CLUSTER_PEERS: 'fd00::1:4370' }],
    ['CLUSTER_DNS_QUERY', 'dns', {}],
    ['CLUSTER_DNS_QUERY', 'dns', { CLUSTER_DNS_QUERY: 'a..b' }],
    ['CLUSTER_DNS_QUERY', 'dns', { CLUSTER_DNS_QUERY: 'https://a' }],
    ['CLUSTER_DNS_QUERY', 'kubernetes-dns', {}],
    ['CLUSTER_PORT', 'dns', { CLUSTER_DNS_QUERY: 'a.example.com', CLUSTER_PORT: '0' }],
    ['CLUSTER_GOSSIP_ADDRESS', 'gossip', { CLUSTER_GOSSIP_ADDRESS: '10.0.0.1' }],
    ['CLUSTER_GOSSIP_ADDRESS', 'gossip', { CLUSTER_GOSSIP_ADDRESS: '239.1.1.256' }],
    ['CLUSTER_GOSSIP_PORT', 'gossip', { CLUSTER_GOSSIP_PORT: '0' }],
    ['KUBERNETES_SELECTOR', 'kubernetes', inPod],
    ['KUBERNETES_SELECTOR', 'kubernetes', { ...inPod, KUBERNETES_SELECTOR: 'app=a&b' }],
    ['KUBERNETES_NAMESPACE', 'kubernetes', { ...inPod, KUBERNETES_SELECTOR: 'a=b', KUBERNETES_NAMESPACE: '../x' }],
    ['KUBERNETES_SERVICE_HOST', 'kubernetes', { KUBERNETES_SELECTOR: 'app=a' }],
    ['CLUSTER_STRATEGY', 'redis', {}],
  ] as const) {
    test(`${strategy} with ${JSON.stringify(variables)} is refused with one line that begins with ${name}`, () => {
      const lines = problemsOf({ ...together, CLUSTER_STRATEGY: strategy, ...variables });
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0] ?? '', new RegExp(`^${name} .+; .+`));
    });
  }

  test('what the strategy does not read is a warning that names who would', () => {
    const result = load({ ...together, CLUSTER_PEERS: 'a:4370', CLUSTER_GOSSIP_TTL: '3' });
    assert.ok(result.ok);
    assert.deepEqual(describeProblems(result.warnings), [
      'CLUSTER_PEERS is not used with CLUSTER_STRATEGY=postgres; unset it, or set CLUSTER_STRATEGY=static or gossip',
      'CLUSTER_GOSSIP_TTL is not used with CLUSTER_STRATEGY=postgres; unset it, or set CLUSTER_STRATEGY=gossip',
    ]);
  });

  test('the API server is where Kubernetes says', () => {
    const { cluster } = settingsOf({
      ...together,
      ...{ CLUSTER_STRATEGY: 'kubernetes', KUBERNETES_SELECTOR: 'app=a' },
      ...{ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' },
    });
    assert.deepEqual(cluster?.kubernetes.apiServer, { host: 'fd00::1', port: 6443 });
    assert.equal(cluster?.kubernetes.namespace, undefined);
  });
});

describe('workers', () => {
  const store = { DATABASE_URL: 'postgres://a:b@db/x', JWT_SECRET: otherSecret };
  const counted = (variables: Readonly<Record<string, string>>): readonly number[] => {
    const { workers, passwordHashWorkers, passwordHashQueueMax } = settingsOf({ ...store, ...variables });
    return [workers, passwordHashWorkers, passwordHashQueueMax];
  };

  test('are as many as asked for, or as cores, and share the cores for their hashing', () => {
    const { cores } = machine;
    assert.ok(cores >= 2);
    assert.deepEqual(counted({}), [1, cores, cores * 16]);
    assert.deepEqual(counted({ WORKERS: 'auto' }), [cores, 1, 16]);
    assert.deepEqual(counted({ WORKERS: '2' }), [2, Math.floor(cores / 2), Math.floor(cores / 2) * 16]);
    assert.deepEqual(counted({ WORKERS: String(cores * 3) }), [cores * 3, 1, 16]);
    assert.deepEqual(counted({ WORKERS: '2', PASSWORD_HASH_WORKERS: '7' }), [2, 7, 112]);
  });

  test('need PostgreSQL: refused with one line on the embedded store', () => {
    for (const value of ['2', 'auto']) {
      const lines = problemsOf({ WORKERS: value });
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', /^WORKERS is .*embedded store.*DATABASE_URL/);
    }
    assert.equal(settingsOf({ WORKERS: '1' }).workers, 1);
  });
});

describe('documents', () => {
  test('CFG-04 the configuration that is shown names every variable and holds no secret', () => {
    const canary = randomBytes(32).toString('hex');
    const result = load({
      ...{ JWT_SECRET: canary, JWT_SECRET_PREVIOUS: otherSecret, METRICS_TOKEN: canary, CLUSTER_SECRET: canary },
      ...{ DATABASE_URL: `postgres://user:${canary}@db.example/x?password=${canary}`, CLUSTER_STATUS_TOKEN: canary },
      ...{ BOOTSTRAP_ADMIN_EMAIL: 'a@example.com', BOOTSTRAP_ADMIN_PASSWORD: canary },
    });
    assert.ok(result.ok);
    const lines = describeConfig(result.effective);
    assert.equal(lines.length, Object.keys(settingsTable).length);
    const shown = `${lines.join('\n')}${JSON.stringify(result)}${inspect(result, { depth: 9 })}`;
    assert.ok(!shown.includes(canary) && !shown.includes(otherSecret), shown);
    assert.ok(lines.includes('JWT_SECRET=[secret]'));
    assert.ok(lines.includes('HOST=0.0.0.0  (default)'));
    assert.ok(lines.includes('DATABASE_URL=postgres://db.example/x'));
  });

  test('the example file in the repository names every variable and sets none', () => {
    const path = new URL('../../../.env.example', import.meta.url).pathname;
    const content = readFileSync(path, 'utf8');
    for (const name of knownNames(settingsTable)) assert.ok(content.includes(`\n# ${name}=`), name);
    assert.deepEqual({ ...withDotenv({}, path, () => content).environment }, {});
  });

  test('the example file, uncommented as a whole, asks for secrets and for nothing else', () => {
    const path = new URL('../../../.env.example', import.meta.url).pathname;
    const content = readFileSync(path, 'utf8').replaceAll(/^# ([A-Z_]+=)/gm, '$1');
    const result = load(withDotenv({}, path, () => content).environment);
    assert.ok(!result.ok);
    for (const line of describeProblems(result.problems)) assert.match(line, /is empty;|is set without DB_HOST/);
  });
});
