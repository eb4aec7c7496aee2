/**
 * Every variable of the service: its kind, default, limits and meaning. The configuration page, `.env.example`, the
 * `config` command and the reading itself are made of this table.
 */
import {
  boolean,
  custom,
  inGroup,
  integer,
  isCidr,
  list,
  oneOf,
  rate,
  secret,
  secretUrl,
  text,
  url,
} from './platform/config/index.ts';
import { clusterTable } from './settings-cluster.ts';
import { mailTable } from './settings-mail.ts';
import { hostPattern } from './settings-patterns.ts';
import { redisTable } from './settings-redis.ts';

const day = 86_400;
const year = 365 * day;

const listener = inGroup('Listener', {
  PORT: integer({ default: 4000, min: 0, max: 65_535, about: 'Port that the service listens on; `0`: any free one.' }),
  HOST: text({
    default: undefined,
    shownDefault: '`0.0.0.0`; `127.0.0.1` on the embedded store without `JWT_SECRET`',
    values: 'address',
    pattern: hostPattern,
    about: 'Address that the service listens on.',
  }),
  PUBLIC_URL: url({
    default: undefined,
    shownDefault: '`http://localhost:PORT`',
    protocols: ['http', 'https'],
    about: 'Where people and programs reach the service: `iss` of the tokens, links in mails, origin of passkeys.',
  }),
  NODE_NAME: text({
    default: undefined,
    shownDefault: 'host name and a short random text',
    pattern: [/^[A-Za-z0-9._-]{1,63}$/, 'set 1 to 63 letters, digits, dots, dashes or underscores'],
    about: 'Name of this node in `/cluster/status`, logs and metrics.',
  }),
  TLS_CERT_FILE: text({
    default: undefined,
    values: 'path',
    about: 'Certificate chain (PEM): serves HTTPS directly, read again when the file changes.',
  }),
  TLS_KEY_FILE: text({ default: undefined, values: 'path', about: 'Private key (PEM) of that certificate.' }),
  TLS_CLIENT_CA_FILE: text({
    default: undefined,
    values: 'path',
    about:
      'Authorities (PEM) whose client certificates may read the revocation feed without a key (mutual TLS), read again when the file changes. Everybody who holds a certificate of theirs for clients may: name one that is for this alone.',
  }),
  TRUST_PROXY: custom<false | number | readonly string[], false>({
    default: false,
    values: 'false, hop count, or CIDR,…',
    about: 'Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.',
    parse: (given) => {
      if (given === 'false') return { ok: true, value: false };
      if (/^\d{1,2}$/.test(given) && Number(given) <= 32) return { ok: true, value: Number(given) || false };
      const proxies = given.split(',').map((entry) => entry.trim());
      if (proxies.length <= 100 && proxies.every(isCidr)) return { ok: true, value: proxies };
      const mend = 'set false, the number of proxies (1 to 32), or their CIDRs';
      return { ok: false, problem: 'is neither false, a hop count, nor a list of CIDRs', mend };
    },
  }),
  CORS_ORIGINS: list({
    values: 'origin,…',
    check: (entry) =>
      entry === '*' || (/^https?:\/\/[^*]+$/.test(entry) && URL.parse(entry)?.origin === entry)
        ? undefined
        : ['is no origin', 'set exact origins, such as https://app.example.com'],
    about: 'Exact origins that browsers may call from; `*` is refused in production.',
  }),
  COOKIE_MODE: oneOf({
    default: 'off',
    of: ['off', 'lax', 'strict'],
    about:
      'Lets pages of the same site keep their tokens in `__Host-` cookies with this `SameSite`, by `X-Token-Transport: cookie`.',
  }),
  COOKIE_LOGOUT_CLEARS: oneOf({
    default: 'site',
    of: ['site', 'own'],
    about:
      'What a logout by cookie takes out of the browser: all cookies of the registrable domain (`Clear-Site-Data`), those of other services there too, or only its own.',
  }),
  MAX_CONNECTIONS: integer({
    default: 10_000,
    min: 10,
    max: 1_000_000,
    about: 'Open connections, of each process; more are turned away.',
  }),
  SHUTDOWN_TIMEOUT: integer({
    default: 10,
    min: 0,
    max: 600,
    about: 'Seconds that requests in flight have to finish after SIGTERM.',
  }),
  SHUTDOWN_DRAIN: custom<'auto' | number, 'auto'>({
    default: 'auto',
    values: '0 to 600, or auto',
    about:
      'Seconds after SIGTERM in which `/health/ready` is 503 and requests are still taken, so that load balancers see it. `auto`: until each that keeps asking was told three times, at most 15; none if nobody asks.',
    parse: (given) => {
      if (given === 'auto') return { ok: true, value: 'auto' };
      const count = /^\d{1,3}$/.test(given) ? Number(given) : -1;
      if (count >= 0 && count <= 600) return { ok: true, value: count };
      return { ok: false, problem: 'is no number of seconds', mend: 'set a number from 0 to 600, or auto' };
    },
  }),
});

