/**
 * Real Redis servers for a test: free ports, folders of their own, gone afterwards.
 *
 * Guarantees: nothing stays behind. `stop` removes servers and folders; when the test process ends without it, be it by
 * `kill -9`, a watchdog that hangs on a pipe to this process does. A Cluster and a Sentinel set are handed out when every
 * replica is in step and everybody knows everybody.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { slotOf } from '../../packages/server/src/platform/redis/keys.rule.ts';
import { freePort } from './ports.ts';

export interface StartRedisOptions {
  /** With a certificate for 127.0.0.1 and localhost; plain connections are not taken. */
  readonly tls?: boolean;
  readonly password?: string;
  /** A free one unless said. */
  readonly port?: number;
  /** Another address of loopback than 127.0.0.1. */
  readonly host?: string;
  /** Settings, as in `redis.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface TestRedis {
  readonly port: number;
  readonly host: string;
  /** As `REDIS_URL` has it; with TLS, its query names the authority's certificate. */
  readonly url: string;
  readonly caFile: string | undefined;
  readonly pid: number;
  /** Runs a command with `redis-cli`; answers what it prints. */
  command: (...args: string[]) => Promise<string>;
  /** Ends the server at once, as a crash does. Its data stays for `restart`. */
  kill9(): Promise<void>;
  /** Starts it again on the same port and data; `wiped`: on none. */
  restart(how?: { readonly wiped?: boolean }): Promise<void>;
  /** Frozen: connections stay open, nobody answers. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export interface TestSentinels {
  readonly name: string;
  /** `host:port` of each, as `REDIS_SENTINELS` has them. */
  readonly sentinels: readonly string[];
  /** Of all of them, with TLS. */
  readonly caFile: string | undefined;
  readonly servers: readonly TestRedis[];
  /** Whom the Sentinels call the master now. */
  master(): Promise<TestRedis>;
  stop(): Promise<void>;
}

export interface TestCluster {
  /** `host:port` of each, as `REDIS_CLUSTER_NODES` has them. */
  readonly nodes: readonly string[];
  readonly servers: readonly TestRedis[];
  /** The server that is master of the key's slot, as a majority sees it. */
  masterOf(key: string): Promise<TestRedis>;
  /** Resolves when every slot has a master and every replica is in step. */
  inStep(): Promise<void>;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const host = '127.0.0.1';
const startTimeoutMs = 60_000;

export async function startRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  const server = new Server(options, options.port ?? (await freePort()));
  await server.start();
  return server;
}

/** One master, one replica, three Sentinels that take a master for dead after a second. */
export async function startSentinels(
  options: { readonly tls?: boolean; readonly password?: string; readonly sentinelPassword?: string } = {},
): Promise<TestSentinels> {
  const name = 'auth-test';
  const { password, sentinelPassword } = options;
  const tls: Record<string, string> = options.tls === true ? { 'tls-replication': 'yes' } : {};
  const common = { tls: options.tls === true };
  const served = { ...common, ...(password === undefined ? {} : { password }) };
  const quick = {
    'repl-diskless-sync-delay': '0',
    ...tls,
    ...(password === undefined ? {} : { masterauth: password }),
  };
  const master = new Server({ ...served, settings: quick }, await freePort());
  const following = { ...quick, replicaof: `${host} ${master.port}` };
  const replica = new Server({ ...served, settings: following }, await freePort());
  const started: Server[] = [master, replica];
  try {
    await master.start();
    await replica.start();
    await waitFor('the replica is in step', async () => inStep(await replica.command('INFO', 'replication')));
    const watching = [
      ...Object.entries(tls).map(([setting, value]) => `${setting} ${value}`),
      `sentinel monitor ${name} ${host} ${master.port} 2`,
      `sentinel down-after-milliseconds ${name} 1000`,
      `sentinel failover-timeout ${name} 4000`,
      ...(password === undefined ? [] : [`sentinel auth-pass ${name} ${password}`]),
      ...(sentinelPassword === undefined ? [] : [`sentinel sentinel-pass ${sentinelPassword}`]),
    ];
    const guarded = { ...common, ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }) };
    const sentinels = [0, 1, 2].map(async () => {
      const sentinel = new Server({ ...guarded, sentinel: watching }, await freePort());
      started.push(sentinel);
      await sentinel.start();
      return sentinel;
    });
    const [first, ...others] = await Promise.all(sentinels);
    if (first === undefined) throw new Error('no Sentinel');
    const all = [first, ...others];
    await waitFor('the Sentinels know each other and the replica', async () => {
      const seen = await Promise.all(all.map((sentinel) => sentinel.command('SENTINEL', 'MASTER', name)));
      return seen.every((text) => fieldOf(text, 'num-other-sentinels') === '2' && fieldOf(text, 'num-slaves') === '1');
    });
    return {
      name,
      sentinels: all.map(({ port }) => `${host}:${port}`),
      caFile: master.caFile,
      servers: [master, replica],
      async master() {
        const text = await first.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name);
        const port = Number(text.split('\n')[1]);
        return port === replica.port ? replica : master;
      },
      stop: () => stopAll(started),
    };
  } catch (failure) {
    await stopAll(started);
    throw failure;
  }
}

