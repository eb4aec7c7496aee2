/** What the reference shows of a module, and which exports count as documented. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { root } from '../tidy/files.ts';
import { entryPointsOf, readModules } from './declarations.ts';

const folder = mkdtempSync(join(tmpdir(), 'auth-reference-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('an export is documented by the comment just above it, and not by the one at the head of its file', () => {
  writeFileSync(join(folder, 'inner.ts'), '/** About the file. */\nexport interface Bare { readonly a: string }\n');
  writeFileSync(
    join(folder, 'index.ts'),
    `/** The head. */
export type { Bare } from './inner.ts';
/** Twice as much, in metres. */
export const twice = (metres: number) => metres * 2;
/** The other way. */
export function half({ metres = 1 }: { metres?: number } = {}) { return metres / 2; }
// No doc comment.
export class Ruler { #length = 1; measure() { return this.#length; } }
`,
  );
  const source = relative(root, join(folder, 'index.ts'));
  const [module] = readModules([{ specifier: 'ruler', source }]);
  assert.equal(module?.head, 'The head.');
  const shown = module?.exports.map(({ name, kind, doc, code }) => [name, kind, doc, code.split('\n')[0]]);
  assert.deepEqual(shown, [
    ['Bare', 'type', '', 'interface Bare {'],
    ['Ruler', 'class', '', 'class Ruler {'],
    ['half', 'function', 'The other way.', 'function half({ metres }?: {'],
    ['twice', 'function', 'Twice as much, in metres.', 'const twice: (metres: number) => number;'],
  ]);
});

test('a type that a declaration tells of is shown with it, or needed as an export', () => {
  const inner = 'export interface Length { readonly metres: number }\n';
  const text = `import type { Length } from './inner.ts';
type Wish = { readonly least: number };
/** Cuts. */
export const cut = (length: Length, { least }: Wish): Promise<Length> => Promise.resolve({ metres: length.metres - least });
`;
  writeFileSync(join(folder, 'inner.ts'), inner);
  writeFileSync(join(folder, 'cut.ts'), text);
  const [module] = readModules([{ specifier: 'cutter', source: relative(root, join(folder, 'cut.ts')) }]);
  assert.deepEqual(module?.exports[0]?.needs, ['Length']);
  assert.match(module?.exports[0]?.code ?? '', /\n\ntype Wish = \{/);
});

test('the entry points are those that the manifest exports', () => {
  const names = entryPointsOf('packages/client').map(({ specifier, source }) => [specifier, source]);
  assert.deepEqual(names, [
    ['@auth-service/client', 'packages/client/src/index.ts'],
    ['@auth-service/client/passkeys', 'packages/client/src/passkeys.ts'],
  ]);
});