const store = inGroup('Store', {
  DATA_DIR: text({ default: './data', values: 'path', about: 'Folder of the embedded store (mode 0700).' }),
  DATABASE_URL: secretUrl({
    shownDefault: 'none: the embedded store',
    protocols: ['postgres', 'postgresql'],
    about: 'PostgreSQL 13 or later, as one address. Or the `DB_` variables.',
  }),
  DB_HOST: text({
    default: undefined,
    shownDefault: 'none: the embedded store',
    values: 'address or socket folder',
    pattern: [
      /^(\/[^\0]{1,200}|[A-Za-z0-9.:_[\]%-]{1,255})$/,
      'set a host name, an IP address, or the folder of a socket',
    ],
    about: 'Host of PostgreSQL.',
  }),
  DB_PORT: integer({ default: 5432, min: 1, max: 65_535, about: 'Port of PostgreSQL.' }),
  DB_USERNAME: text({ default: undefined, about: 'Role of the service in PostgreSQL; required with `DB_HOST`.' }),
  DB_PASSWORD: secret({ placeholders: 'allowed', about: 'Password of that role.' }),
  DB_NAME: text({ default: undefined, about: 'Database; required with `DB_HOST`.' }),
  DB_POOL_SIZE: integer({ default: 10, min: 1, max: 500, about: 'Connections to PostgreSQL, of each process.' }),
  DB_SSL: oneOf({
    default: undefined,
    shownDefault: '`prefer` for remote hosts, `disable` on this machine',
    of: ['disable', 'prefer', 'require', 'verify-full'],
    about: 'TLS to PostgreSQL.',
  }),
  MIGRATE_ON_START: boolean({
    default: true,
    about: 'Bring the schema up to date at the start. Many nodes starting at once migrate once.',
  }),
});

const tokens = inGroup('Keys and tokens', {
  JWT_SECRET: secret({
    bytesMin: 32,
    shownDefault: 'made at the first start into `DATA_DIR` on the embedded store; otherwise required',
    about:
      'Root secret: encrypts signing keys at rest, and other keys are derived from it. Get one with `openssl rand -base64 48`.',
  }),
  JWT_SECRET_PREVIOUS: secret({
    bytesMin: 32,
    emptyIsUnset: true,
    about: 'The root secret before: still decrypts while the root secret is being changed.',
  }),
  JWT_ALGORITHM: oneOf({ default: 'EdDSA', of: ['EdDSA', 'ES256', 'RS256'], about: 'Algorithm of new signing keys.' }),
  JWT_AUDIENCE: text({
    default: 'auth-service',
    pattern: [/^[\x21-\x7e]{1,200}$/, 'set 1 to 200 characters without blanks'],
    about: '`aud` of the access tokens.',
  }),
  AUDIT_RETENTION_DAYS: integer({
    default: 0,
    min: 0,
    max: 36_500,
    about: 'Days after which audit events are cut off the beginning of the log; `0`: never.',
  }),
  KEY_ROTATION_INTERVAL: integer({
    default: 30 * day,
    min: 60,
    max: 10 * year,
    about:
      'Seconds until a new signing key takes over. It is published before it signs, and verified until its last token expired.',
  }),
  TOKEN_TTL: integer({
    default: 3600,
    min: 1,
    max: day,
    about: 'Seconds that an access token lives. Each lives up to 5 % shorter, at random.',
  }),
  REFRESH_TTL: integer({
    default: 7 * day,
    min: 1,
    max: year,
    about: 'Seconds that a refresh token lives; each refresh begins them anew.',
  }),
  REFRESH_REUSE_GRACE: integer({
    default: 30,
    min: 0,
    max: 300,
    about: 'Seconds in which the previous refresh token still answers with the same successor, while that is unused.',
  }),
});

