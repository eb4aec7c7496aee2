/** The service under measurement: a real process, started as its users start it, with a log in a file as in production. */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../../tidy/files.ts';
import { end, freePort, pidOf, residentMib, spawnNode } from './processes.ts';

export interface ServiceOptions {
  /** For logs and data. */
  readonly folder: string;
  readonly core: number | undefined;
  /** Without it the embedded store in `dataDir`. */
  readonly databaseUrl?: string;
  readonly dataDir?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** For profiles: `--cpu-prof` and the like. */
  readonly nodeArgs?: readonly string[];
}

export interface RunningService {
  readonly pid: number;
  readonly port: number;
  /** From the start of the process to the first 200 on `/health`. */
  readonly startSeconds: number;
  residentMib(): number;
  stop(): Promise<void>;
}

const startSecondsMax = 30;
const jwtSecret = randomBytes(48).toString('base64');

export async function startService(options: ServiceOptions): Promise<RunningService> {
  const port = await freePort();
  const place = mkdtempSync(join(options.folder, 'service-'));
  const log = openSync(join(place, 'log'), 'a');
  // Nothing of the caller's environment but what a process needs: stray variables are settings of the service.
  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PORT: String(port),
    HOST: '127.0.0.1',
    DATA_DIR: options.dataDir ?? join(place, 'data'),
    JWT_SECRET: jwtSecret,
    RATE_LIMIT_ENABLED: 'false',
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
    ...options.settings,
  };
  const beganMs = performance.now();
  const child = spawnNode(join(root, 'packages/server/bin/auth-service.js'), ['start'], {
    core: options.core,
    ipc: false,
    env,
    log,
    cwd: place,
    ...(options.nodeArgs === undefined ? {} : { nodeArgs: options.nodeArgs }),
  });
  closeSync(log);
  while (!(await isHealthy(port))) {
    if (child.exitCode !== null || performance.now() - beganMs > startSecondsMax * 1_000) {
      await end(child, 'SIGKILL');
      throw new Error(`the service did not start:\n${readFileSync(join(place, 'log'), 'utf8').slice(-2_000)}`);
    }
    await sleep(5);
  }
  const startSeconds = (performance.now() - beganMs) / 1_000;
  const pid = pidOf(child);
  return { pid, port, startSeconds, residentMib: () => residentMib(pid), stop: () => end(child) };
}

function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/health', agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
    request.on('timeout', () => request.destroy());
  });
}
