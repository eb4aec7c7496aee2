/** The packages as a stranger gets them, packed once a run of the suite. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The tarballs. Files of one run share them, in the folder that goes with the run; whoever is first makes them. */
export function packedTarballs(): readonly string[] {
  const shared = process.env['AUTH_SERVICE_TEST_RUN'] !== undefined;
  const folder = join(tmpdir(), 'packed-for-tutorials');
  if (!shared || !existsSync(folder)) {
    const made = mkdtempSync(`${folder}-`);
    // What the runner of tests tells its children about itself is not for others.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const packing = spawnSync(process.execPath, [join(root, 'tools/pack.ts'), made], { encoding: 'utf8', env });
    assert.equal(packing.status, 0, packing.stderr);
    if (!shared) {
      process.once('exit', () => rmSync(made, { recursive: true, force: true }));
      return tarballsIn(made);
    }
    try {
      renameSync(made, folder);
    } catch {
      // Another file was quicker.
      rmSync(made, { recursive: true, force: true });
    }
  }
  return tarballsIn(folder);
}

function tarballsIn(folder: string): readonly string[] {
  const files = globSync('*.tgz', { cwd: folder }).map((file) => join(folder, file));
  assert.ok(files.length >= 3, files.join());
  return files;
}
