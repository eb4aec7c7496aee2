/**
 * The service's settings, from an environment: `settings-table.ts` says what each variable may be, this file what they may
 * be together. Nothing starts with settings that are weak or contradict each other: all problems come back at once.
 */
import {
  createSecret,
  type EffectiveSetting,
  type Environment,
  effectiveSettings,
  isExampleText,
  isPlaceholder,
  parseUrl,
  problemLine,
  type Rate,
  type ReadTextFile,
  readSettings,
  type Secret,
  type SettingProblem,
  type ValuesOf,
} from './platform/config/index.ts';
import type { TlsFiles } from './platform/http/index.ts';
import {
  type ClusterSettings,
  type ClusterSurroundings,
  clusterOf,
  clusterProblems,
  clusterWarnings,
  workersProblems,
} from './settings-cluster.ts';
import { listenerProblems } from './settings-listener.ts';
import { type MailSettings, mailOf, mailProblems, mailWarnings } from './settings-mail.ts';
import { hasRedis, type RedisSettings, redisOf, redisProblems } from './settings-redis.ts';
import { settingsPrefixes, settingsTable } from './settings-table.ts';

export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export type DatabaseSettings =
  | { readonly kind: 'embedded'; readonly dataDir: string }
  | {
      readonly kind: 'postgres';
      readonly connection: Secret<string | PostgresAddress>;
      /** `host:port/name`, for logs and for people. */
      readonly place: string;
      readonly poolSize: number;
      readonly ssl: 'disable' | 'prefer' | 'require' | 'verify-full';
    };

export interface Settings {
  readonly environment: 'production' | 'development' | 'test';
  readonly nodeName: string;
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string;
  readonly tls: TlsFiles | undefined;
  readonly trustProxy: false | number | readonly string[];
  readonly corsOrigins: readonly string[];
  readonly cookieMode: 'off' | 'lax' | 'strict';
  readonly cookieLogoutClears: 'site' | 'own';
  readonly connectionsMax: number;
  /** Processes that share the port. */
  readonly workers: number;
  readonly shutdownTimeoutMs: number;
  readonly shutdownDrainSeconds: number | 'auto';

  readonly database: DatabaseSettings;
  readonly dataDir: string;
  readonly migrateOnStart: boolean;

  /** `undefined` on the embedded store: the service keeps one of its own in `dataDir`. */
  readonly jwtSecret: Secret<string> | undefined;
  readonly jwtSecretPrevious: Secret<string> | undefined;
  readonly jwtAlgorithm: 'EdDSA' | 'ES256' | 'RS256';
  readonly jwtAudience: string;
  readonly auditRetentionDays: number;
  readonly keyRotationIntervalSeconds: number;
  readonly accessTtlSeconds: number;
  readonly refreshTtlSeconds: number;
  readonly refreshReuseGraceSeconds: number;

  readonly sessionMaxAgeSeconds: number;
  readonly sessionIdleTtlSeconds: number;
  readonly maxSessionsPerUser: number;

  readonly passwordHash: 'bcrypt' | 'argon2id';
  readonly bcryptCost: number;
  readonly passwordMinLength: number;
  readonly passwordHashWorkers: number;
  readonly passwordHashNice: number;
  readonly passwordHashQueueMax: number;

  readonly maxLoginAttempts: number;
  readonly lockoutDurationSeconds: number;
  readonly rateLimitEnabled: boolean;
  readonly rateLimits: Readonly<Record<'login' | 'register' | 'refresh' | 'recovery' | 'mfa' | 'api', Rate>>;
  readonly emailVerification: 'off' | 'required';
  readonly mail: MailSettings;
  readonly bootstrapAdmin: { readonly email: string; readonly password: Secret<string> } | undefined;

  readonly revocationAckTimeoutMs: number;
  readonly revocationMaxStalenessSeconds: number;
  readonly revocationWhenStale: 'refuse' | 'serve';
  /** `undefined`: none, and what could be shared stays in the process. */
  readonly redis: RedisSettings | undefined;
  readonly sessionStore: 'postgres' | 'redis';
  /** `undefined` where nodes are not told of each other; on one database they are right all the same. */
  readonly cluster: ClusterSettings | undefined;

