/** A project of somebody else: the packed packages, installed into a folder outside of the workspace, and nothing beside them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
const oldest = join(import.meta.dirname, 'oldest-node');

/** The application's own, not brought along by any of the packages. */
const frameworks = [
  ...['express', 'fastify', 'hono', '@hono/node-server', 'reflect-metadata', 'rxjs'],
  ...['common', 'core', 'platform-express', 'platform-fastify'].map((name) => `@nestjs/${name}`),
  ...['node', 'express'].map((name) => `@types/${name}`),
];

export function run(program: string, args: readonly string[], cwd: string): string {
  // What the runner tells its children about itself is not for a runner inside of one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', env });
  assert.equal(status, 0, `${program} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

export interface Project {
  readonly folder: string;
  /** Paths of the packed packages. */
  readonly tarballs: readonly string[];
  write(file: string, content: string): void;
  /** From `tests/` to the same place below the project's `tests/`. */
  copyTests(files: readonly string[]): void;
}

export function makeProject(): Project {
  const folder = mkdtempSync(join(tmpdir(), 'auth-packed-'));
  const packed = join(folder, 'tarballs');
  run(process.execPath, [join(root, 'tools/pack.ts'), packed], root);
  writeFileSync(join(folder, 'package.json'), '{"name":"orders","private":true,"type":"module"}');
  const tarballs = globSync('*.tgz', { cwd: packed }).map((file) => join(packed, file));
  const options = ['--offline', '--no-audit', '--no-fund', '--no-package-lock', '--legacy-peer-deps'];
  run('npm', ['install', ...options, ...tarballs], folder);
  for (const name of frameworks) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
  return {
    ...{ folder, tarballs },
    write: (file, content) => writeFileSync(join(folder, file), content),
    copyTests(files) {
      for (const file of files) cpSync(join(root, 'tests', file), join(folder, 'tests', file));
    },
  };
}

/**
 * The oldest Node that the packages say they run on. It is installed once, by its hashes, beside its lockfile: 45 MB that only
 * those who run this test have to fetch.
 */
export function oldestNode(): string {
  const program = join(oldest, 'node_modules/.bin/node');
  if (!existsSync(program)) run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], oldest);
  assert.ok(existsSync(program), `the registry has no such Node for ${process.platform} on ${process.arch}`);
  return program;
}
