/**
 * What is too heavy for every `npm ci`, installed by those tests that need it: from a lockfile of its own, without scripts, and kept
 * below `node_modules` until that is made anew. Docs: docs/decisions, "Next.js is installed by its test".
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './packed.ts';

/** The `node_modules` of `tests/tutorials/NAME`. */
export function lockedModules(name: string): string {
  const source = join(root, 'tests/tutorials', name);
  const hash = createHash('sha256')
    .update(readFileSync(join(source, 'package-lock.json')))
    .digest('hex');
  const caches = join(root, 'node_modules/.cache');
  const folder = join(caches, `tutorial-${name}-${hash.slice(0, 16)}`);
  if (!existsSync(folder)) {
    mkdirSync(caches, { recursive: true });
    const made = mkdtempSync(join(caches, 'making-'));
    try {
      for (const file of ['package.json', 'package-lock.json']) cpSync(join(source, file), join(made, file));
      const args = ['ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
      const { status, stderr } = spawnSync('npm', args, { cwd: made, encoding: 'utf8' });
      assert.equal(
        status,
        0,
        `${name} could not be installed from its lockfile; is the registry reachable?\n${stderr}`,
      );
      renameSync(made, folder);
    } finally {
      rmSync(made, { recursive: true, force: true });
    }
  }
  return join(folder, 'node_modules');
}