  readonly metricsToken: Secret<string> | undefined;
  readonly clusterStatusToken: Secret<string> | undefined;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly logFormat: 'pretty' | 'json';
  readonly otlpEndpoint: string | undefined;
}

/** What the defaults depend on. */
export interface Machine {
  readonly hostName: string;
  /** A short random text that tells this process from the next one. */
  readonly suffix: string;
  readonly cores: number;
  readonly isTerminal: boolean;
}

export type SettingsResult =
  | {
      readonly ok: true;
      readonly settings: Settings;
      /** Every variable with the value in force, secrets masked. */
      readonly effective: readonly EffectiveSetting[];
      readonly warnings: readonly SettingProblem[];
    }
  | { readonly ok: false; readonly problems: readonly SettingProblem[] };

type Values = ValuesOf<typeof settingsTable>;

const queuePerWorker = 16;

export function loadSettings(
  environment: Environment,
  options: { readonly readFile: ReadTextFile; readonly machine: Machine },
): SettingsResult {
  const read = readSettings(settingsTable, environment, { readFile: options.readFile, prefixes: settingsPrefixes });
  const { values, sources } = read;
  const failed = read.ok ? [] : read.problems.map(({ variable }) => variable.replace(/_FILE$/, ''));
  const isSet = (name: keyof Values): boolean => sources[name] !== 'default';
  const around: ClusterSurroundings = {
    isEmbedded: partsOf(values) === undefined,
    hasRedis: hasRedis(values),
    environment,
    isSet,
  };
  const together = [
    ...databaseProblems(values, isSet),
    ...secretProblems(values),
    ...listenerProblems(values, options.readFile),
    ...passwordProblems(values),
    ...sessionProblems(values),
    ...redisProblems(values, isSet, options.readFile),
    ...workersProblems(values, around.isEmbedded),
    ...clusterProblems(values, around),
    ...mailProblems(values),
  ];
  // What follows from a problem that is told already (a secret that is "missing" because it was refused) is not told too.
  const more = together.filter((found) => !failed.some((name) => new RegExp(`\\b${name}\\b`).test(problemLine(found))));
  if (!read.ok) return { ok: false, problems: [...read.problems, ...more] };
  if (more.length > 0) return { ok: false, problems: more };
  const redis = redisOf(values, options.readFile);
  const settings = { ...resolve(values, options.machine, environment), redis };
  const resolved: Values = {
    ...values,
    HOST: settings.host,
    PUBLIC_URL: settings.publicUrl,
    NODE_NAME: settings.nodeName,
    SESSION_IDLE_TTL: settings.sessionIdleTtlSeconds,
    PASSWORD_HASH_WORKERS: settings.passwordHashWorkers,
    PASSWORD_HASH_QUEUE: settings.passwordHashQueueMax,
    LOG_FORMAT: settings.logFormat,
    NODE_ENV: settings.environment,
    DB_SSL: settings.database.kind === 'postgres' ? settings.database.ssl : undefined,
  };
  return {
    ok: true,
    settings,
    effective: effectiveSettings(settingsTable, resolved, sources),
    warnings: [...read.warnings, ...clusterWarnings(values, around), ...mailWarnings(values, around)],
  };
}

/** What `config` prints, and what the start prints when it stops: a line each. */
export const describeConfig = (effective: readonly EffectiveSetting[]): readonly string[] =>
  effective.map(({ variable, value, source }) => `${variable}=${value}${source === 'default' ? '  (default)' : ''}`);

export const describeProblems = (problems: readonly SettingProblem[]): readonly string[] => problems.map(problemLine);

const problem = (variable: keyof Values, text: string, mend: string): SettingProblem => ({
  variable,
  problem: text,
  mend,
});

