/** Key sets from elsewhere: only what is unambiguously a public key of ours for signatures is taken. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { createForge } from '../../../tests/support/forge.ts';
import { createTestGuard } from '../../../tests/support/guard.ts';
import { readJwk, readJwks } from './jwk.ts';
import { isRocaModulus } from './roca.ts';

const place = { issuer: 'https://auth.example', audience: 'auth-service' };
const forges = (['EdDSA', 'ES256', 'RS256'] as const).map((algorithm) => createForge({ ...place, algorithm }));
const served = forges.map(({ publicKey, kid, algorithm }) => ({
  ...publicKey.export({ format: 'jwk' }),
  kid,
  alg: algorithm,
  use: 'sig',
}));
const [okp = {}, ec = {}, rsa = {}] = served;

describe('a key set read from JSON', () => {
  test('verifies what the served keys sign, for each algorithm', () => {
    const keys = readJwks({ keys: served }) ?? [];
    assert.equal(keys.length, 3);
    for (const forge of forges) {
      const guard = createTestGuard(forge);
      guard.keys.replace(keys);
      assert.equal(guard.verifier.verify(forge.token()).kind, 'valid');
    }
  });

  test('TOK-05 a key for another purpose, algorithm or curve, or without a name, is left out', () => {
    const { alg: _, ...withoutAlgorithm } = okp as { alg?: string };
    const { kid: __, ...withoutName } = okp as { kid?: string };
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' });
    const small = generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey.export({ format: 'jwk' });
    const wrong: readonly Readonly<Record<string, unknown>>[] = [
      withoutAlgorithm,
      withoutName,
      { ...okp, use: 'enc' },
      { ...okp, use: '' },
      { ...okp, key_ops: ['sign'] },
      { ...okp, key_ops: 'verify' },
      { ...okp, alg: 'HS256' },
      { ...okp, alg: 'none' },
      { ...okp, alg: 'ES256' },
      { ...okp, alg: 'toString' },
      { ...okp, crv: 'Ed448' },
      { ...okp, x: 'AA' },
      { ...okp, kid: 7 },
      { ...ec, alg: 'RS256' },
      { ...ec, x: (ec as { y?: string }).y },
      { ...p384, kid: 'k', alg: 'ES256', use: 'sig' },
      { ...small, kid: 'k', alg: 'RS256', use: 'sig' },
      { ...rsa, e: 'AQ' },
      { ...rsa, e: 'Aw' },
      { ...rsa, alg: 'PS256' },
      {},
    ];
    for (const jwk of wrong) {
      assert.equal(readJwk(jwk), undefined, JSON.stringify(jwk));
      assert.deepEqual(
        readJwks({ keys: [jwk, { ...ec, kid: 'other' }] })?.map((key) => key.algorithm),
        ['ES256'],
      );
    }
    assert.equal(readJwk({ ...okp, key_ops: ['verify'] })?.algorithm, 'EdDSA');
  });

  test('TOK-05 a set that names a key twice, holds a shared secret or is no set is refused as a whole', () => {
    const secret = { kty: 'oct', kid: 'secret', alg: 'HS256', k: 'AAAA' };
    for (const set of [{ keys: [okp, { ...ec, kid: (okp as { kid?: string }).kid }] }, { keys: [okp, secret] }]) {
      assert.equal(readJwks(set), undefined);
    }
    for (const set of [undefined, null, 7, 'keys', [], {}, { keys: {} }, { keys: [7] }, { keys: [null] }]) {
      assert.equal(readJwks(set), undefined);
    }
  });

  test('a private key is taken as its public half', () => {
    const jwk = { ...forges[0]?.privateKey.export({ format: 'jwk' }), kid: 'k', alg: 'EdDSA' };
    assert.equal(readJwk(jwk)?.publicKey.type, 'public');
  });
});

test('a modulus of the broken generator is known by its residues, others are not', () => {
  const primes = [3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n, 41n, 43n, 47n, 53n, 59n, 61n, 67n, 71n, 73n, 79n];
  const more = [83n, 89n, 97n, 101n, 103n, 107n, 109n, 113n, 127n, 131n, 137n, 139n, 149n, 151n, 157n, 163n, 167n];
  const primorial = [...primes, ...more].reduce((product, prime) => product * prime, 1n);
  assert.equal(isRocaModulus(primorial * 12_345_678_901n + 65_537n ** 77n), true);
  assert.equal(isRocaModulus(primorial * 12_345_678_901n + 65_537n ** 77n + 1n), false);
  const { n = '' } = forges[2]?.publicKey.export({ format: 'jwk' }) ?? {};
  assert.equal(isRocaModulus(BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)), false);
});