const sessions = inGroup('Sessions', {
  SESSION_STORE: oneOf({
    default: 'postgres',
    of: ['postgres', 'redis'],
    about:
      'Where sessions and refresh tokens live; `postgres` is the database in use. `redis` is for the scale of its Cluster: it needs `maxmemory-policy noeviction` and an append-only file.',
  }),
  SESSION_MAX_AGE: integer({
    default: 30 * day,
    min: 1,
    max: 10 * year,
    about: 'Seconds until a session ends, used or not.',
  }),
  SESSION_IDLE_TTL: integer({
    default: undefined,
    shownDefault: '`REFRESH_TTL`',
    min: 1,
    max: year,
    about: 'Seconds without a refresh after which a session ends.',
  }),
  MAX_SESSIONS_PER_USER: integer({
    default: 100,
    min: 1,
    max: 10_000,
    about: 'One more ends the session that was used least recently.',
  }),
});

const passwords = inGroup('Passwords', {
  PASSWORD_HASH: oneOf({
    default: 'bcrypt',
    of: ['bcrypt', 'argon2id'],
    about: 'How passwords are hashed. A login hashes again what is older or weaker.',
  }),
  BCRYPT_COST: integer({ default: 12, min: 4, max: 15, about: 'Cost of bcrypt. Below 10 only with `NODE_ENV=test`.' }),
  PASSWORD_MIN_LENGTH: integer({
    default: 8,
    min: 8,
    max: 128,
    about: 'Characters that a password must have; it may have 128.',
  }),
  PASSWORD_HASH_WORKERS: integer({
    default: undefined,
    shownDefault: 'as many as cores, shared out among `WORKERS`',
    min: 1,
    max: 256,
    about: 'Threads that hash passwords, of each process.',
  }),
  PASSWORD_HASH_NICE: integer({
    default: 19,
    min: 0,
    max: 19,
    about:
      'Niceness of those threads on Linux. At 19 validations do not wait for hashes, and neither does any other program of the machine: one that keeps all cores busy leaves a hash 1.5 % of one, at 10 it is 9.6 %. For machines that are shared.',
  }),
  PASSWORD_HASH_QUEUE: integer({
    default: undefined,
    shownDefault: '16 a thread',
    min: 1,
    max: 100_000,
    about: 'Passwords that may wait to be hashed; more are answered 503.',
  }),
});