function resolve(values: Values, machine: Machine, environment: Environment): Omit<Settings, 'redis'> {
  const database = databaseOf(values);
  const isOpenToAll = database.kind === 'postgres' || values.JWT_SECRET !== undefined;
  const workers = values.WORKERS === 'auto' ? Math.max(1, machine.cores) : values.WORKERS;
  const hashWorkers = values.PASSWORD_HASH_WORKERS ?? Math.max(1, Math.floor(machine.cores / workers));
  const tls =
    values.TLS_CERT_FILE === undefined || values.TLS_KEY_FILE === undefined
      ? undefined
      : {
          certFile: values.TLS_CERT_FILE,
          keyFile: values.TLS_KEY_FILE,
          clientCaFile: values.TLS_CLIENT_CA_FILE,
        };
  const publicUrl = values.PUBLIC_URL ?? `${tls === undefined ? 'http' : 'https'}://localhost:${values.PORT}`;
  const nodeName =
    values.NODE_NAME ?? `${machine.hostName.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 50)}-${machine.suffix}`;
  return {
    environment: values.NODE_ENV ?? 'production',
    nodeName,
    host: values.HOST ?? (isOpenToAll ? '0.0.0.0' : '127.0.0.1'),
    port: values.PORT,
    publicUrl,
    mail: mailOf(values, publicUrl),
    tls,
    trustProxy: values.TRUST_PROXY,
    corsOrigins: values.CORS_ORIGINS,
    cookieMode: values.COOKIE_MODE,
    cookieLogoutClears: values.COOKIE_LOGOUT_CLEARS,
    connectionsMax: values.MAX_CONNECTIONS,
    workers,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT * 1_000,
    shutdownDrainSeconds: values.SHUTDOWN_DRAIN,
    database,
    dataDir: values.DATA_DIR,
    migrateOnStart: values.MIGRATE_ON_START,
    jwtSecret: values.JWT_SECRET,
    jwtSecretPrevious: values.JWT_SECRET_PREVIOUS,
    jwtAlgorithm: values.JWT_ALGORITHM,
    jwtAudience: values.JWT_AUDIENCE,
    auditRetentionDays: values.AUDIT_RETENTION_DAYS,
    keyRotationIntervalSeconds: values.KEY_ROTATION_INTERVAL,
    accessTtlSeconds: values.TOKEN_TTL,
    refreshTtlSeconds: values.REFRESH_TTL,
    refreshReuseGraceSeconds: values.REFRESH_REUSE_GRACE,
    sessionStore: values.SESSION_STORE,
    sessionMaxAgeSeconds: values.SESSION_MAX_AGE,
    sessionIdleTtlSeconds: values.SESSION_IDLE_TTL ?? values.REFRESH_TTL,
    maxSessionsPerUser: values.MAX_SESSIONS_PER_USER,
    passwordHash: values.PASSWORD_HASH,
    bcryptCost: values.BCRYPT_COST,
    passwordMinLength: values.PASSWORD_MIN_LENGTH,
    passwordHashWorkers: hashWorkers,
    passwordHashNice: values.PASSWORD_HASH_NICE,
    passwordHashQueueMax: values.PASSWORD_HASH_QUEUE ?? hashWorkers * queuePerWorker,
    maxLoginAttempts: values.MAX_LOGIN_ATTEMPTS,
    lockoutDurationSeconds: values.LOCKOUT_DURATION,
    rateLimitEnabled: values.RATE_LIMIT_ENABLED,
    rateLimits: {
      login: values.RATE_LIMIT_LOGIN,
      register: values.RATE_LIMIT_REGISTER,
      refresh: values.RATE_LIMIT_REFRESH,
      recovery: values.RATE_LIMIT_RECOVERY,
      mfa: values.RATE_LIMIT_MFA,
      api: values.RATE_LIMIT_API,
    },
    emailVerification: values.EMAIL_VERIFICATION,
    bootstrapAdmin:
      values.BOOTSTRAP_ADMIN_EMAIL === undefined || values.BOOTSTRAP_ADMIN_PASSWORD === undefined
        ? undefined
        : { email: values.BOOTSTRAP_ADMIN_EMAIL, password: values.BOOTSTRAP_ADMIN_PASSWORD },
    revocationAckTimeoutMs: values.REVOCATION_ACK_TIMEOUT,
    revocationMaxStalenessSeconds: values.REVOCATION_MAX_STALENESS,
    revocationWhenStale: values.REVOCATION_WHEN_STALE,
    cluster: clusterOf(values, environment),
    metricsToken: values.METRICS_TOKEN,
    clusterStatusToken: values.CLUSTER_STATUS_TOKEN,
    logLevel: values.LOG_LEVEL,
    logFormat: values.LOG_FORMAT ?? (machine.isTerminal ? 'pretty' : 'json'),
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
  };
}

