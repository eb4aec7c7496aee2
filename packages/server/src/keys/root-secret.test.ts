import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemRandom } from '../platform/random/index.ts';
import { createRootSecret } from './index.ts';

const rootOf = (current: string, previous?: string) => createRootSecret({ current, previous, random: systemRandom });
const one = 'one-root-secret-of-the-tests-7f3a9c5e1d';
const two = 'two-root-secret-of-the-tests-0b8d2e4f6a';

describe('the root secret', () => {
  test('MFA-09 equal texts are sealed differently, and a sealed text does not open in another place', () => {
    const root = rootOf(one);
    const text = Buffer.from('a secret');
    const sealed = root.seal('mfa-secrets', 'user-1', text);
    assert.notDeepEqual(sealed, root.seal('mfa-secrets', 'user-1', text));
    assert.deepEqual(root.open('mfa-secrets', 'user-1', sealed)?.plain, text);
    assert.equal(root.open('mfa-secrets', 'user-2', sealed), undefined);
    assert.equal(root.open('signing-keys', 'user-1', sealed), undefined);
  });

  test('a flipped bit, a cut and an empty text do not open', () => {
    const root = rootOf(one);
    const sealed = root.seal('mfa-secrets', 'c', Buffer.from('x'));
    for (let at = 0; at < sealed.length; at += 1) {
      const flipped = Buffer.from(sealed);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      assert.equal(root.open('mfa-secrets', 'c', flipped), undefined);
      assert.equal(root.open('mfa-secrets', 'c', sealed.subarray(0, at)), undefined);
    }
  });

  test('KEY-07 what the previous secret sealed opens and is told apart; what only another sealed does not open', () => {
    const sealed = rootOf(one).seal('mfa-secrets', 'c', Buffer.from('x'));
    assert.equal(rootOf(two, one).open('mfa-secrets', 'c', sealed)?.current, false);
    assert.equal(rootOf(one).open('mfa-secrets', 'c', sealed)?.current, true);
    assert.equal(rootOf(two).open('mfa-secrets', 'c', sealed), undefined);
  });

  test('KEY-06 a MAC of one purpose is none of another, and parts cannot be shifted', () => {
    const root = rootOf(one);
    const mac = root.mac('positions', 'ab', 'c');
    assert.ok(root.macMatches('positions', mac, 'ab', 'c'));
    assert.ok(!root.macMatches('refresh-tokens', mac, 'ab', 'c'));
    assert.ok(!root.macMatches('positions', mac, 'a', 'bc'));
  });
});
