/**
 * A real name server (dnsmasq) for a test: its own port on loopback, records that can be changed, gone afterwards, also when
 * the test process is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { promises as dns } from 'node:dns';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.ts';

export interface DnsRecords {
  /** A and AAAA records, by name. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  /** SRV records, by name. */
  readonly services?: Readonly<Record<string, readonly { readonly target: string; readonly port: number }[]>>;
}

export interface TestDnsServer {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** From now on these are all the records there are under `zone`; another name there does not exist. */
  setRecords(records: DnsRecords): Promise<void>;
  /** Ends the server; `setRecords` starts it again on the same port. */
  pause(): Promise<void>;
  stop(): Promise<void>;
}

export const zone = 'auth.test';
const marker = `ready.${zone}`;

const folders = new Set<string>();
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export async function startDnsServer(records: DnsRecords = {}): Promise<TestDnsServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'auth-dns-'));
  folders.add(folder);
  const hostsFile = join(folder, 'hosts');
  const configFile = join(folder, 'dnsmasq.conf');
  let running: ChildProcess | undefined;

  const pause = async (): Promise<void> => {
    const child = running;
    running = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.stdin?.end();
    await ended;
  };

  const setRecords = async ({ hosts = {}, services = {} }: DnsRecords): Promise<void> => {
    await pause();
    const lines = Object.entries({ ...hosts, [marker]: ['127.0.0.1'] }).flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    );
    writeFileSync(hostsFile, lines.join(''), { mode: 0o644 });
    const options = [
      `port=${port}`,
      'listen-address=127.0.0.1',
      'bind-interfaces',
      'no-resolv',
      'no-hosts',
      `addn-hosts=${hostsFile}`,
      `local=/${zone}/`,
      `user=${userInfo().username}`,
      'pid-file=',
      ...Object.entries(services).flatMap(([name, targets]) =>
        targets.map((to) => `srv-host=${name},${to.target},${to.port}`),
      ),
    ];
    writeFileSync(configFile, `${options.join('\n')}\n`, { mode: 0o644 });
    running = start(configFile);
    await answers(running, `127.0.0.1:${port}`);
  };

  await setRecords(records);
  return {
    address: `127.0.0.1:${port}`,
    setRecords,
    pause,
    async stop() {
      await pause();
      rmSync(folder, { recursive: true, force: true });
      folders.delete(folder);
    },
  };
}

/** A shell between holds a pipe to this process: when that closes, by `kill -9` too, the server ends. */
function start(configFile: string): ChildProcess {
  const script = 'dnsmasq --keep-in-foreground --conf-file="$0" & server=$!; read -r _; kill "$server"; wait "$server"';
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  return spawn('sh', ['-c', script, configFile], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, PATH: path },
  });
}

async function answers(child: ChildProcess, address: string): Promise<void> {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const resolver = new dns.Resolver({ timeout: 200, tries: 1 });
  resolver.setServers([address]);
  for (let round = 0; round < 200; round++) {
    const found = await resolver.resolve4(marker).catch(() => []);
    if (found.length > 0) return;
    if (errors !== '') break;
    await sleep(25);
  }
  throw new Error(`dnsmasq does not answer (is the package dnsmasq-base installed?): ${errors}`);
}
