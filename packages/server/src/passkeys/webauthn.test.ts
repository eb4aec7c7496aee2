/** What is made of attestations and assertions of anybody's making: a value, always. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, randomBytes, sign, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { AssertionResponse, AttestationResponse } from '@auth-service/protocol';
import { verifyRegistrationResponse } from '@simplewebauthn/server';
import fc from 'fast-check';
import { type CreationOptions, createAuthenticator, encodeCbor } from '../../../../tests/support/authenticator.ts';
import { verifyAssertion, verifyAttestation } from './webauthn.ts';

const party = { id: 'auth.test', origin: 'https://auth.test' };
const challenge = randomBytes(32).toString('base64url');
const options: CreationOptions = {
  challenge,
  rp: { id: party.id, name: 'x' },
  user: { id: 'AAAA', name: 'x', displayName: 'x' },
  pubKeyCredParams: [],
  excludeCredentials: [],
  authenticatorSelection: {},
  attestation: 'none',
  timeout: 1,
};
const make = (attestationObject?: (object: Buffer) => Buffer): AttestationResponse =>
  createAuthenticator({ origin: party.origin }).create(
    options,
    attestationObject === undefined ? {} : { attestationObject },
  ) as AttestationResponse;

test('WAK-03 a self attestation is taken, as browsers pass it on though none is asked for', async () => {
  const response = createAuthenticator({ origin: party.origin }).create(options, {
    format: 'packed',
    statement: (toSign, key) => [
      ['alg', -7],
      ['sig', sign('sha256', toSign, key)],
    ],
  }) as AttestationResponse;
  assert.notEqual(await verifyAttestation(party, challenge, response), undefined);
});

test('WAK-03 an attestation with a certificate is refused, also one that the library would take', async () => {
  const pem = execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '30',
        '-keyout',
        '-',
      ],
      ...[
        '-subj',
        '/C=DE/O=Somebody/OU=Authenticator Attestation/CN=x',
        '-addext',
        'basicConstraints=critical,CA:FALSE',
      ],
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const response = createAuthenticator({ origin: party.origin }).create(options, {
    format: 'packed',
    statement: (toSign) => [
      ['alg', -7],
      ['sig', sign('sha256', toSign, createPrivateKey(pem))],
      ['x5c', { items: [new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERT'))).raw] }],
    ],
  }) as AttestationResponse;
  const alone = await verifyRegistrationResponse({
    response: { ...response, type: 'public-key', clientExtensionResults: {} },
    expectedChallenge: challenge,
    expectedOrigin: party.origin,
    expectedRPID: party.id,
  });
  assert.equal(alone.verified, true);
  assert.equal(await verifyAttestation(party, challenge, response), undefined);
});

const repeat = (bytes: readonly number[], times: number): Buffer =>
  Buffer.concat(Array.from({ length: times }, () => Buffer.from(bytes)));

/** As large as the schema lets through. */
const mostBytes = 12_288;
const bombs: Readonly<Record<string, Buffer>> = {
  'arrays in arrays': repeat([0x81], mostBytes),
  'maps in maps': repeat([0xa1, 0x00], mostBytes / 2),
  'tags of tags': repeat([0xc1], mostBytes),
  'an array that says it is endless': Buffer.concat([Buffer.from([0x9b]), Buffer.alloc(8, 0xff)]),
  'an array of 2^32 - 1 in which there is nothing': Buffer.from([0x9a, 0xff, 0xff, 0xff, 0xff]),
  'a map of 2^53': Buffer.from([0xbb, 0, 0x20, 0, 0, 0, 0, 0, 0]),
  'a text of 2^64 - 1': Buffer.concat([Buffer.from([0x7b]), Buffer.alloc(8, 0xff)]),
  'bytes that are not there': Buffer.from([0x5a, 0x7f, 0xff, 0xff, 0xff]),
  'indefinite lengths': Buffer.from([0xbf, 0x61, 0x61, 0x01, 0xff]),
  'one key twice': Buffer.from([0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02]),
  'many empty arrays': Buffer.concat([Buffer.from([0x99, 0x2f, 0xfc]), repeat([0x80], 0x2ffc)]),
  nothing: Buffer.from([0xf6]),
  'a number': Buffer.from([0x00]),
  zeros: Buffer.alloc(mostBytes),
  'ones and ones': Buffer.alloc(mostBytes, 0xff),
};

test('WAK-04 what cannot be parsed is refused as a value: depth, length, duplicate keys, trailing bytes', async () => {
  assert.notEqual(await verifyAttestation(party, challenge, make()), undefined);
  for (const [name, bomb] of Object.entries(bombs)) {
    assert.equal(
      await verifyAttestation(
        party,
        challenge,
        make(() => bomb),
      ),
      undefined,
      name,
    );
    const inside = make(() =>
      encodeCbor([
        ['fmt', 'none'],
        ['attStmt', []],
        ['authData', bomb],
      ]),
    );
    assert.equal(await verifyAttestation(party, challenge, inside), undefined, `${name}, inside`);
  }
});

test('WAK-04 an attestation in which anything was changed is refused or still the same key', async () => {
  const object = Buffer.from(make().response.attestationObject, 'base64url');
  const change = fc.record({
    at: fc.nat(object.length - 1),
    drop: fc.nat(12),
    put: fc.uint8Array({ maxLength: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      let bytes = object;
      for (const { at, drop, put } of changes) {
        const from = Math.min(at, bytes.length);
        bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + drop)]);
      }
      const made = make();
      const response = {
        ...made,
        response: { ...made.response, attestationObject: bytes.toString('base64url') },
      };
      // The id of a fresh credential is never that of the changed object.
      assert.equal(await verifyAttestation(party, challenge, response), undefined);
    }),
    { numRuns: 400 },
  );
});

test('WAK-04 an attestation of any bytes, and an assertion of any, are refused as values', async () => {
  const made = make();
  const good = await verifyAttestation(party, challenge, made);
  assert.ok(good !== undefined);
  const text = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
  await fc.assert(
    fc.asyncProperty(text, text, text, async (first, second, third) => {
      const attestation = {
        ...made,
        response: { clientDataJSON: made.response.clientDataJSON, attestationObject: first },
      };
      assert.equal(await verifyAttestation(party, challenge, attestation), undefined);
      const response: AssertionResponse = {
        id: made.id,
        rawId: made.rawId,
        type: 'public-key',
        response: { clientDataJSON: first, authenticatorData: second, signature: third },
      };
      assert.equal(await verifyAssertion(party, challenge, response, good), undefined);
      // A key of any bytes, too: what is stored is no better than what was sent.
      const key = { publicKey: Buffer.from(second, 'base64url') };
      assert.equal(await verifyAssertion(party, challenge, response, key), undefined);
    }),
    { numRuns: 300 },
  );
});
