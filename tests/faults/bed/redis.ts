/** A Redis Cluster of six processes, one machine each: three masters, three replicas. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, Network } from './network.ts';

export interface RedisCluster {
  readonly hosts: readonly Host[];
  /** As the service's setting. */
  readonly nodes: string;
  pids(): ReadonlyMap<string, number>;
  /** Machines that hold a master right now, as any living process sees it. */
  masters(): readonly Host[];
  kill(host: Host): Promise<void>;
  signal(host: Host, signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Starts those that do not run; `wiped`: with nothing in them, as a new cluster. */
  start(options?: { readonly wiped: boolean }): Promise<void>;
  command(host: Host, ...args: readonly string[]): string;
}

const port = 6379;
const nodeTimeoutMs = 2_000;
const readyMsMax = 30_000;
/** A frozen process answers nothing. */
const commandMsMax = 2_000;

export function createRedisCluster(network: Network, folder: string): RedisCluster {
  const hosts = [1, 2, 3, 4, 5, 6].map((at) => network.add(`r${at}`, 30 + at));
  const running = new Map<string, ReturnType<Network['spawn']>>();

  const command = (host: Host, ...args: readonly string[]): string =>
    execFileSync('redis-cli', ['-h', host.address, '-p', String(port), ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: commandMsMax,
    });
  const tryCommand = (host: Host, ...args: readonly string[]): string => {
    try {
      return command(host, ...args);
    } catch {
      return '';
    }
  };

  function launch(host: Host): void {
    const dir = `${folder}/${host.name}`;
    mkdirSync(dir, { recursive: true });
    const settings: Readonly<Record<string, string>> = {
      port: String(port),
      bind: host.address,
      dir,
      save: '',
      appendonly: 'yes',
      'protected-mode': 'no',
      'cluster-enabled': 'yes',
      'cluster-node-timeout': String(nodeTimeoutMs),
      'cluster-require-full-coverage': 'no',
      'repl-diskless-sync-delay': '0',
      'maxmemory-policy': 'noeviction',
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    running.set(host.name, network.spawn(host, ['redis-server', ...args], { log: `${folder}/${host.name}.log` }));
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    const end = performance.now() + readyMsMax;
    while (!holds()) {
      if (performance.now() > end) throw new Error(`Redis: waited in vain for ${what}; see ${folder}/r*.log`);
      await sleep(50);
    }
  }

  const isRunning = (host: Host): boolean =>
    running.get(host.name)?.exitCode === null && running.get(host.name)?.signalCode === null;

  async function form(): Promise<void> {
    const all = hosts.map((host) => `${host.address}:${port}`);
    execFileSync('redis-cli', ['--cluster', 'create', ...all, '--cluster-replicas', '1', '--cluster-yes'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    });
  }

  const isWhole = (): boolean =>
    hosts.every((host) => /cluster_state:ok/.test(tryCommand(host, 'cluster', 'info'))) &&
    hosts.every((host) => /role:master|master_link_status:up/.test(tryCommand(host, 'info', 'replication')));

  return {
    hosts,
    nodes: hosts.map((host) => `${host.address}:${port}`).join(','),
    pids: () => new Map([...running].map(([name, child]) => [name, child.pid ?? 0])),
    command,
    masters() {
      for (const host of hosts) {
        const lines = tryCommand(host, 'cluster', 'nodes').split('\n');
        const masters = lines.filter((line) => / (myself,)?master /.test(line) && !/fail/.test(line));
        if (masters.length > 0) return hosts.filter((one) => masters.some((line) => line.includes(` ${one.address}:`)));
      }
      return [];
    },
    async kill(host) {
      const child = running.get(host.name);
      if (child === undefined || !isRunning(host)) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    },
    signal(host, signal) {
      running.get(host.name)?.kill(signal);
    },
    async start(options) {
      const asleep = hosts.filter((host) => !isRunning(host));
      if (options?.wiped === true)
        for (const host of asleep) rmSync(`${folder}/${host.name}`, { recursive: true, force: true });
      for (const host of asleep) launch(host);
      await until('answers', () => hosts.every((host) => tryCommand(host, 'ping').includes('PONG')));
      const isNew = hosts.every((host) => /cluster_known_nodes:1\b/.test(tryCommand(host, 'cluster', 'info')));
      if (isNew) await form();
      await until('a whole cluster', isWhole);
    },
  };
}
