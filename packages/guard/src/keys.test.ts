/** The key set: names are opaque, a key has one algorithm, and nothing weak or private gets in. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, test } from 'node:test';
import type { SigningAlgorithm } from '@auth-service/protocol';
import { createKeySet, type VerificationKey } from './index.ts';

const ed25519 = generateKeyPairSync('ed25519');
const key = (kid: string, publicKey: KeyObject = ed25519.publicKey, algorithm: SigningAlgorithm = 'EdDSA') =>
  ({ kid, algorithm, publicKey }) satisfies VerificationKey;

describe('the key set', () => {
  test('TOK-04 names that mean something to JavaScript name nothing', () => {
    const keys = createKeySet();
    keys.replace([key('k')]);
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', 'K', 'k ']) {
      assert.equal(keys.find(name), undefined);
    }
    keys.replace([key('__proto__')]);
    assert.equal(keys.find('__proto__')?.algorithm, 'EdDSA');
    assert.equal(keys.find('k'), undefined);
  });

  test('TOK-05 a key that does not fit its one algorithm, or is weak, private or named twice, is refused and changes nothing', () => {
    const keys = createKeySet();
    keys.replace([key('good')]);
    const version = keys.version();
    const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey;
    const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).publicKey;
    const wrong: readonly VerificationKey[] = [
      key('k', ed25519.publicKey, 'ES256'),
      key('k', ed25519.publicKey, 'RS256'),
      key('k', ed25519.publicKey, 'HS256' as SigningAlgorithm),
      key('k', ed25519.publicKey, 'none' as SigningAlgorithm),
      key('k', generateKeyPairSync('ed448').publicKey),
      key('k', generateKeyPairSync('x25519').publicKey),
      key('k', ec('P-384'), 'ES256'),
      key('k', ec('secp256k1'), 'ES256'),
      key('k', ec('P-256'), 'EdDSA'),
      key('k', rsa(1_024), 'RS256'),
      key('k', generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }).publicKey, 'RS256'),
      key('k', ed25519.privateKey),
      key(''),
      key('k'.repeat(257)),
    ];
    for (const one of wrong) assert.throws(() => keys.replace([key('good'), one]), TypeError, one.algorithm);
    assert.throws(() => keys.replace([key('k'), key('k')]), TypeError);
    assert.throws(() => keys.replace(Array.from({ length: 1_001 }, (_, at) => key(`k${at}`))), TypeError);
    assert.equal(keys.version(), version);
    assert.notEqual(keys.find('good'), undefined);
  });

  test('the same keys read again are the same objects, and no change', () => {
    const keys = createKeySet();
    keys.replace([key('a'), key('b')]);
    const [found, version] = [keys.find('a'), keys.version()];
    const again = createPublicKey(ed25519.publicKey.export({ type: 'spki', format: 'pem' }));
    keys.replace([key('b', again), key('a', again)]);
    assert.equal(keys.find('a'), found);
    assert.equal(keys.version(), version);
    keys.replace([key('a', again)]);
    assert.equal(keys.find('a'), found);
    assert.notEqual(keys.version(), version);
    keys.replace([key('a', generateKeyPairSync('ed25519').publicKey)]);
    assert.notEqual(keys.find('a'), found);
  });
});
