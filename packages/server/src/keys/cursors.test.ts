import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemRandom } from '../platform/random/index.ts';
import { createCursors } from './cursors.ts';
import { createRootSecret } from './root-secret.ts';

const rootOf = (current: string, previous?: string) =>
  createCursors(createRootSecret({ current, previous, random: systemRandom }));
const secret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
const cursors = rootOf(secret);

test('INP-06 DOS-06 a cursor brings back its place, for its list and its filters alone', () => {
  const place = [1, 'ünïcode', '019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88'];
  const text = cursors.write('users', { search: 'a' }, place);
  assert.deepEqual(cursors.read('users', { search: 'a' }, text), place);
  assert.equal(cursors.read('roles', { search: 'a' }, text), undefined);
  assert.equal(cursors.read('users', { search: 'b' }, text), undefined);
  assert.equal(cursors.read('users', {}, text), undefined);
});

test('INP-06 DOS-06 a cursor with any character changed, cut, added or made up is none', () => {
  const text = cursors.write('users', {}, ['019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88']);
  for (let at = 0; at < text.length; at += 1) {
    const other = text[at] === 'A' ? 'B' : 'A';
    assert.equal(cursors.read('users', {}, text.slice(0, at) + other + text.slice(at + 1)), undefined);
    assert.equal(cursors.read('users', {}, text.slice(0, at)), undefined);
  }
  for (const more of ['=', 'A', ' ', '\n', '\u0000']) assert.equal(cursors.read('users', {}, text + more), undefined);
  const made = fc.oneof(fc.string({ unit: 'binary' }), fc.base64String(), fc.constantFrom('', "' or 1=1 --", 'null'));
  fc.assert(fc.property(made, (forged) => cursors.read('users', {}, forged) === undefined));
});

test('a cursor lives through the rotation of the root secret, and dies with the secret', () => {
  const text = cursors.write('users', {}, ['x']);
  assert.deepEqual(rootOf(`another-${secret}`, secret).read('users', {}, text), ['x']);
  assert.equal(rootOf(`another-${secret}`).read('users', {}, text), undefined);
});
