/** Signing and checking against an independent implementation, and the strictness of the form. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import type { SigningAlgorithm } from '@auth-service/protocol';
import fc from 'fast-check';
import { compactVerify, importPKCS8, importSPKI, jwtVerify, SignJWT } from 'jose';
import { createForge, makePrivateKey, signAs } from '../../../tests/support/forge.ts';
import { createTestGuard } from '../../../tests/support/guard.ts';
import { readCompact, verifyCompact } from './compact.ts';
import { signCompact } from './index.ts';
import { readJsonObject } from './json.ts';

const place = { issuer: 'https://auth.example', audience: 'auth-service' };

for (const algorithm of ['EdDSA', 'ES256', 'RS256'] as const satisfies readonly SigningAlgorithm[]) {
  describe(`${algorithm} against jose`, () => {
    const forge = createForge({ ...place, algorithm });
    const pkcs8 = forge.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const spki = forge.publicKey.export({ type: 'spki', format: 'pem' }).toString();

    test('what we sign, jose verifies', async () => {
      const claims = forge.claims({ roles: ['rôle', '役割', '😀'] });
      const token = signCompact(forge.header(), claims, forge.privateKey, algorithm);
      const verified = await jwtVerify(token, await importSPKI(spki, algorithm), { ...place, typ: 'at+jwt' });
      assert.deepEqual(verified.payload, { ...claims });
    });

    test('what jose signs, we verify', async () => {
      const claims = forge.claims();
      const key = await importPKCS8(pkcs8, algorithm);
      const header = { alg: algorithm, typ: 'at+jwt', kid: forge.kid };
      const token = await new SignJWT({ ...claims, aud: place.audience }).setProtectedHeader(header).sign(key);
      const outcome = createTestGuard(forge).verifier.verify(token);
      assert.equal(outcome.kind, 'valid');
      assert.deepEqual(outcome.kind === 'valid' && outcome.claims, claims);
    });

    test('jose and we agree on signatures that are changed, cut and lengthened', async () => {
      const token = signCompact(forge.header(), forge.claims(), forge.privateKey, algorithm);
      const [header = '', payload = '', signature = ''] = token.split('.');
      const right = Buffer.from(signature, 'base64url');
      const key = await importSPKI(spki, algorithm);
      const wrong = [
        right.subarray(1),
        right.subarray(0, -1),
        Buffer.concat([right, Buffer.alloc(1)]),
        Buffer.concat([Buffer.alloc(1), right]),
        Buffer.alloc(right.length),
        Buffer.alloc(right.length, 0xff),
        Buffer.alloc(1),
        Buffer.from(right).reverse(),
      ];
      for (const bytes of wrong) {
        const changed = `${header}.${payload}.${bytes.toString('base64url')}`;
        assert.equal(verifyCompact(changed, forge.publicKey, algorithm), undefined);
        await assert.rejects(compactVerify(changed, key));
      }
      assert.notEqual(verifyCompact(token, forge.publicKey, algorithm), undefined);
    });
  });
}

test('a right ECDSA signature in DER is refused: the form is r and s, 32 bytes each', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const token = signCompact({ alg: 'ES256' }, {}, privateKey, 'ES256');
  const [header = '', payload = ''] = token.split('.');
  const der = signDer(`${header}.${payload}`, privateKey);
  assert.notEqual(verifyCompact(token, publicKey, 'ES256'), undefined);
  assert.equal(verifyCompact(`${header}.${payload}.${der}`, publicKey, 'ES256'), undefined);
});

test('TOK-01 verification with a pinned algorithm refuses a right signature under another header', () => {
  const key = makePrivateKey('EdDSA');
  for (const alg of ['none', 'HS256', 'Ed25519', 'eddsa', '']) {
    const token = signCompact({ alg }, {}, key, 'EdDSA');
    assert.equal(verifyCompact(token, createPublicKey(key), 'EdDSA'), undefined);
  }
});

test('TOK-06 a text is read as a token only if it is what its parts encode to', () => {
  const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'.split('');
  const unit = fc.constantFrom(...characters, '=', '+', '/', ' ', '\n', '\u00e9');
  const part = fc.string({ unit: fc.constantFrom(...characters.slice(0, -1)), maxLength: 7 });
  const like = fc.tuple(part, part, part).map((parts) => parts.join('.'));
  const check = fc.property(fc.oneof(fc.string({ unit, maxLength: 14 }), like), (text) => {
    const form = readCompact(text);
    const parts = text.split('.');
    const canonical =
      parts.length === 3 &&
      parts[0] !== '' &&
      parts[2] !== '' &&
      parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part);
    assert.equal(form !== undefined, canonical, text);
    if (form === undefined) return;
    assert.deepEqual(
      [form.headerText, ...[form.payload, form.signature].map((part) => part.toString('base64url'))],
      parts,
    );
    assert.equal(form.signed.toString(), parts.slice(0, 2).join('.'));
  });
  fc.assert(check, { numRuns: 20_000, seed: 20_261_123 });
});

describe('JSON in tokens', () => {
  test('TOK-11 every object without duplicates is read as JSON has it, frozen', () => {
    const check = fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (value) => {
      const text = JSON.stringify(value);
      const read = readJsonObject(Buffer.from(text));
      if (text.includes('"__proto__":')) return;
      assert.equal(JSON.stringify(read), JSON.stringify(JSON.parse(text)));
      assert.ok(Object.isFrozen(read));
    });
    fc.assert(check, { numRuns: 5_000, seed: 20_261_123 });
  });

  test('TOK-11 an object with a member twice, anywhere and in any spelling, is refused', () => {
    const check = fc.property(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { minKeys: 1 }),
      fc.nat(),
      fc.nat(),
      fc.jsonValue({ maxDepth: 1 }),
      fc.boolean(),
      (value, which, where, again, escaped) => {
        const names = Object.keys(value);
        const name = names[which % names.length] ?? '';
        const spelled = escaped
          ? `"${[...Array(name.length).keys()].map((at) => `\\u${name.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`
          : JSON.stringify(name);
        const members = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${JSON.stringify(item)}`);
        members.splice(where % (members.length + 1), 0, `${spelled}:${JSON.stringify(again)}`);
        const text = `{${members.join(',')}}`;
        for (const nested of [text, `{"a":${text}}`, `{"a":[1,${text}]}`]) {
          assert.doesNotThrow(() => JSON.parse(nested));
          assert.equal(readJsonObject(Buffer.from(nested)), undefined, nested);
        }
      },
    );
    fc.assert(check, { numRuns: 5_000, seed: 20_261_123 });
  });

  test('TOK-10 what nests deeper than eight is refused before it is parsed', () => {
    const nest = (depth: number): Buffer => Buffer.from(`{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`);
    assert.notEqual(readJsonObject(nest(8)), undefined);
    assert.equal(readJsonObject(nest(9)), undefined);
    assert.equal(readJsonObject(nest(1_000_000)), undefined);
  });

  test('what is no object, no JSON or no UTF-8 is refused', () => {
    const texts = ['', ' ', '[]', 'null', '1', '"a"', '{', '{"a":1}}', '{"a":1,}', '{a:1}', '\ufeff{}', '{"a":"\n"}'];
    for (const text of [...texts, '{"a":"b', '"a":1', '{"a\\":1}']) {
      assert.equal(readJsonObject(Buffer.from(text)), undefined, text);
    }
    assert.equal(readJsonObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), undefined);
    assert.deepEqual(readJsonObject(Buffer.from(' { "a" : 1 }\n')), { a: 1 });
  });
});

function signDer(text: string, key: ReturnType<typeof makePrivateKey>): string {
  const raw = Buffer.from(signAs('ES256', key, text), 'base64url');
  const integer = (bytes: Buffer): Buffer => {
    const padded = (bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
    return Buffer.concat([Buffer.from([2, padded.length]), padded]);
  };
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]).toString('base64url');
}