const protection = inGroup('Protection', {
  MAX_LOGIN_ATTEMPTS: integer({ default: 5, min: 1, max: 100, about: 'Failures of an account before it is locked.' }),
  LOCKOUT_DURATION: integer({ default: 900, min: 1, max: 7 * day, about: 'Seconds that it stays locked.' }),
  RATE_LIMIT_ENABLED: boolean({ default: true, about: 'Count requests by client address (IPv6 by /64).' }),
  RATE_LIMIT_LOGIN: rate({ default: { limit: 20, windowSeconds: 60 }, about: 'Logins per client.' }),
  RATE_LIMIT_REGISTER: rate({ default: { limit: 10, windowSeconds: 3600 }, about: 'Registrations per client.' }),
  RATE_LIMIT_REFRESH: rate({ default: { limit: 60, windowSeconds: 60 }, about: 'Refreshes per client.' }),
  RATE_LIMIT_RECOVERY: rate({
    default: { limit: 5, windowSeconds: 3600 },
    about: 'Password and address recoveries per client.',
  }),
  RATE_LIMIT_MFA: rate({ default: { limit: 10, windowSeconds: 300 }, about: 'Second factors per client.' }),
  RATE_LIMIT_API: rate({
    default: { limit: 600, windowSeconds: 60 },
    about: 'Everything else per client, without `validate-token`, `/health`, `/metrics` and the key set.',
  }),
  EMAIL_VERIFICATION: oneOf({
    default: 'off',
    of: ['off', 'required'],
    about: 'Whether a login needs a verified address.',
  }),
  BOOTSTRAP_ADMIN_EMAIL: text({
    default: undefined,
    values: 'address',
    pattern: [/^[^\s@]{1,64}@[^\s@]{1,255}$/, 'set an e-mail address'],
    about: 'First start only: the administrator to create.',
  }),
  BOOTSTRAP_ADMIN_PASSWORD: secret({ about: 'First start only: password of that administrator.' }),
});

const revocation = inGroup('Revocation', {
  REVOCATION_ACK_TIMEOUT: integer({
    default: 1000,
    min: 0,
    max: 9_000,
    about: 'Milliseconds that a revocation waits for the other nodes before it answers.',
  }),
  REVOCATION_MAX_STALENESS: integer({
    default: 10,
    min: 1,
    max: 3600,
    about:
      'Seconds that a node may vouch for tokens without proof that it knows every revocation. Set it above the fail-over time of the database where availability matters more.',
  }),
  REVOCATION_WHEN_STALE: oneOf({
    default: 'refuse',
    of: ['refuse', 'serve'],
    about: '`refuse`: then answer 503. `serve`: answer as of the last proof; counted, and receipts say so.',
  }),
});

const operations = inGroup('Operations', {
  METRICS_TOKEN: secret({
    bytesMin: 16,
    about: '`/metrics` wants it as bearer token. Without it, only loopback and private peers are answered.',
  }),
  CLUSTER_STATUS_TOKEN: secret({ bytesMin: 16, about: 'The same for `/cluster/status`.' }),
  LOG_LEVEL: oneOf({
    default: 'info',
    of: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    about: 'The least serious lines that are written.',
  }),
  LOG_FORMAT: oneOf({
    default: undefined,
    shownDefault: '`pretty` on a terminal, else `json`',
    of: ['pretty', 'json'],
    about: 'Form of the log lines.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: url({
    default: undefined,
    protocols: ['http', 'https'],
    about: 'OpenTelemetry collector (OTLP over HTTP): traces are on when it is set.',
  }),
  NODE_ENV: custom<'production' | 'development' | 'test', undefined>({
    default: undefined,
    shownDefault: 'none: as `production`',
    values: 'production|development|test',
    about: '`test` allows cheap password hashes, `test` and `development` allow `CORS_ORIGINS=*`.',
    // Other programs give it other values (`staging`): those mean the strict one.
    parse: (given) => ({ ok: true, value: given === 'test' || given === 'development' ? given : 'production' }),
  }),
});

export const settingsTable = {
  ...listener,
  ...store,
  ...tokens,
  ...sessions,
  ...passwords,
  ...protection,
  ...revocation,
  ...operations,
  ...mailTable,
  ...redisTable,
  ...clusterTable,
};

/** How only our variables begin; one of these that is not in the table is worth a warning. */
export const settingsPrefixes: readonly string[] = [
  'BCRYPT_',
  'BOOTSTRAP_ADMIN_',
  'CLUSTER_',
  'CORS_',
  'DB_',
  'JWT_',
  'LOCKOUT_',
  'MAIL_',
  'PASSWORD_HASH_',
  'RATE_LIMIT_',
  'REDIS_',
  'REFRESH_',
  'REVOCATION_',
  'SESSION_',
  'SMTP_',
];
