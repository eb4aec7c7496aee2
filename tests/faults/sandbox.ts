/**
 * Runs one experiment in process, network and mount namespaces of its own. Whatever ends it (its own end, Ctrl-C, `kill -9` of
 * whoever started it), the kernel then ends every process of it and takes its networks, mounts and files away.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Order, Result } from './inside.ts';

const programs: Readonly<Record<string, string>> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  mount: 'mount',
  ip: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
};

/** Throws what is missing, and what to do: an experiment is never skipped. */
export function demandNamespaces(): void {
  const path = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = Object.keys(programs).filter((name) => !path.some((folder) => existsSync(`${folder}/${name}`)));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => programs[name]))].join(' ');
    throw new Error(`the fault suite needs ${missing.join(', ')}: apt-get install -y ${packages}`);
  }
  const tried = spawnSync('unshare', ['-nmp', '--fork', '--mount-proc', 'true'], { encoding: 'utf8' });
  if (tried.status !== 0) {
    throw new Error(
      `the fault suite puts processes into network, mount and process namespaces, and may not here: ${tried.stderr.trim()}\nRun it as root on Linux, outside of an unprivileged container.`,
    );
  }
}

const inside = fileURLToPath(new URL('inside.ts', import.meta.url));
const secondsMax = 240;

export function perform(order: Order): Promise<Result> {
  const bed = ['unshare', '-nmp', '--fork', '--kill-child=KILL', '--mount-proc'];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...bed, process.execPath, inside, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own: the scheduler then weighs the bed against the rest of the machine as one, and threads of low
    // priority in it wait for the bed alone.
    detached: true,
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const timer = setTimeout(() => {
    errors += `\n${order.id} did not end within ${secondsMax} s`;
    child.kill('SIGKILL');
  }, secondsMax * 1_000);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(output) as Result);
      else reject(new Error(`${order.id} could not be carried out:\n${errors.slice(-8_000)}`));
    });
  });
}
