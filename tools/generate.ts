/**
 * `npm run generate` writes the files that are made from the code's own tables; `npm run generate -- --check` compares them and
 * writes nothing. Each `tools/generators/*.ts` exports `generate(): Promise<readonly Generated[]>`.
 */
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { report, root } from './tidy/files.ts';

interface Generated {
  /** From the root of the workspace. */
  readonly path: string;
  readonly content: string;
}

const generators = globSync('tools/generators/*.ts', { cwd: root })
  .filter((file) => !file.endsWith('.test.ts'))
  .toSorted();

async function run(generator: string): Promise<readonly Generated[]> {
  const loaded: unknown = await import(pathToFileURL(root + generator).href);
  const { generate } = loaded as { readonly generate?: () => Promise<readonly Generated[]> };
  if (generate === undefined) throw new Error('it exports no generate()');
  const files = await generate();
  if (files.length === 0) throw new Error('it generates nothing');
  return files;
}

const problems: string[] = [];
const made = new Map<string, string>();
for (const generator of generators) {
  try {
    for (const { path, content } of await run(generator)) {
      if (made.has(path)) problems.push(`${generator}: ${path} is made by another generator too`);
      made.set(path, content);
    }
  } catch (error) {
    problems.push(`${generator}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
if (generators.length === 0) problems.push('no generator was found');

const checking = process.argv.includes('--check');
let changed = 0;
for (const [path, content] of made) {
  if (existsSync(root + path) && readFileSync(root + path, 'utf8') === content) continue;
  changed += 1;
  if (checking) {
    problems.push(`${path} is not what the code says: run \`npm run generate\``);
    continue;
  }
  mkdirSync(dirname(root + path), { recursive: true });
  writeFileSync(root + path, content);
  console.log(`wrote ${path}`);
}
const ok = report(
  `${made.size} generated files${checking ? ' are as the code says' : `, ${changed} written`}`,
  problems,
);
process.exitCode = ok ? 0 : 1;
