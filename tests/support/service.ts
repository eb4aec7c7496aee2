/**
 * The service as its users meet it: a process of its own, started by its own command, on a free port, with settings from
 * the environment and a store of its own. All that it writes is kept, and searched for secrets at the end.
 *
 * Nothing stays behind: `stop` ends the process and removes its folder; a process whose test is gone ends with it.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { get as getSecure } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createSecrets, type Secrets } from '../service/support/secrets.ts';
import { type Api, createApi } from './http.ts';
import { freePort } from './ports.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { startRedis, type TestRedis } from './redis.ts';

/** `redis`: PostgreSQL, and sessions in Redis. */
export type StoreKind = 'embedded' | 'postgres' | 'redis';
export const storeKinds: readonly StoreKind[] = ['embedded', 'postgres'];
/** For what is about sessions. */
export const sessionStoreKinds: readonly StoreKind[] = [...storeKinds, 'redis'];

export type Env = Readonly<Record<string, string | undefined>>;

export interface ServiceOptions {
  readonly store: StoreKind;
  /** On top of the defaults; `undefined` takes one away. */
  readonly env?: Env;
  /** An existing database; a fresh one with the current schema otherwise. */
  readonly databaseUrl?: string;
  readonly dataDir?: string;
  /** It serves HTTPS, by `TLS_CERT_FILE` of `env`, with a certificate of this authority (PEM). */
  readonly ca?: string;
  /** Not to wait for health, for a service that is not expected to come up. */
  readonly secrets?: Secrets;
}

export interface RunningService {
  readonly store: StoreKind;
  readonly url: string;
  readonly port: number;
  readonly env: Env;
  /** Its working directory, too. */
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly api: Api;
  readonly secrets: Secrets;
  pid(): number;
  /** All that it has written, of every run. */
  logs(): string;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code; `null` when a signal ended it. */
  ended(): Promise<number | null>;
  /** SIGTERM, and the exit code. The data stays. */
  halt(): Promise<number | null>;
  kill9(): Promise<void>;
  /** Starts again on the same port and data. */
  start(env?: Env): Promise<void>;
  /** Ends it and removes its folder; answers the exit code, 0 when it had ended. */
  stop(): Promise<number | null>;
  /** The command line beside this service: same environment, same folder. */
  cli(args: readonly string[], options?: { readonly input?: string; readonly env?: Env }): Promise<Ended>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const mainFile = fileURLToPath(new URL('../../packages/server/src/main.ts', import.meta.url));
const startTimeoutMs = 60_000;
const endTimeoutMs = 30_000;
const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

let postgres: Promise<TestPostgres> | undefined;
let redis: Promise<TestRedis> | undefined;
const running = new Set<ChildProcess>();

/** One PostgreSQL server for all services of a test file. */
export function sharedPostgres(): Promise<TestPostgres> {
  postgres ??= startPostgres({ fsync: false });
  return postgres;
}

/** One Redis for all services of a test file, each under a prefix of its own. */
export function sharedRedis(): Promise<TestRedis> {
  redis ??= startRedis();
  return redis;
}

after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await (await postgres)?.stop();
  await (await redis)?.stop();
});
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What of our own environment a program under test sees. */
function inherited(): Env {
  const names = ['PATH', 'HOME', 'TMPDIR', 'NODE_V8_COVERAGE', 'AUTH_SERVICE_TEST_RUN'];
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

export const randomSecret = (): string => randomBytes(33).toString('base64');

/** Settings for a quick and talkative service; everything else is as shipped. */
export function testEnv(store: StoreKind, databaseUrl: string | undefined, dataDir: string): Env {
  return {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    BCRYPT_COST: '4',
    RATE_LIMIT_ENABLED: 'false',
    LOG_LEVEL: 'trace',
    LOG_FORMAT: 'json',
    JWT_SECRET: randomSecret(),
    DATA_DIR: dataDir,
    ...(store === 'embedded' ? {} : { DATABASE_URL: databaseUrl }),
  };
}

async function redisEnv(): Promise<Env> {
  const prefix = `t${randomBytes(6).toString('hex')}:`;
  return { SESSION_STORE: 'redis', REDIS_URL: (await sharedRedis()).url, REDIS_PREFIX: prefix };
}

interface Launched {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<number | null>;
}

/** Starts the program; it ends when this process does, however that ends. */
export function launch(
  args: readonly string[],
  options: { readonly env: Env; readonly cwd: string; readonly input?: string },
): Launched {
  const command = [process.execPath, mainFile, ...args];
  const [file = '', ...rest] = setpriv === undefined ? command : [setpriv, '--pdeathsig', 'KILL', ...command];
  const child = spawn(file, rest, {
    cwd: options.cwd,
    env: { ...inherited(), ...options.env } as NodeJS.ProcessEnv,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return { child, output, ended };
}

/** Runs the program to its end; one that does not end in time is killed and fails the test. */
export async function runProgram(
  args: readonly string[],
  options: { readonly env: Env; readonly cwd: string; readonly input?: string; readonly timeoutMs?: number },
): Promise<Ended> {
  const { child, output, ended } = launch(args, options);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, options.timeoutMs ?? endTimeoutMs);
  const code = await ended;
  clearTimeout(timer);
  assert.ok(!late, `auth-service ${args.join(' ')} did not end in time:\n${output.stdout}${output.stderr}`);
  return { code, ...output };
}

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'auth-service-black-box-'));
}

