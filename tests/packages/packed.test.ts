/**
 * The packages as a stranger gets them: tarballs, linted, installed into a bare project, typed for both kinds of modules, and run
 * through the suites of the doors and of the client on the oldest Node that they say they run on.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { makeProject, oldestNode, type Project, root, run } from './project.ts';

const names = ['protocol', 'guard', 'client'] as const;
const entries = {
  protocol: ['.'],
  guard: ['.', './fastify', './express', './hono', './nest', './node', './mutual-tls', './web'],
  client: ['.', './passkeys'],
} as const;
const specifiers = names.flatMap((name) => entries[name].map((entry) => `@auth-service/${name}${entry.slice(1)}`));
/** Frameworks whose types are part of a door's, with the major versions that the suite of the doors has passed in. */
const peers = {
  '@nestjs/common': '^10.0.0 || ^11.0.0 || ^12.0.0',
  express: '^4.18.0 || ^5.0.0',
  fastify: '^5.0.0',
  hono: '^4.0.0',
};

let project: Project;
let node22 = '';
before(() => {
  project = makeProject();
  node22 = oldestNode();
});
after(() => rmSync(project.folder, { recursive: true, force: true }));

const inside = (name: string): string => join(project.folder, 'node_modules/@auth-service', name);
const manifestOf = (name: string) =>
  JSON.parse(readFileSync(join(inside(name), 'package.json'), 'utf8')) as Readonly<Record<string, unknown>>;

test('a tarball holds what runs, its types, a licence and a page about it: no sources, no tests', () => {
  assert.equal(project.tarballs.length, names.length);
  for (const name of names) {
    const files = globSync('**/*.*', { cwd: inside(name), exclude: ['node_modules'] }).toSorted();
    const code = files.filter((file) => file.endsWith('.js'));
    const expected = [...code, ...code.map((file) => file.replace(/js$/, 'd.ts')), 'README.md', 'package.json'];
    assert.deepEqual(files, expected.toSorted(), name);
    assert.ok(code.length > 5 && code.every((file) => !/test/.test(file)), name);
    assert.match(readFileSync(join(inside(name), 'LICENSE'), 'utf8'), /MIT/);
    assert.ok(readFileSync(join(inside(name), 'README.md'), 'utf8').startsWith(`# @auth-service/${name}\n`));
  }
});

test('a manifest says what a registry shows, and depends on nothing but the protocol of the same version', () => {
  for (const name of names) {
    const manifest = manifestOf(name);
    assert.deepEqual(Object.keys(manifest['exports'] as object), [...entries[name], './package.json']);
    assert.ok(String(manifest['description']).length > 40 && (manifest['keywords'] as string[]).length > 3, name);
    assert.deepEqual(
      [
        manifest['license'],
        manifest['type'],
        manifest['sideEffects'],
        manifest['scripts'],
        manifest['devDependencies'],
      ],
      ['MIT', 'module', false, undefined, undefined],
    );
    assert.deepEqual([manifest['engines'], manifest['publishConfig']], [{ node: '>=22.13' }, { access: 'public' }]);
    const { version } = manifestOf('protocol');
    assert.equal(manifest['version'], version);
    const dependencies = name === 'protocol' ? undefined : { '@auth-service/protocol': version };
    assert.deepEqual(manifest['dependencies'], dependencies);
    assert.deepEqual(manifest['peerDependencies'], name === 'guard' ? peers : undefined);
  }
  const optional = Object.keys(peers).map((peer) => [peer, { optional: true }]);
  assert.deepEqual(manifestOf('guard')['peerDependenciesMeta'], Object.fromEntries(optional));
});

test('the lints of packages find nothing', async () => {
  for (const tarball of project.tarballs) {
    const { buffer, byteOffset, byteLength } = readFileSync(tarball);
    const { messages, pkg } = await publint({
      pack: { tarball: buffer.slice(byteOffset, byteOffset + byteLength) },
      strict: true,
    });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg ?? {})),
      [],
    );
  }
});

test('the types are those of the code in every way of resolving them that knows ES modules', async () => {
  for (const tarball of project.tarballs) {
    const analysis = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
    assert.ok(analysis.types !== false, 'there are types');
    const entryPoints = Object.values(analysis.entrypoints);
    assert.ok(entryPoints.length > 1 || tarball.includes('protocol'), tarball);
    // ES modules alone, on purpose: before TypeScript 5.8 `require` of them was refused, before 4.7 nothing was found.
    const odd = analysis.problems.filter(
      ({ kind, ...where }) =>
        !(kind === 'CJSResolvesToESM' || ('resolutionKind' in where && where.resolutionKind === 'node10')),
    );
    assert.deepEqual(odd, []);
  }
});