/** Three masters with a replica each. A master is taken for dead after two seconds. */
export async function startCluster(options: StartRedisOptions = {}): Promise<TestCluster> {
  const started: Server[] = [];
  const auth: Record<string, string> = options.password === undefined ? {} : { masterauth: options.password };
  const tls: Record<string, string> = options.tls === true ? { 'tls-cluster': 'yes', 'tls-replication': 'yes' } : {};
  try {
    const servers = await Promise.all(
      [0, 1, 2, 3, 4, 5].map(async () => {
        const settings = {
          'cluster-enabled': 'yes',
          'cluster-node-timeout': '2000',
          'cluster-require-full-coverage': 'no',
          'repl-diskless-sync-delay': '0',
          ...auth,
          ...tls,
          ...options.settings,
        };
        const server = new Server({ ...options, settings }, await freePort());
        started.push(server);
        await server.start();
        return server;
      }),
    );
    const nodes = servers.map(({ port }) => `${host}:${port}`);
    const [first] = servers;
    if (first === undefined) throw new Error('no server');
    await first.cli(['--cluster', 'create', ...nodes, '--cluster-replicas', '1', '--cluster-yes'], false);
    await wholeCluster(servers);
    return {
      nodes,
      servers,
      async masterOf(key) {
        const votes = new Map<Server, number>();
        const slot = slotOf(key);
        const views = await Promise.all(servers.map((server) => server.command('CLUSTER', 'NODES').catch(() => '')));
        for (const view of views) {
          const port = masterPort(view, slot);
          const found = servers.find((candidate) => candidate.port === port);
          if (found !== undefined) votes.set(found, (votes.get(found) ?? 0) + 1);
        }
        const [winner] = [...votes].sort(([, a], [, b]) => b - a);
        if (winner === undefined) throw new Error(`no node knows the master of slot ${slot}`);
        return winner[0];
      },
      inStep: () => wholeCluster(servers),
      stop: () => stopAll(started),
    };
  } catch (failure) {
    await stopAll(started);
    throw failure;
  }
}

async function wholeCluster(servers: readonly Server[]): Promise<void> {
  await waitFor('the Cluster is whole and in step', async () => {
    for (const server of servers) {
      const info = await server.command('CLUSTER', 'INFO');
      if (!info.includes('cluster_state:ok') || !info.includes('cluster_known_nodes:6')) return false;
      const replication = await server.command('INFO', 'replication');
      if (replication.includes('role:slave') && !inStep(replication)) return false;
      if (!replication.includes('role:slave') && !replication.includes('connected_slaves:1')) return false;
    }
    return true;
  });
}

