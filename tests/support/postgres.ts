/**
 * A real PostgreSQL server for a test: its own port, its own folder, an unprivileged user, gone afterwards.
 *
 * Guarantees: nothing stays behind. `stop` removes the server and its folder; when the test process ends without it, be
 * it by `kill -9`, a watchdog that hangs on a pipe to this process does. `fsync` is on unless it is switched off.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { migrate, openPostgres } from '../../packages/server/src/platform/database/index.ts';
import { freePort } from './ports.ts';

export interface StartPostgresOptions {
  /** Off is several times faster, and right wherever durability is not what is tested. */
  readonly fsync?: boolean;
  /** Server settings, as in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where else than on this machine's loopback it runs. */
  readonly place?: Place;
}

/** A network namespace of its own, and a folder that is there already. */
interface Place {
  /** Words before a command that is to run there. */
  readonly enter: readonly string[];
  readonly address: string;
  readonly port: number;
  readonly folder: string;
  /** Of the write-ahead log, where it is to be on another disk. */
  readonly walFolder: string;
}

export interface TestPostgres {
  /** Of the empty database `postgres`, as superuser. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly pid: number;
  /** A database of its own with the current schema; answers its URL. */
  createDatabase(): Promise<string>;
  /** Runs SQL as superuser, in the database of `url`. */
  query(sql: string, url?: string): Promise<readonly Record<string, unknown>[]>;
  stop(): Promise<void>;
  /** Ends every process of the server at once, as a crash does. The data stays for `restart`. */
  kill9(): Promise<void>;
  /** Stops the server in good order where it runs, and starts it again on the same port and data. */
  restart(): Promise<void>;
  /** Freezes every process of the server: connections stay open, nobody answers. */
  pause(): void;
  resume(): void;
}

export interface TestStandby extends TestPostgres {
  /** Nothing that the primary commits from now on arrives here any more. */
  detach(): Promise<void>;
  /** It becomes a primary, with what has arrived. */
  promote(): Promise<void>;
}

interface Programs {
  readonly folder: string;
  readonly version: string;
}

const run = promisify(execFile);
const user = 'auth';
const password = 'only-for-tests';
const startTimeoutMs = 60_000;

export async function startPostgres(options: StartPostgresOptions = {}): Promise<TestPostgres> {
  const server = new Server(await findPrograms(), options);
  await server.prepare();
  await server.start();
  return server;
}

/** A streaming replica that has caught up. It counts as synchronous where the primary's settings say so of `walreceiver`. */
export async function startStandby(primary: TestPostgres, options: StartPostgresOptions = {}): Promise<TestStandby> {
  const server = new Server(await findPrograms(), options, primary);
  await server.prepare();
  await server.start();
  const isStreaming = `select 1 from pg_stat_replication where state = 'streaming'`;
  while ((await primary.query(isStreaming)).length === 0) await sleep(20);
  return server;
}

class Server implements TestStandby {
  readonly #programs: Programs;
  readonly #options: StartPostgresOptions;
  readonly #folder: string;
  readonly dataDir: string;
  port = 0;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #watchdog: ChildProcess | undefined;
  #template: Promise<string> | undefined;
  #databases = 0;

  readonly #primary: TestPostgres | undefined;