interface DatabaseParts {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly name: string;
  readonly sslMode: string | null;
}

const isOnThisMachine = (host: string): boolean =>
  host === '' || host.startsWith('/') || host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

function partsOf(values: Values): DatabaseParts | undefined {
  if (values.DATABASE_URL !== undefined) return partsOfUrl(values.DATABASE_URL.reveal());
  if (values.DB_HOST === undefined) return undefined;
  return {
    host: values.DB_HOST.replace(/^\[(.*)\]$/, '$1'),
    port: values.DB_PORT,
    user: values.DB_USERNAME ?? '',
    password: values.DB_PASSWORD?.reveal() ?? '',
    name: values.DB_NAME ?? '',
    sslMode: null,
  };
}

function partsOfUrl(address: string): DatabaseParts | undefined {
  const parsed = parseUrl(address, ['postgres', 'postgresql']);
  if (parsed === undefined) return undefined;
  const query = parsed.searchParams;
  return {
    host: query.get('host') ?? decode(parsed.hostname).replace(/^\[(.*)\]$/, '$1'),
    port: Number(query.get('port') ?? (parsed.port || 5432)),
    user: query.get('user') ?? decode(parsed.username),
    password: query.get('password') ?? decode(parsed.password),
    name: decode(parsed.pathname.slice(1)),
    sslMode: query.get('sslmode'),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function databaseOf(values: Values): DatabaseSettings {
  const parts = partsOf(values);
  if (parts === undefined) return { kind: 'embedded', dataDir: values.DATA_DIR };
  const { host, port, user, password, name } = parts;
  return {
    kind: 'postgres',
    connection: createSecret<string | PostgresAddress>(
      values.DATABASE_URL?.reveal() ?? { host, port, user, password, database: name },
    ),
    place: host.startsWith('/') ? `${host}/${name}` : `${host.includes(':') ? `[${host}]` : host}:${port}/${name}`,
    poolSize: values.DB_POOL_SIZE,
    ssl: values.DB_SSL ?? (isOnThisMachine(host) ? 'disable' : 'prefer'),
  };
}

function databaseProblems(values: Values, isSet: (name: keyof Values) => boolean): readonly SettingProblem[] {
  const problems: SettingProblem[] = [];
  const parts = partsOf(values);
  if (values.DATABASE_URL === undefined) {
    const needed = (['DB_USERNAME', 'DB_NAME'] as const).filter((name) => values[name] === undefined);
    const lonely = (['DB_PORT', 'DB_USERNAME', 'DB_PASSWORD', 'DB_NAME', 'DB_SSL'] as const).filter(isSet);
    if (values.DB_HOST !== undefined) {
      problems.push(...needed.map((name) => problem(name, 'is missing, and DB_HOST is set', 'set it')));
    } else {
      const mend = 'set DB_HOST or DATABASE_URL, or unset it for the embedded store';
      problems.push(...lonely.map((name) => problem(name, 'is set without DB_HOST', mend)));
    }
  } else if (parts !== undefined) {
    const given = {
      DB_HOST: [values.DB_HOST, parts.host],
      DB_PORT: [values.DB_PORT, parts.port],
      DB_USERNAME: [values.DB_USERNAME, parts.user],
      DB_PASSWORD: [values.DB_PASSWORD?.reveal(), parts.password],
      DB_NAME: [values.DB_NAME, parts.name],
      DB_SSL: [values.DB_SSL, parts.sslMode ?? values.DB_SSL],
    } as const;
    for (const [name, [own, ofUrl]] of Object.entries(given) as [keyof typeof given, readonly [unknown, unknown]][]) {
      if (isSet(name) && own !== ofUrl) problems.push(problem(name, 'contradicts DATABASE_URL', 'unset one of them'));
    }
    if (parts.name === '') problems.push(problem('DATABASE_URL', 'names no database', 'end it with /NAME'));
  }
  if (parts !== undefined) problems.push(...databasePasswordProblems(values, parts));
  if (values.JWT_SECRET === undefined && parts !== undefined) {
    problems.push(
      problem(
        'JWT_SECRET',
        'is missing; it is required with PostgreSQL',
        'generate one with `openssl rand -base64 48`',
      ),
    );
  }
  return problems;
}

/** A developer's own PostgreSQL on the same machine may have the password that its image came with; no other may. */
function databasePasswordProblems(values: Values, { host, password }: DatabaseParts): readonly SettingProblem[] {
  const isWorkshop = values.NODE_ENV === 'test' || values.NODE_ENV === 'development';
  const mayBeDefault = isWorkshop || (isOnThisMachine(host) && values.NODE_ENV === undefined);
  if (!isExampleText(password) && (mayBeDefault || !isPlaceholder(password))) return [];
  const variable = values.DATABASE_URL === undefined ? 'DB_PASSWORD' : 'DATABASE_URL';
  return [problem(variable, 'has a placeholder for a password', 'give the role a real password')];
}

function secretProblems(values: Values): readonly SettingProblem[] {
  const { JWT_SECRET: current, JWT_SECRET_PREVIOUS: previous } = values;
  const problems: SettingProblem[] = [];
  if (previous !== undefined && current === undefined) {
    problems.push(problem('JWT_SECRET_PREVIOUS', 'is set without JWT_SECRET', 'set JWT_SECRET to the new root secret'));
  } else if (previous !== undefined && previous.reveal() === current?.reveal()) {
    problems.push(
      problem('JWT_SECRET_PREVIOUS', 'is the same as JWT_SECRET', 'unset it, or set the root secret before'),
    );
  }
  return problems;
}

function passwordProblems(values: Values): readonly SettingProblem[] {
  const problems: SettingProblem[] = [];
  if (values.BCRYPT_COST < 10 && values.NODE_ENV !== 'test') {
    problems.push(
      problem('BCRYPT_COST', `is ${values.BCRYPT_COST}; below 10 only with NODE_ENV=test`, 'set 10 or more'),
    );
  }
  const { BOOTSTRAP_ADMIN_EMAIL: email, BOOTSTRAP_ADMIN_PASSWORD: password } = values;
  if ((email === undefined) !== (password === undefined)) {
    const missing = email === undefined ? 'BOOTSTRAP_ADMIN_EMAIL' : 'BOOTSTRAP_ADMIN_PASSWORD';
    problems.push(problem(missing, 'is missing; address and password go together', 'set both or neither'));
  }
  const length = password === undefined ? undefined : [...password.reveal()].length;
  if (length !== undefined && (length < values.PASSWORD_MIN_LENGTH || length > 128)) {
    const mend = `set ${values.PASSWORD_MIN_LENGTH} to 128 characters`;
    problems.push(problem('BOOTSTRAP_ADMIN_PASSWORD', `has ${length} characters`, mend));
  }
  return problems;
}

function sessionProblems(values: Values): readonly SettingProblem[] {
  const { SESSION_IDLE_TTL: idle, REFRESH_TTL: refresh } = values;
  if (idle === undefined || idle <= refresh) return [];
  const mend = 'set REFRESH_TTL at least as long, or a shorter SESSION_IDLE_TTL';
  return [problem('SESSION_IDLE_TTL', `is longer than REFRESH_TTL (${refresh}), which ends the session first`, mend)];
}
