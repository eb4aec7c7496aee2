/**
 * Slow and lossy links without the kernel's help: a machine with a proxy for each place that nodes talk to, by which their new
 * connections go. Lost segments show themselves to TCP as pieces that come late, with everything behind them waiting.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import type { Host, Network } from './network.ts';

export interface LinkQuality {
  readonly delayMs: number;
  /** Share of the pieces that come `stallMsMin` to `stallMsMax` later. */
  readonly stalled: number;
}

export interface SlowLinks {
  readonly host: Host;
  set(quality: LinkQuality): void;
}

interface Place {
  readonly address: string;
  readonly port: number;
}

const stallMsMin = 200;
const stallMsMax = 1_000;
const firstPort = 7_000;

export async function startSlowLinks(
  network: Network,
  options: { readonly hosts: readonly Host[]; readonly places: readonly Place[]; readonly log: string },
): Promise<SlowLinks> {
  const host = network.add('slow', 50);
  const log = openSync(options.log, 'a');
  const [file, ...args] = [
    ...host.enter,
    process.execPath,
    fileURLToPath(import.meta.url),
    JSON.stringify(options.places),
  ];
  const child = spawn(file, args, { stdio: ['ignore', log, log, 'ipc'] });
  closeSync(log);
  await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', () => reject(new Error(`the proxies did not start: see ${options.log}`)));
  });
  for (const one of options.hosts) {
    const others = options.places
      .map((place, at) => ({ place, at }))
      .filter(({ place }) => place.address !== one.address);
    network.redirect(
      one,
      others.map(({ place, at }) => ({ ...place, toAddress: host.address, toPort: firstPort + at })),
    );
  }
  return { host, set: (quality) => child.send(quality) };
}

async function main(): Promise<void> {
  const places = JSON.parse(process.argv[2] ?? '[]') as readonly Place[];
  const proxies = await Promise.all(
    places.map((place, at) =>
      startTcpProxy(place.port, { host: '0.0.0.0', port: firstPort + at, targetHost: place.address }),
    ),
  );
  process.on('message', (quality: LinkQuality) => {
    const stalls = { share: quality.stalled, msMin: stallMsMin, msMax: stallMsMax, random: Math.random };
    for (const proxy of proxies) proxy.delay(quality.delayMs, quality.stalled === 0 ? undefined : stalls);
  });
  process.send?.('ready');
}

if (import.meta.main) await main();
