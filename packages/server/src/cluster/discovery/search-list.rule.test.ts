import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fullNamesOf } from './search-list.rule.ts';

const pod = 'search ns.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n';

test('a name with few dots is searched for first, one with many is taken as it stands first', () => {
  assert.deepEqual(fullNamesOf('auth', pod), [
    ...['auth.ns.svc.cluster.local', 'auth.svc.cluster.local', 'auth.cluster.local', 'auth'],
  ]);
  assert.equal(fullNamesOf('a.b.c.d.e.f', pod)[0], 'a.b.c.d.e.f');
  assert.deepEqual(fullNamesOf('auth.example.com', 'search lan'), ['auth.example.com', 'auth.example.com.lan']);
  assert.deepEqual(fullNamesOf('auth.example.com.', pod), ['auth.example.com']);
  assert.deepEqual(fullNamesOf('auth', ''), ['auth']);
});

test('of several lines the last one counts, domains are bounded, and comments are none', () => {
  const file = 'search a.test\n# search c.test\nsearch b.test. bad/name\noptions rotate ndots:2 ndots:1 edns0\n';
  assert.deepEqual(fullNamesOf('auth', file), ['auth.b.test', 'auth']);
  const many = `search ${Array.from({ length: 50 }, (_, index) => `d${index}.test`).join(' ')}`;
  assert.equal(fullNamesOf('auth', many).length, 7);
});

test('no file makes it throw, or answer no name or one that is too long', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z.]{1,253}$/), fc.string(), (name, file) => {
      const names = fullNamesOf(name, `search ${file}\noptions ${file}`);
      assert.ok(names.length >= 1 && names.length <= 7);
      assert.ok(names.every((full) => full.length <= 253));
    }),
  );
});