class Server implements TestRedis {
  readonly #options: StartRedisOptions & { readonly sentinel?: readonly string[] };
  readonly #folder: string;
  readonly host: string;
  readonly port: number;
  readonly command = (...args: string[]): Promise<string> => this.cli(args, true);
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #watchdog: ChildProcess | undefined;

  constructor(options: StartRedisOptions & { readonly sentinel?: readonly string[] }, port: number) {
    this.#options = options;
    this.port = port;
    this.host = options.host ?? host;
    this.#folder = mkdtempSync(join(tmpdir(), 'auth-service-redis-'));
    mkdirSync(this.#data);
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  get caFile(): string | undefined {
    return this.#options.tls === true ? join(this.#folder, 'ca.crt') : undefined;
  }

  get url(): string {
    const { tls, password } = this.#options;
    const credentials = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
    const query = this.caFile === undefined ? '' : `?ca=${encodeURIComponent(this.caFile)}`;
    return `${tls === true ? 'rediss' : 'redis'}://${credentials}${this.host}:${this.port}${query}`;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('this Redis does not run');
    return this.#child.pid;
  }

  async start(): Promise<void> {
    if (this.#options.tls === true) await giveCertificates(this.#folder);
    const conf = join(this.#folder, 'redis.conf');
    // Sentinels write their own configuration into it: what they have learnt stays for a restart.
    if (this.#child === undefined) writeFileSync(conf, this.#lines().join('\n'));
    await this.#launch();
  }

  #lines(): readonly string[] {
    const { tls, password, settings, sentinel } = this.#options;
    const lines = [`bind ${this.host}`, `dir ${this.#data}`, 'daemonize no', 'logfile ""', 'protected-mode no'];
    if (tls === true) {
      lines.push('port 0', `tls-port ${this.port}`, 'tls-auth-clients no');
      lines.push(
        `tls-cert-file ${join(this.#folder, 'server.crt')}`,
        `tls-key-file ${join(this.#folder, 'server.key')}`,
      );
      lines.push(`tls-ca-cert-file ${join(this.#folder, 'ca.crt')}`);
    } else lines.push(`port ${this.port}`);
    if (password !== undefined) lines.push(`requirepass ${password}`);
    if (sentinel !== undefined) return [...lines, ...sentinel];
    lines.push('save ""', 'appendonly yes', 'appendfsync everysec', 'maxmemory-policy noeviction');
    return [
      ...lines,
      ...Object.entries(settings ?? {}).map(([name, value]) => `${name} ${value === '' ? '""' : value}`),
    ];
  }

  async #launch(): Promise<void> {
    const log = openSync(join(this.#folder, 'log'), 'a');
    const how = this.#options.sentinel === undefined ? [] : ['--sentinel'];
    const child = spawn('redis-server', [join(this.#folder, 'redis.conf'), ...how], {
      cwd: this.#folder,
      // A group of its own: Ctrl-C in the terminal is for the tests.
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    this.#child = child;
    let failure: Error | undefined;
    this.#exited = new Promise((resolve) => {
      child.once('exit', resolve).once('error', (error) => {
        failure = error;
        resolve(undefined);
      });
    });
    if (child.pid !== undefined) this.#watchdog = watch(child.pid, this.#folder);
    const until = performance.now() + startTimeoutMs;
    for (;;) {
      if (failure !== undefined) {
        throw new Error('these tests need Redis: apt-get install -y redis-server', { cause: failure });
      }
      const answer = await this.command('PING').catch(() => '');
      if (answer === 'PONG') return;
      if (child.exitCode !== null || performance.now() > until) {
        throw new Error(`Redis did not start:\n${readFileSync(join(this.#folder, 'log'), 'utf8').slice(-2_000)}`);
      }
      await sleep(20);
    }
  }

  async cli(args: readonly string[], atServer: boolean): Promise<string> {
    const { password } = this.#options;
    const where = atServer ? ['-h', this.host, '-p', String(this.port)] : [];
    const tls = this.caFile === undefined ? [] : ['--tls', '--cacert', this.caFile];
    const env = { ...process.env, ...(password === undefined ? {} : { REDISCLI_AUTH: password }) };
    const { stdout } = await run('redis-cli', [...where, ...tls, ...args], { env, timeout: 20_000 });
    return stdout.trimEnd().replaceAll('\r', '');
  }

  async kill9(): Promise<void> {
    this.#signal('SIGKILL');
    await this.#ended();
  }

  async restart(how: { readonly wiped?: boolean } = {}): Promise<void> {
    await this.#shutDown();
    if (how.wiped === true) {
      // A Cluster's node keeps who it is, and nothing else.
      const keep = join(this.#data, 'nodes.conf');
      const nodes = this.#options.settings?.['cluster-enabled'] === 'yes' ? readFileSync(keep) : undefined;
      rmSync(this.#data, { recursive: true, force: true });
      mkdirSync(this.#data);
      if (nodes !== undefined) appendFileSync(keep, nodes);
    }
    await this.#launch();
  }

  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.#shutDown();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #shutDown(): Promise<void> {
    if (this.#child === undefined) return;
    this.#signal('SIGCONT');
    this.#signal('SIGTERM');
    await this.#ended();
  }

  async #ended(): Promise<void> {
    this.#child?.ref();
    await this.#exited;
    this.#child = undefined;
    this.#watchdog?.kill('SIGKILL');
    this.#watchdog = undefined;
  }

  #signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }
}

/** Ends the server and removes its folder as soon as this process is no more: the pipe to it closes then. */
function watch(pid: number, folder: string): ChildProcess {
  // Only if the id still is our server's: by then it may have become another's.
  const script =
    'cat >/dev/null; if [ "$(readlink "/proc/$1/cwd")" = "$2/data" ]; then kill -KILL "$1"; fi 2>/dev/null; rm -rf "$2"';
  const watchdog = spawn('sh', ['-c', script, 'watchdog', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => undefined);
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}

let certificates: Promise<string> | undefined;

/** One authority for all servers of this process, so that those of a Cluster believe each other. */
async function giveCertificates(folder: string): Promise<void> {
  certificates ??= makeCertificates();
  const from = await certificates;
  for (const name of ['ca.crt', 'server.crt', 'server.key']) copyFileSync(join(from, name), join(folder, name));
}

async function makeCertificates(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'auth-service-redis-ca-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-days', '2', '-subj', '/CN=test authority', '-keyout', 'ca.key', '-out', 'ca.crt'];
  await openssl('req', '-x509', ...key, ...authority);
  await openssl('req', ...key, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr');
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names', '-days', '2'];
  await openssl('x509', '-req', '-in', 'server.csr', ...signed, '-out', 'server.crt');
  return folder;
}

const inStep = (replication: string): boolean =>
  replication.includes('master_link_status:up') && replication.includes('master_sync_in_progress:0');

/** Of a list that alternates names and values, a line each. */
function fieldOf(text: string, name: string): string | undefined {
  const lines = text.split('\n');
  const at = lines.indexOf(name);
  return at < 0 ? undefined : lines[at + 1];
}

/** Of what CLUSTER NODES prints: the port of the living master of a slot. */
function masterPort(nodes: string, slot: number): number | undefined {
  for (const line of nodes.split('\n')) {
    const [, address = '', flags = '', , , , , , ...ranges] = line.split(' ');
    if (!flags.includes('master') || /\bfail\b/.test(flags)) continue;
    for (const range of ranges) {
      const [from = Number.NaN, to = from] = range.split('-').map(Number);
      if (slot >= from && slot <= to) return Number(/:(\d+)@/.exec(address)?.[1]);
    }
  }
  return undefined;
}

async function stopAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

async function waitFor(what: string, look: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + startTimeoutMs;
  while (!(await look().catch(() => false))) {
    if (performance.now() > until) throw new Error(`waited in vain until ${what}`);
    await sleep(50);
  }
}
