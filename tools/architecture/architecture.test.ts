import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readImports } from './imports.ts';
import { inspect } from './rules.ts';

const at = 'packages/server/src/';

/** A small server in which nothing is wrong. */
const sound: Readonly<Record<string, string>> = {
  'packages/protocol/src/index.ts': `export const words = 1;\n`,
  'packages/guard/src/index.ts': `import { words } from '@auth-service/protocol';\nexport { words };\n`,
  [`${at}platform/database/index.ts`]: `export const statement = 1;\n`,
  [`${at}platform/http/index.ts`]: `export const route = 1;\n`,
  [`${at}keys/index.ts`]: `export { keys } from './keys.ts';\n`,
  [`${at}keys/keys.ts`]: `import { find } from './keys.sql.ts';\nexport const keys = find;\n`,
  [`${at}keys/keys.sql.ts`]: `import { statement } from '../platform/database/index.ts';\nexport const find = statement;\n`,
  [`${at}login/index.ts`]: `export { login } from './login.ts';\n`,
  [`${at}login/login.ts`]: `import { keys } from '../keys/index.ts';\nimport { decide } from './login.rule.ts';\nexport const login = [keys, decide];\n`,
  [`${at}login/login.rule.ts`]: `import type { keys } from '../keys/index.ts';\nexport const decide = (k: typeof keys) => k;\n`,
  [`${at}login/login.route.ts`]: `import { route } from '../platform/http/index.ts';\nimport { login } from './login.ts';\nexport const r = [route, login];\n`,
  [`${at}rate-limit/index.ts`]: `export const limit = 1;\n`,
  [`${at}rate-limit/rate-limit.local.ts`]: `export const local = 1;\n`,
  [`${at}cluster/index.ts`]: `import { statement } from '../platform/database/index.ts';\nexport const cluster = statement;\n`,
  [`${at}routes.ts`]: `import { r } from './login/login.route.ts';\nexport const routes = [r];\n`,
  [`${at}service.ts`]: `import { local } from './rate-limit/rate-limit.local.ts';\nimport { routes } from './routes.ts';\nexport const service = [local, routes];\n`,
  [`${at}main.ts`]: `import { service } from './service.ts';\nconsole.log(service, process.argv);\n`,
};

const inspectWith = (planted: Readonly<Record<string, string>>): readonly string[] =>
  inspect(new Map(Object.entries({ ...sound, ...planted }))).problems;

