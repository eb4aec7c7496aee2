/** HAProxy in front of services, as people run it: readiness checks, connections kept open on both sides. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { isHealthy, until } from './service.ts';

export interface Balancer {
  readonly url: string;
  readonly port: number;
  /** What HAProxy says of a server: `status`, `eresp` (answers that broke off), `wretr` (connections tried again), … */
  statsOf(server: string): Promise<Readonly<Record<string, string>>>;
  stop(): Promise<void>;
}

const program = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy', '/usr/local/bin/haproxy'].find((path) =>
  existsSync(path),
);
const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

export async function startHaproxy(servers: Readonly<Record<string, number>>): Promise<Balancer> {
  assert.ok(program !== undefined, 'HAProxy is needed: apt-get install haproxy');
  const folder = mkdtempSync(join(tmpdir(), 'auth-haproxy-'));
  const [port, statsPort] = [await freePort(), await freePort()];
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, configuration(port, statsPort, servers));
  const command = [program, '-db', '-f', file];
  const [first = '', ...rest] = setpriv === undefined ? command : [setpriv, '--pdeathsig', 'KILL', ...command];
  const child = spawn(first, rest, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env } });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stats = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${statsPort}/;csv`, { headers: { Connection: 'close' } })).text();
  const balancer: Balancer = {
    url: `http://127.0.0.1:${port}`,
    port,
    async statsOf(server) {
      const [head = '', ...rows] = (await stats()).replace(/^# /, '').split('\n');
      const names = head.split(',');
      const found = rows.map((row) => row.split(',')).find((row) => row[0] === 'nodes' && row[1] === server);
      assert.ok(found !== undefined, `HAProxy knows no server ${server}`);
      return Object.fromEntries(names.map((name, at) => [name, found[at] ?? '']));
    },
    async stop() {
      child.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await until('HAProxy', async () => {
      assert.equal(child.exitCode, null, `HAProxy ended: ${said}`);
      return isHealthy(balancer.url, '/health/ready');
    });
  } catch (failure) {
    await balancer.stop();
    throw failure;
  }
  return balancer;
}

const configuration = (port: number, statsPort: number, servers: Readonly<Record<string, number>>): string =>
  [
    'defaults',
    '  mode http',
    '  timeout connect 2s',
    '  timeout client 30s',
    '  timeout server 30s',
    '  timeout check 2s',
    '  option redispatch',
    'frontend all',
    `  bind 127.0.0.1:${port}`,
    '  default_backend nodes',
    'backend nodes',
    '  balance roundrobin',
    '  option httpchk GET /health/ready',
    '  http-check expect status 200',
    '  default-server check inter 250ms fall 3 rise 2',
    ...Object.entries(servers).map(([name, serverPort]) => `  server ${name} 127.0.0.1:${serverPort}`),
    'frontend figures',
    `  bind 127.0.0.1:${statsPort}`,
    '  stats enable',
    '  stats uri /',
    '',
  ].join('\n');
