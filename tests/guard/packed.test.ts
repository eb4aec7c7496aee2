/** The packages as a stranger gets them: tarballs, installed into a bare project, typed, and run through the suite of the doors. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'auth-packed-'));
/** The application's own, not brought along by guard. */
const frameworks = [
  ...['express', 'fastify', 'hono', '@hono/node-server', 'reflect-metadata', 'rxjs'],
  ...['common', 'core', 'platform-express', 'platform-fastify'].map((name) => `@nestjs/${name}`),
  ...['node', 'express'].map((name) => `@types/${name}`),
];

function run(program: string, args: readonly string[], cwd = project): string {
  // What the runner tells its children about itself is not for a runner inside of one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', env });
  assert.equal(status, 0, `${program} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

before(() => {
  const tarballs = join(project, 'tarballs');
  run(process.execPath, [join(root, 'tools/pack.ts'), tarballs], root);
  writeFileSync(join(project, 'package.json'), '{"name":"orders","private":true,"type":"module"}');
  const files = globSync('*.tgz', { cwd: tarballs }).map((file) => join(tarballs, file));
  assert.equal(files.length, 3);
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', '--legacy-peer-deps', ...files]);
  for (const name of frameworks) {
    const link = join(project, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
});
after(() => rmSync(project, { recursive: true, force: true }));

test('the tarballs hold what runs and its types: no sources, no tests, no dependency but the protocol', () => {
  const folder = join(project, 'node_modules/@auth-service/guard');
  const files = globSync('**/*', { cwd: folder, exclude: ['node_modules'] });
  const odd = files.filter((file) => /\.test\.|(?<!\.d)\.ts$/.test(file));
  assert.deepEqual(odd, []);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, object>;
  assert.deepEqual(manifest['dependencies'], { '@auth-service/protocol': '0.1.0' });
  assert.equal(manifest['scripts'], undefined);
  for (const door of ['fastify', 'express', 'hono', 'nest', 'node', 'web']) {
    assert.ok(files.includes(`dist/doors/${door}.js`) && files.includes(`dist/doors/${door}.d.ts`), door);
  }
});

test('every door is imported, and required where a project is CommonJS', () => {
  const names = ['', '/fastify', '/express', '/hono', '/nest', '/node', '/web'].map(
    (door) => `@auth-service/guard${door}`,
  );
  const look = (load: string) =>
    `for (const name of ${JSON.stringify(names)}) { const m = ${load}(name); if (!(m.createDoor ?? m.createGuard)) throw name; }`;
  writeFileSync(join(project, 'look.mjs'), look('await import'));
  writeFileSync(join(project, 'look.cjs'), look('require'));
  run(process.execPath, ['look.mjs']);
  run(process.execPath, ['look.cjs']);
});

test('the published types say what is on a request, and refuse what is not', () => {
  writeFileSync(
    join(project, 'typed.ts'),
    `import { bounded, createGuard } from '@auth-service/guard';
import { createDoor as forExpress } from '@auth-service/guard/express';
import { createDoor as forFastify } from '@auth-service/guard/fastify';
import { createDoor as forHono } from '@auth-service/guard/hono';
import { createDoor as forNode } from '@auth-service/guard/node';
import { createDoor as forWeb } from '@auth-service/guard/web';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';

const guard = createGuard({ issuer: 'https://auth.example.org', audience: 'orders', apiKey: 'ask_x' });
export const GET = forWeb(guard).requireAuth()((request) => Response.json(request.auth.userId.length));
// @ts-expect-error strangers have no id
export const open = forWeb(guard).optionalAuth()((request) => Response.json(request.auth.userId));
export const listener = forNode(guard).requireFresh({ maxAge: 60 })((request, response) => response.end(request.auth.userId));
express().get('/', forExpress(guard).requireRole('clerk'), (request, response) => {
  const id: string | undefined = request.auth?.userId;
  response.send(id);
});
Fastify().get('/', { onRequest: forFastify(guard).requirePermission('orders:read') }, async (request) => request.auth?.permissions);
new Hono().get('/', forHono(guard).requireAuth({ freshness: bounded(2) }), (c) => c.text(c.var.auth.userId));
// @ts-expect-error neither age nor strength
forNode(guard).requireFresh({});
// @ts-expect-error there is no such requirement
forNode(guard).requireAuth({ role: 'clerk' });
`,
  );
  const tsconfig = {
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
    },
  };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ ...tsconfig, include: ['typed.ts'] }));
  run(join(root, 'node_modules/.bin/tsc'), ['-p', '.']);
});

test('TOK-14, TOK-15 the suite of the doors passes on the tarballs', () => {
  for (const file of [
    'guard/doors.ts',
    'guard/doors.test.ts',
    'support/forge.ts',
    'support/guard.ts',
    'support/hostile-tokens.ts',
  ]) {
    cpSync(join(root, 'tests', file), join(project, 'tests', file));
  }
  const output = run(process.execPath, ['--test', '--test-reporter=tap', 'tests/guard/doors.test.ts']);
  assert.match(output, /^# fail 0$/m);
  assert.ok(Number(/^# pass (\d+)$/m.exec(output)?.[1]) >= 90, output.slice(-500));
  const loaded = run(process.execPath, [
    '-e',
    "console.log(import.meta.resolve('@auth-service/guard'))",
    '--input-type=module',
  ]);
  assert.ok(loaded.includes('/dist/index.js') && !loaded.includes(root), loaded);
});
