/** What an application pays for what it imports: bundled and minified as it would do it, with the sources that end up in it. */
import assert from 'node:assert/strict';
import { isBuiltin } from 'node:module';
import { relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { root } from '../tidy/files.ts';

const entry = 'virtual:application';

export interface Bundle {
  readonly code: string;
  readonly gzipBytes: number;
  /** Sources of which something is in the bundle, from `packages/`: `guard/src/verify.ts`. */
  readonly sources: readonly string[];
  /** What stays an import: modules of Node, and packages of others. */
  readonly imports: readonly string[];
}

/** `code` imports from `packages/` by paths from the root: `import { createGuard } from './packages/guard/src/index.ts'`. */
export async function bundle(code: string, platform: 'browser' | 'node' = 'browser'): Promise<Bundle> {
  const own = /^(?:\.|@auth-service\/|virtual:)/;
  const build = await rolldown({
    input: entry,
    cwd: root,
    platform,
    external: (id) => isBuiltin(id) || !(own.test(id) || id.startsWith('/')),
    plugins: [
      {
        name: 'application',
        resolveId: (id) => (id === entry ? `${root}application.js` : null),
        load: (id) => (id === `${root}application.js` ? code : null),
      },
    ],
    onLog: (level, log) => assert.equal(level, 'info', log.message),
  });
  const { output } = await build.generate({ minify: true });
  await build.close();
  assert.equal(output.length, 1);
  const [chunk] = output;
  return {
    code: chunk.code,
    gzipBytes: gzipSync(chunk.code, { level: 9 }).length,
    sources: Object.entries(chunk.modules)
      .filter(([id, { renderedLength }]) => renderedLength > 0 && !id.endsWith('application.js'))
      .map(([id]) => relative(`${root}packages`, id))
      .toSorted(),
    imports: chunk.imports.toSorted(),
  };
}
