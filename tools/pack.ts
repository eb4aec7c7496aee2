/**
 * `npm run pack [-- folder]`: the packages that others install, as tarballs in `dist/` (or the folder): JavaScript and
 * declarations made from the sources, which run only in this workspace (Node takes no types away below `node_modules`).
 *
 * Each package is compiled in a stage of its own against the packed form of those that it depends on, so that what is
 * published is what was checked. The sources' `exports` become those of `dist` one by one; tests stay behind.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root } from './tidy/files.ts';

/** In the order in which they depend on each other. */
const packages = ['protocol', 'guard', 'client'] as const;

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
}

const emitted = (path: string, ending: string): string =>
  path.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, ending);

const published = (manifest: Manifest): object => ({
  ...manifest,
  exports: {
    ...Object.fromEntries(
      Object.entries(manifest.exports).map(([name, { types, default: source }]) => [
        name,
        { types: emitted(types, '.d.ts'), default: emitted(source, '.js') },
      ]),
    ),
    './package.json': './package.json',
  },
  files: ['dist'],
});

function run(program: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`);
}

function makeStage(stage: string, name: string, into: string): void {
  const source = join(root, 'packages', name);
  const folder = join(stage, name);
  cpSync(join(source, 'src'), join(folder, 'src'), { recursive: true });
  for (const test of globSync('src/**/{*.test,testing}.ts', { cwd: folder })) rmSync(join(folder, test));
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest;
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published(manifest), null, 2)}\n`);
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  cpSync(join(source, 'README.md'), join(folder, 'README.md'));
  const tsconfig = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      ...{ noEmit: false, declaration: true, rewriteRelativeImportExtensions: true, newLine: 'lf' },
      ...{ rootDir: 'src', outDir: 'dist', removeComments: false },
    },
    include: ['src'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  run(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], folder);
  // Those that come after find it by its name, in its published form.
  mkdirSync(join(stage, 'node_modules/@auth-service'), { recursive: true });
  symlinkSync(folder, join(stage, 'node_modules', manifest.name));
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', into], folder);
}

/** Below the workspace, where the types of the frameworks are found. */
function main(into: string): void {
  mkdirSync(into, { recursive: true });
  mkdirSync(join(root, 'dist'), { recursive: true });
  const stage = mkdtempSync(join(root, 'dist/stage-'));
  try {
    for (const name of packages) makeStage(stage, name, into);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  for (const file of globSync('*.tgz', { cwd: into })) console.log(join(into, file));
}

main(resolve(process.argv[2] ?? join(root, 'dist')));