  constructor(programs: Programs, options: StartPostgresOptions, primary?: TestPostgres) {
    this.#primary = primary;
    this.#programs = programs;
    this.#options = options;
    this.#folder = options.place?.folder ?? mkdtempSync(join(tmpdir(), 'auth-service-pg-'));
    this.dataDir = join(this.#folder, 'data');
  }

  get url(): string {
    return this.#urlOf('postgres');
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('this PostgreSQL does not run');
    return this.#child.pid;
  }

  async prepare(): Promise<void> {
    const account = unprivileged();
    if (account !== undefined) chownSync(this.#folder, account.uid, account.gid);
    if (this.#primary === undefined) {
      await run('cp', ['-a', await initdbTemplate(this.#programs), this.dataDir]);
    } else {
      const how = ['--checkpoint', 'fast', '--no-sync', '--wal-method', 'stream', '--write-recovery-conf'];
      const from = ['--dbname', this.#primary.url, '--pgdata', this.dataDir];
      await run(join(this.#programs.folder, 'pg_basebackup'), [...how, ...from], { ...account, cwd: this.#folder });
    }
    this.port = this.#options.place?.port ?? (await freePort());
    const settings = {
      listen_addresses: this.#address,
      port: String(this.port),
      unix_socket_directories: '',
      fsync: this.#options.fsync === false ? 'off' : 'on',
      max_connections: '100',
      shared_buffers: '32MB',
      ...this.#options.settings,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
    const conf = join(this.dataDir, 'postgresql.conf');
    writeFileSync(conf, readFileSync(conf, 'utf8') + lines.join(''));
    const { place } = this.#options;
    if (place === undefined) return;
    writeFileSync(join(this.dataDir, 'pg_hba.conf'), 'host all all 0.0.0.0/0 scram-sha-256\n');
    await run('mv', [join(this.dataDir, 'pg_wal'), place.walFolder]);
    symlinkSync(place.walFolder, join(this.dataDir, 'pg_wal'));
  }

  async start(): Promise<void> {
    const log = openSync(join(this.#folder, 'log'), 'a');
    const [file = '', ...args] = this.#command(['-D', this.dataDir]);
    const child = spawn(file, args, {
      ...(this.#options.place === undefined ? unprivileged() : {}),
      cwd: this.#folder,
      // A group of its own: Ctrl-C in the terminal is for the tests.
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
    this.#watchdog = watch(child, this.#folder);
    await this.#ready();
  }

  async createDatabase(): Promise<string> {
    this.#template ??= this.#migrated();
    const template = await this.#template;
    this.#databases += 1;
    const name = `test_${this.#databases}_${randomBytes(4).toString('hex')}`;
    await this.query(`create database ${name} template ${template}`);
    return this.#urlOf(name);
  }

  async query(sql: string, url: string = this.url): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const answer: unknown = await client.query(sql);
      const last = (Array.isArray(answer) ? answer.at(-1) : answer) as { rows: Record<string, unknown>[] };
      return last.rows;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await this.#shutDown();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async detach(): Promise<void> {
    await this.query(`alter system set primary_conninfo = ''`);
    await this.query('select pg_reload_conf()');
    while ((await this.query('select 1 from pg_stat_wal_receiver')).length > 0) await sleep(20);
  }

  async promote(): Promise<void> {
    await this.query('select pg_promote()');
  }

  async kill9(): Promise<void> {
    this.#signalAll('SIGKILL');
    await this.#ended();
  }

  async restart(): Promise<void> {
    await this.#shutDown();
    await this.start();
  }

  pause(): void {
    this.#signalAll('SIGSTOP');
  }

  resume(): void {
    this.#signalAll('SIGCONT');
  }

  get #address(): string {
    return this.#options.place?.address ?? '127.0.0.1';
  }

  /** Only root enters a namespace, and only somebody else may run the server. */
  #command(args: readonly string[]): readonly string[] {
    const server = [join(this.#programs.folder, 'postgres'), ...args];
    const { place } = this.#options;
    const account = unprivileged();
    if (place === undefined || account === undefined) return server;
    const as = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'];
    return [...place.enter, ...as, ...server];
  }

  #urlOf(database: string): string {
    return `postgres://${user}:${password}@${this.#address}:${this.port}/${database}?sslmode=disable`;
  }

  async #migrated(): Promise<string> {
    const name = 'migrated_template';
    await this.query(`create database ${name}`);
    const db = await openPostgres({ connection: this.#urlOf(name), poolSize: 1, connectTimeoutMs: 5_000 });
    await migrate(db);
    await db.close();
    return name;
  }

  async #ready(): Promise<void> {
    const until = performance.now() + startTimeoutMs;
    for (;;) {
      try {
        await this.query('select 1');
        return;
      } catch (failure) {
        if (this.#child?.exitCode !== null || performance.now() > until) {
          const log = readFileSync(join(this.#folder, 'log'), 'utf8').slice(-2_000);
          throw new Error(`PostgreSQL did not start:\n${log}`, { cause: failure });
        }
      }
      await sleep(20);
    }
  }

  async #shutDown(): Promise<void> {
    if (this.#child === undefined) return;
    this.#signalAll('SIGCONT');
    // Fast: sessions are ended, the data is left in good order.
    this.#child.kill('SIGINT');
    await this.#ended();
  }

  async #ended(): Promise<void> {
    this.#child?.ref();
    await this.#exited;
    // Backends outlive a killed postmaster by a moment, and the next start would find their shared memory.
    const child = this.#child;
    this.#child = undefined;
    this.#watchdog?.kill('SIGKILL');
    this.#watchdog = undefined;
    while (child?.pid !== undefined && processesOf(this.dataDir).length > 0) await sleep(5);
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const pid of [this.pid, ...childrenOf(this.pid)]) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended already.
      }
    }
  }
}

/** Ends the server and removes its folder as soon as this process is no more: the pipe to it closes then. */
function watch(server: ChildProcess, folder: string): ChildProcess {
  // Only if the id still is our server's: by then it may have become another's.
  const script =
    'cat >/dev/null; if ps -o args= -p "$1" | grep -qF "$2"; then kill -QUIT "$1"; sleep 1; kill -KILL "$1"; fi 2>/dev/null; rm -rf "$2"';
  const watchdog = spawn('sh', ['-c', script, 'watchdog', String(server.pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => undefined);
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}

/** A folder fresh from `initdb`, made once for a version and shared by all tests of this machine's user. */
async function initdbTemplate({ folder, version }: Programs): Promise<string> {
  const account = unprivileged();
  const root = join(tmpdir(), `auth-service-initdb-${process.getuid?.() ?? 0}`);
  mkdirSync(root, { recursive: true, mode: 0o711 });
  chmodSync(root, 0o711);
  const place = join(root, `pg-${version}`);
  if (existsSync(place)) return place;
  const beside = mkdtempSync(join(root, 'new-'));
  const passwordFile = join(beside, 'password');
  writeFileSync(passwordFile, password);
  if (account !== undefined) {
    chownSync(beside, account.uid, account.gid);
    chownSync(passwordFile, account.uid, account.gid);
  }
  const data = join(beside, 'data');
  const how = ['--username', user, '--pwfile', passwordFile, '--auth', 'scram-sha-256', '--encoding', 'UTF8'];
  await run(join(folder, 'initdb'), ['-D', data, ...how, '--locale', 'C.UTF-8', '--no-sync'], {
    ...account,
    cwd: beside,
  });
  try {
    renameSync(data, place);
  } catch (failure) {
    // Another test process was faster.
    if (!existsSync(place)) throw failure;
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
  return place;
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const wanted of ['postgres', 'nobody']) {
    const fields = accounts.find((line) => line.startsWith(`${wanted}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error('tests as root need the user postgres or nobody, to run PostgreSQL as');
}

async function findPrograms(): Promise<Programs> {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(root, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  const folder = folders.find((candidate) => ['initdb', 'postgres'].every((name) => existsSync(join(candidate, name))));
  if (folder === undefined) {
    throw new Error('these tests need PostgreSQL, and its programs are not here: apt-get install -y postgresql');
  }
  const { stdout } = await run(join(folder, 'postgres'), ['--version']);
  return { folder, version: stdout.match(/\d+(\.\d+)?/)?.[0] ?? 'unknown' };
}

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
}

function allProcesses(): ProcessEntry[] {
  const found: ProcessEntry[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state !== 'Z') found.push({ pid: Number(name), parent: Number(parent) });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

function childrenOf(parent: number): number[] {
  return allProcesses()
    .filter((entry) => entry.parent === parent)
    .map((entry) => entry.pid);
}

/** Processes that work in this data folder: every process of a server does. */
function processesOf(dataDir: string): number[] {
  return allProcesses()
    .map((entry) => entry.pid)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === dataDir;
      } catch {
        return false;
      }
    });
}