describe('the architecture check', () => {
  test('finds nothing in a sound house, and has seen every file, import and room of it', () => {
    const findings = inspect(new Map(Object.entries(sound)));
    assert.deepEqual(findings.problems, []);
    assert.equal(findings.files, Object.keys(sound).length);
    assert.equal(findings.imports, 15);
    assert.equal(findings.rooms.get('login'), 4);
    assert.equal(findings.rooms.get('platform/database'), 1);
  });

  const planted: readonly (readonly [title: string, file: string, source: string, problem: RegExp])[] = [
    [
      'a room that enters one to its right',
      'keys/a.ts',
      `import { login } from '../login/index.ts';`,
      /stands to the left/,
    ],
    ['the same by a type alone', 'keys/a.ts', `import type { login } from '../login/index.ts';`, /stands to the left/],
    [
      'the same over several lines',
      'keys/a.ts',
      `import {\n  login,\n} from '../login/index.ts';`,
      /stands to the left/,
    ],
    ['the same when it is re-exported', 'keys/a.ts', `export * from '../login/index.ts';`, /stands to the left/],
    [
      'the same when it is loaded late',
      'keys/a.ts',
      `const l = await import('../login/index.ts');`,
      /stands to the left/,
    ],
    [
      'a room entered past its front door',
      'login/a.ts',
      `import { keys } from '../keys/keys.ts';`,
      /entered by its index/,
    ],
    [
      'platform entered past its front door',
      'login/a.ts',
      `import '../platform/http/inside.ts';`,
      /entered by its index/,
    ],
    ['platform that enters a room', 'platform/http/a.ts', `import { keys } from '../../keys/index.ts';`, /to the left/],
    [
      'a route that imports statements',
      'keys/a.route.ts',
      `import { find } from './keys.sql.ts';`,
      /never imports statements/,
    ],
    ['a route imported by a use case', 'login/a.ts', `import { r } from './login.route.ts';`, /only routes\.ts/],
    ['a rule that imports a use case', 'login/a.rule.ts', `import { login } from './login.ts';`, /rule imports types/],
    ['a rule that reads files', 'login/a.rule.ts', `import { readFileSync } from 'node:fs';`, /values in, value out/],
    ['statements that import a use case', 'login/a.sql.ts', `import { login } from './login.ts';`, /statements import/],
    [
      'an adapter imported by a room',
      'login/a.ts',
      `import '../rate-limit/rate-limit.local.ts';`,
      /only the composition root/,
    ],
    [
      'a room that imports the settings',
      'login/a.ts',
      `import { settings } from '../settings.ts';`,
      /is handed what it needs/,
    ],
    [
      'a room that imports cluster',
      'revocation/a.ts',
      `import { cluster } from '../cluster/index.ts';`,
      /cluster imports platform/,
    ],
    [
      'cluster that imports a room',
      'cluster/a.ts',
      `import { keys } from '../keys/index.ts';`,
      /cluster imports platform/,
    ],
    ['code that imports a test', 'login/a.ts', `import { x } from './login.test.ts';`, /does not import tests/],
    [
      'code that leaves its package',
      'login/a.ts',
      `import { x } from '../../../guard/src/index.ts';`,
      /leaves the package/,
    ],
    ['a package entered by its files', 'login/a.ts', `import '@auth-service/guard/src/a.ts';`, /by its exports/],
    ['a room that reads the environment', 'login/a.ts', `export const port = process.env['PORT'];`, /touch process/],
    ['a room that reads the clock', 'login/a.ts', `export const now = Date.now();`, /clock is a parameter/],
    ['a room that makes randomness', 'login/a.ts', `export const id = randomUUID();`, /randomness is a parameter/],
    ['KEY-09 randomness that can be guessed', 'platform/http/a.ts', `export const r = Math.random();`, /node:crypto/],
    [
      'an import in a form it cannot read',
      'login/a.ts',
      `import { keys } from "../keys/index.ts";`,
      /could not be read/,
    ],
    ['a room that nobody put in the order', 'billing/index.ts', `export const bill = 1;`, /no place in the order/],
    ['a room without a front door', 'tokens/a.ts', `export const token = 1;`, /no front door/],
  ];
  for (const [title, file, source, problem] of planted) {
    test(`catches ${title}`, () => {
      const found = inspectWith({ [`${at}${file}`]: `${source}\n` }).filter(
        (line) => !/no front door/.test(line) || problem.test(line),
      );
      assert.ok(
        found.some((line) => problem.test(line)),
        `nothing was found but: ${found.join('\n')}`,
      );
    });
  }

  test('catches packages that import against the direction', () => {
    const guard = inspectWith({ 'packages/guard/src/a.ts': `import { x } from '@auth-service/server';\n` });
    assert.match(guard.join(), /guard may not import server/);
    const client = inspectWith({ 'packages/client/src/a.ts': `import { x } from '@auth-service/guard';\n` });
    assert.match(client.join(), /client may not import guard/);
    const protocol = inspectWith({ 'packages/protocol/src/a.ts': `import { readFileSync } from 'node:fs';\n` });
    assert.match(protocol.join(), /nothing of Node/);
  });

  test('catches rooms of one group that import each other', () => {
    const problems = inspectWith({
      [`${at}access/index.ts`]: `import { a } from '../accounts/index.ts';\n`,
      [`${at}accounts/index.ts`]: `import { b } from '../revocation/index.ts';\n`,
      [`${at}revocation/index.ts`]: `import { c } from '../access/index.ts';\n`,
    });
    assert.match(problems.join(), /rooms import each other: access → accounts → revocation → access/);
  });

  test('lets tests enter any room, and shared test support', () => {
    const source = `import { keys } from '../keys/keys.ts';\nimport { x } from '../../../../tests/support/stores.ts';\n`;
    assert.deepEqual(inspectWith({ [`${at}login/login.test.ts`]: source }), []);
  });
});

describe('the reader of imports', () => {
  test('tells apart what stays at run time and what does not', () => {
    const { imports, unread } = readImports(
      [
        `import type { A } from './a.ts';`,
        `import { type B, c } from './b.ts';`,
        `import { type D, type E } from './d.ts';`,
        `import * as f from './f.ts';`,
        `export type { G } from './g.ts';`,
        `export * from './h.ts';`,
        `import './i.ts';`,
        `const j = new Worker(new URL('./j.worker.ts', import.meta.url));`,
        `// import { k } from './k.ts';`,
        `const text = 'select x from y';`,
      ].join('\n'),
    );
    assert.deepEqual(
      imports.map(({ specifier, typeOnly }) => `${specifier} ${typeOnly ? 'type' : 'value'}`).toSorted(),
      [
        './a.ts type',
        './b.ts value',
        './d.ts type',
        './f.ts value',
        './g.ts type',
        './h.ts value',
        './i.ts value',
        './j.worker.ts value',
      ],
    );
    assert.deepEqual(unread, []);
  });
});
