import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { coveredIds } from './covered-ids.ts';
import { commitProblems, linkProblems, textProblems } from './hygiene.ts';
import { lockfileProblems, testLockfileProblems } from './lockfile.ts';

const integrity = `sha512-${'A'.repeat(86)}==`;
const sound = { version: '1.2.3', integrity };

describe('the lockfile check', () => {
  test('SUP-01 accepts what comes from the registry with a hash, and has a reason', () => {
    const packages = { '': { dependencies: { pg: '^8.1.0' } }, 'node_modules/pg': sound };
    assert.deepEqual(lockfileProblems(packages, '| `pg` | reason |'), []);
  });

  const planted: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    [
      'a source that is written down',
      { ...sound, resolved: 'https://registry.example/pg.tgz' },
      /source is written down/,
    ],
    ['a git dependency', { version: '1.0.0', resolved: 'git+ssh://host/pg.git#abc' }, /source is written down/],
    ['a package without a hash', { version: '1.2.3' }, /no sha512/],
    ['a weak hash', { version: '1.2.3', integrity: 'sha1-abc=' }, /no sha512/],
    ['an install script', { ...sound, hasInstallScript: true }, /install script/],
  ];
  for (const [title, locked, problem] of planted) {
    test(`SUP-01 catches ${title}`, () => {
      assert.match(lockfileProblems({ 'node_modules/pg': locked }, '').join(), problem);
      const ofTest = testLockfileProblems('tests/a/package-lock.json', { 'node_modules/pg': locked }).join();
      if (!('hasInstallScript' in locked)) assert.match(ofTest, problem);
    });
  }

  test('SUP-01 catches a dependency on a url, and one without a reason', () => {
    const problems = lockfileProblems({ 'packages/server': { dependencies: { pg: 'github:a/b' } } }, '').join();
    assert.match(problems, /asked for as github/);
    assert.match(problems, /no reason for pg/);
  });
});

describe('the tidy check', () => {
  const planted: readonly (readonly [string, string, string, RegExp])[] = [
    ['a path of one machine', 'docs/a.md', `see /ho${''}me/me/notes\n`, /path of one machine/],
    ['a note to self', 'docs/a.md', `TO${''}DO later\n`, /note to self/],
    ['SUP-05 a private key', 'docs/a.md', `-----BEGIN PRIVATE KE${''}Y-----\n`, /a private key/],
    ['a missing head comment', 'packages/a/src/a.ts', 'export const a = 1;\n', /head comment/],
    ['a file that has grown too long', 'packages/a/src/a.ts', `// a\n${'a;\n'.repeat(500)}`, /at most/],
    ['a test that hides the others', 'tests/a.test.ts', `test.on${''}ly('a');\n`, /would not run/],
    ['a test that is skipped silently', 'tests/a.test.ts', `test.sk${''}ip('a');\n`, /gives its reason/],
  ];
  for (const [title, path, source, problem] of planted) {
    test(`catches ${title}`, () => assert.match(textProblems(path, source).join(), problem));
  }

  test('SUP-05 catches a private key in any file', () => {
    assert.match(textProblems('a.json', `-----BEGIN EC PRIVATE KE${''}Y-----\n`).join(), /a private key/);
  });

  test('catches a link to nothing, and follows those that hold', () => {
    const exists = (path: string): boolean => path === 'docs/b.md';
    const source = '[a](b.md) [b](./b.md#part) [c](https://example.org/) [d](#here) [e](c.md)\n';
    assert.deepEqual(linkProblems('docs/a.md', source, exists), ['docs/a.md:1: nothing is at c.md']);
  });

  test('wants commits that say kind, room and what', () => {
    assert.deepEqual(commitProblems('abc', 'feat(guard): hold the replica\n\nBecause.\n'), []);
    assert.deepEqual(commitProblems('abc', 'fix!: no scope is fine\n'), []);
    assert.match(commitProblems('abc', 'stuff\n').join(), /is not "kind/);
    assert.match(commitProblems('abc', 'fix: a\nb\n').join(), /no empty line/);
  });
});

describe('the table of covered ids', () => {
  test('reads ids from titles, several of one title too', () => {
    const source = `test('TOK${'-'}06 a canonical form', f);\ntest("RAT${'-'}03, RAT-04: addresses", f);\ntest('a TOK-07 in the middle', f);\n`;
    assert.deepEqual(coveredIds('a.test.ts', source), [
      { id: 'TOK-06', title: 'a canonical form', file: 'a.test.ts' },
      { id: 'RAT-03', title: 'addresses', file: 'a.test.ts' },
      { id: 'RAT-04', title: 'addresses', file: 'a.test.ts' },
    ]);
  });
});