export async function startService(options: ServiceOptions): Promise<RunningService> {
  const ownFolder = options.dataDir === undefined;
  const dataDir = options.dataDir ?? makeFolder();
  const databaseUrl =
    options.store !== 'embedded'
      ? (options.databaseUrl ?? (await (await sharedPostgres()).createDatabase()))
      : undefined;
  const port = await freePort();
  const url = `${options.ca === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const secrets = options.secrets ?? createSecrets();
  let env: Env = {
    ...testEnv(options.store, databaseUrl, join(dataDir, 'store')),
    ...(options.store === 'redis' ? await redisEnv() : {}),
    PORT: String(port),
    ...options.env,
  };
  for (const name of ['JWT_SECRET', 'METRICS_TOKEN', 'CLUSTER_STATUS_TOKEN', 'BOOTSTRAP_ADMIN_PASSWORD']) {
    if (env[name] !== undefined) secrets.add(env[name]);
  }
  const api = createApi(url, secrets, options.ca);
  let earlier = '';
  let current: Launched | undefined;

  async function start(more: Env = {}): Promise<void> {
    assert.equal(current, undefined, 'the service runs already');
    env = { ...env, ...more };
    const launched = launch(['start'], { env, cwd: dataDir });
    current = launched;
    let gone = false;
    void launched.ended.then(() => {
      gone = true;
    });
    const until = performance.now() + startTimeoutMs;
    while (!(await isHealthy(url, '/health', options.ca))) {
      const said = `${launched.output.stdout}${launched.output.stderr}`;
      assert.ok(!gone, `the service ended instead of starting:\n${said.slice(-4_000)}`);
      assert.ok(performance.now() < until, `the service did not become healthy:\n${said.slice(-4_000)}`);
      await sleep(20);
    }
  }

  async function ended(): Promise<number | null> {
    if (current === undefined) return 0;
    const { child, output, ended: closed } = current;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, endTimeoutMs);
    const code = await closed;
    clearTimeout(timer);
    earlier += output.stdout + output.stderr;
    current = undefined;
    assert.ok(!late, `the service did not end in time:\n${earlier.slice(-4_000)}`);
    return code;
  }

  const service: RunningService = {
    store: options.store,
    url,
    port,
    get env() {
      return env;
    },
    dataDir,
    databaseUrl,
    api,
    secrets,
    pid: () => {
      assert.ok(current?.child.pid !== undefined, 'the service does not run');
      return current.child.pid;
    },
    logs: () => earlier + (current === undefined ? '' : current.output.stdout + current.output.stderr),
    signal: (name) => {
      current?.child.kill(name);
    },
    ended,
    async halt() {
      current?.child.kill('SIGTERM');
      return ended();
    },
    async kill9() {
      current?.child.kill('SIGKILL');
      await ended();
    },
    start,
    async stop() {
      api.close();
      const code = await service.halt();
      if (ownFolder) rmSync(dataDir, { recursive: true, force: true });
      return code;
    },
    cli: (args, how = {}) =>
      runProgram(args, {
        env: { ...env, ...how.env },
        cwd: dataDir,
        ...(how.input === undefined ? {} : { input: how.input }),
      }),
  };
  try {
    await start();
  } catch (failure) {
    for (const child of running) if (child.pid === current?.child.pid) child.kill('SIGKILL');
    if (ownFolder) rmSync(dataDir, { recursive: true, force: true });
    throw failure;
  }
  return service;
}

/** Whether /health answers 200; never throws. */
export function isHealthy(url: string, path = '/health', ca?: string): Promise<boolean> {
  return new Promise((resolve) => {
    const getBy = ca === undefined ? get : getSecure;
    const request = getBy(`${url}${path}`, { agent: false, timeout: 2_000, ca }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

/** Waits for a cause, not for a time: looks again until it is there. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    assert.ok(performance.now() < end, `waited ${timeoutMs} ms in vain for ${what}`);
    await sleep(15);
  }
}