test('every entry is imported, and required where a project is CommonJS, on this Node and on the oldest', () => {
  const look = (load: string) =>
    `for (const name of ${JSON.stringify(specifiers)}) if (Object.keys(${load}(name)).length === 0) throw name;`;
  project.write('look.mjs', look('await import'));
  project.write('look.cjs', look('require'));
  assert.match(run(node22, ['--version'], project.folder), /^v22\.13\./);
  for (const program of [process.execPath, node22]) {
    for (const file of ['look.mjs', 'look.cjs']) run(program, [file], project.folder);
  }
  const place = "console.log(import.meta.resolve('@auth-service/guard'))";
  const loaded = run(process.execPath, ['--input-type=module', '-e', place], project.folder);
  assert.ok(loaded.includes('/dist/index.js') && !loaded.includes(root), loaded);
});

test('the published types say what is on a request, and refuse what is not', () => {
  for (const name of ['service', 'shop']) {
    const text = readFileSync(join(import.meta.dirname, 'consumers', `${name}.ts`), 'utf8');
    for (const ending of ['ts', 'mts', 'cts']) project.write(`${name}.${ending}`, text);
  }
  const strict = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, target: 'es2024', types: ['node'] };
  const bothKinds = ['service.mts', 'service.cts', 'shop.mts', 'shop.cts'];
  const page = { types: [], lib: ['es2024', 'dom', 'dom.iterable'], module: 'esnext', moduleResolution: 'bundler' };
  const configs = {
    both: [bothKinds, { module: 'nodenext', skipLibCheck: false }],
    // The older compiler takes six seconds for the types of the frameworks alone.
    bothLightly: [bothKinds, { module: 'nodenext', skipLibCheck: true }],
    node16: [['service.mts', 'shop.mts'], { module: 'node16', skipLibCheck: true }],
    bundler: [['service.ts', 'shop.ts'], { module: 'esnext', moduleResolution: 'bundler', skipLibCheck: true }],
    page: [['shop.ts'], { ...page, skipLibCheck: false }],
  } as const;
  const compile = (compiler: string, name: keyof typeof configs): void => {
    const [files, options] = configs[name];
    project.write(`tsconfig.${name}.json`, JSON.stringify({ compilerOptions: { ...strict, ...options }, files }));
    run(process.execPath, [join(root, compiler), '-p', `tsconfig.${name}.json`], project.folder);
  };
  const newest = 'node_modules/typescript/bin/tsc';
  const older = 'tools/node_modules/typescript/bin/tsc';
  assert.match(run(process.execPath, [join(root, older), '--version'], root), /^Version 5\./);
  for (const name of ['both', 'node16', 'bundler', 'page'] as const) compile(newest, name);
  compile(older, 'bothLightly');
});

const suite = (files: readonly string[], ...options: readonly string[]): number => {
  const args = ['--experimental-strip-types', '--no-warnings', '--test', '--test-reporter=tap', ...options, ...files];
  const output = run(node22, args, project.folder);
  assert.match(output, /^# fail 0$/m);
  return Number(/^# pass (\d+)$/m.exec(output)?.[1]);
};

test('TOK-14, TOK-15 the suite of the doors passes on the tarballs, on the oldest Node', () => {
  const support = ['forge', 'guard', 'hostile-tokens'].map((name) => `support/${name}.ts`);
  project.copyTests(['guard/doors.ts', 'guard/doors.test.ts', ...support]);
  const passed = suite(['tests/guard/doors.test.ts']);
  assert.ok(passed >= 90, `${passed}`);
});

test('a guard follows the revocations of a service on the oldest Node', () => {
  project.copyTests(['packages/follow.ts', 'guard/fake-service.ts', 'support/forge.ts']);
  const said = run(node22, ['--experimental-strip-types', '--no-warnings', 'tests/packages/follow.ts'], project.folder);
  assert.equal(said, '200 018f0000-0000-7000-8000-000000000001 401 token_revoked\n');
});

test('the suite of the client passes on its tarball, on the oldest Node', () => {
  const sources = join(root, 'packages/client/src');
  // Of the README the workspace's own run is enough.
  const files = globSync('{*.test,testing}.ts', { cwd: sources }).filter((file) => file !== 'readme.test.ts');
  for (const file of files) {
    const text = readFileSync(join(sources, file), 'utf8')
      .replaceAll("'./index.ts'", "'@auth-service/client'")
      .replaceAll("'./passkeys.ts'", "'@auth-service/client/passkeys'");
    assert.doesNotMatch(text, /'\.\/(?!testing\.ts)/, `${file} looks behind the entries`);
    project.write(file, text);
  }
  // It has no Web Locks: clients in one process do not take turns there, as in a browser without them.
  const tests = files.filter((file) => file !== 'testing.ts');
  const passed = suite(tests, '--test-skip-pattern=/eight tabs/');
  assert.ok(passed >= 50, `${passed}`);
});
