/**
 * The machine of a reader: a folder with a clone of this repository in `auth-service` and room for a project beside it.
 *
 * Commands and files are those of the tutorial but for three things:
 * - `npm ci && npm run pack` was done: the tarballs are put where it puts them.
 * - `npm install …` takes tarballs as they are and every other package from this repository, whose version must be what the
 *   tutorial asks for: no registry is asked.
 *   What is too heavy for that comes from a lockfile of its own (`locked`).
 * - The ports are free ones, as 4000 and 3000 may be taken here.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/ports.ts';
import { lockedModules } from './locked.ts';
import { packedTarballs, root } from './packed.ts';
import type { Stage } from './run-tutorial.ts';

export interface TutorialStage extends Stage {
  /** The port that stands for the one in the tutorial. */
  port(shown: number): number;
  remove(): void;
}

const clone = ['package.json', 'packages', 'tools', 'node_modules'];
const installer = fileURLToPath(new URL('../programs/install.ts', import.meta.url));

export async function makeStage(options: {
  readonly project: string;
  readonly ports: readonly number[];
  /** The folder beside the tests whose lockfile has what else is installed. */
  readonly locked?: string;
}): Promise<TutorialStage> {
  const folder = mkdtempSync(join(tmpdir(), 'auth-tutorial-'));
  const service = join(folder, 'auth-service');
  mkdirSync(join(service, 'dist'), { recursive: true });
  for (const name of clone) symlinkSync(join(root, name), join(service, name));
  const tarballs = packedTarballs();
  const locked = options.locked === undefined ? {} : { LOCKED_MODULES: lockedModules(options.locked) };
  const ports = new Map<number, number>();
  for (const port of options.ports) ports.set(port, await freePort());
  const shown = new RegExp(`\\b(?:${options.ports.join('|')})\\b`, 'g');
  const port = (number: number): number => {
    const free = ports.get(number);
    assert.ok(free !== undefined, `the tutorial has no port ${number}`);
    return free;
  };
  return {
    folder,
    project: options.project,
    port,
    adapt: (text) =>
      text
        .replaceAll('npm ci && npm run pack', `cp ${tarballs.join(' ')} dist/`)
        .replaceAll(/^npm install /gm, `node ${installer} `)
        .replaceAll(shown, (number) => String(port(Number(number)))),
    env: (terminal) => ({
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      HOME: folder,
      TMPDIR: process.env['TMPDIR'],
      AUTH_SERVICE_TEST_RUN: process.env['AUTH_SERVICE_TEST_RUN'],
      ...locked,
      npm_config_offline: 'true',
      npm_config_update_notifier: 'false',
      NEXT_TELEMETRY_DISABLED: '1',
      ...(terminal === 'service' ? { PORT: String(port(4000)) } : {}),
    }),
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}
