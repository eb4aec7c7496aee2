/** The service's processes, a machine each, and what is done to them. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { Down } from '../history.ts';
import type { Host, Network } from './network.ts';

export interface NodeMachine {
  readonly host: Host;
  readonly name: string;
  readonly log: string;
  start(): Promise<void>;
  kill9(): Promise<void>;
  /** SIGTERM; answers its exit code. */
  terminate(): Promise<number | null>;
  freeze(): void;
  thaw(): void;
  /** Moves its wall clock by so many seconds from the true time; its monotonic clock goes on. */
  setClock(seconds: number): void;
  isReady(): Promise<boolean>;
  readonly downs: readonly Down[];
}

const mainFile = fileURLToPath(new URL('../../../packages/server/src/main.ts', import.meta.url));
export const servicePort = 4000;
const startMsMax = 60_000;
const startsMax = 5;

export interface NodeOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** The library that fakes the wall clock of a program, where this node is to have a clock of its own. */
  readonly clockLibrary: string | undefined;
}

export function createNode(network: Network, host: Host, options: NodeOptions): NodeMachine {
  const folder = `${options.folder}/${host.name}`;
  const log = `${folder}.log`;
  const clockFile = `${folder}.clock`;
  const downs: Down[] = [];
  mkdirSync(folder, { recursive: true });
  writeFileSync(clockFile, '+0');
  let child: ChildProcess | undefined;

  const clockEnv: Readonly<Record<string, string>> =
    options.clockLibrary === undefined
      ? {}
      : {
          LD_PRELOAD: options.clockLibrary,
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
          DONT_FAKE_MONOTONIC: '1',
          FAKETIME_TIMESTAMP_FILE: clockFile,
          FAKETIME_CACHE_DURATION: '1',
        };

  const down = (): void => {
    downs.push({ node: host.name, fromMs: performance.now(), untilMs: Number.POSITIVE_INFINITY });
  };
  const up = (): void => {
    const last = downs.at(-1);
    if (last !== undefined) last.untilMs = Math.min(last.untilMs, performance.now());
  };
  const isReady = (): Promise<boolean> => isOk(host.front, '/health/ready');

  function launch(): void {
    child = network.spawn(host, [process.execPath, mainFile, 'start'], {
      log,
      cwd: folder,
      env: { ...options.env, ...clockEnv, NODE_NAME: host.name, CLUSTER_ADDRESS: host.address },
    });
  }

  const hasEnded = (): boolean => child === undefined || child.exitCode !== null || child.signalCode !== null;

  function gone(): Promise<number | null> {
    const ended = child;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null)
      return Promise.resolve(ended?.exitCode ?? null);
    return new Promise((resolve) => ended.once('exit', (code) => resolve(code)));
  }

  return {
    host,
    name: host.name,
    log,
    downs,
    isReady,
    async start() {
      const end = performance.now() + startMsMax;
      for (let attempt = 1; ; attempt += 1) {
        launch();
        while (!(await isReady()) && !hasEnded() && performance.now() < end) await sleep(20);
        if (!hasEnded() && performance.now() < end) break;
        // A machine that is short of breath may not reach its database in time; what is above a service starts it again.
        if (attempt === startsMax || performance.now() > end) throw new Error(`${host.name} did not start: see ${log}`);
        await sleep(500);
      }
      up();
    },
    async kill9() {
      down();
      child?.kill('SIGKILL');
      await gone();
    },
    async terminate() {
      child?.kill('SIGTERM');
      const code = await gone();
      down();
      return code;
    },
    freeze() {
      down();
      child?.kill('SIGSTOP');
    },
    thaw() {
      child?.kill('SIGCONT');
      up();
    },
    setClock(seconds) {
      if (options.clockLibrary === undefined) throw new Error(`${host.name} has no clock of its own`);
      writeFileSync(clockFile, `${seconds < 0 ? '' : '+'}${seconds}`);
    },
  };
}

function isOk(address: string, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = get({ host: address, port: servicePort, path, agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
  });
}
