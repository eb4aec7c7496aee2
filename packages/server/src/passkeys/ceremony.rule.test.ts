import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { amrOf, decideUse, isAssertionResponse, readChallenge, relyingPartyOf, userHandleOf } from './ceremony.rule.ts';

const challenge = 'A'.repeat(43);
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('WAK-01 the challenge is read from client data of a page that stands alone', () => {
  for (const data of [{ challenge }, { challenge, crossOrigin: false }, { type: 'x', challenge, more: 1 }]) {
    assert.equal(readChallenge(encoded(data)), challenge);
  }
  for (const data of [
    null,
    7,
    'x',
    [],
    {},
    { challenge: null },
    { challenge: [challenge] },
    { challenge: `${challenge}A` },
    { challenge: challenge.slice(1) },
    { challenge: `${challenge.slice(1)}=` },
    { challenge, crossOrigin: true },
    { challenge, crossOrigin: null },
    { challenge, topOrigin: 'https://example.org' },
    { challenge, topOrigin: '' },
  ]) {
    assert.equal(readChallenge(encoded(data)), undefined, JSON.stringify(data));
  }
});

test('WAK-04 client data of any bytes is read or not, and never a failure', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const read = readChallenge(Buffer.from(bytes).toString('base64url'));
      assert.ok(read === undefined || read.length === 43);
    }),
  );
});

test('WAK-02 a counter grows or stays 0, and what may be backed up stays as it was', () => {
  const decide = (stored: number, signed: number, was = false, is = false): string =>
    decideUse({ signCount: stored, backupEligible: was }, { signCount: signed, backupEligible: is });
  for (const [stored, signed] of [
    [0, 0],
    [0, 1],
    [1, 2],
    [1, 4_294_967_295],
  ] as const) {
    assert.equal(decide(stored, signed), 'accepted');
  }
  for (const [stored, signed] of [
    [1, 1],
    [2, 1],
    [1, 0],
    [4_294_967_295, 0],
  ] as const) {
    assert.equal(decide(stored, signed), 'clone_suspected');
  }
  assert.equal(decide(1, 2, true, true), 'accepted');
  assert.equal(decide(1, 2, true, false), 'backup_eligibility_changed');
  assert.equal(decide(1, 2, false, true), 'backup_eligibility_changed');
});

test('CLM-10 a key that may be copied is a software key to whoever reads the token', () => {
  assert.deepEqual(amrOf({ backupEligible: false }), ['hwk', 'user', 'mfa']);
  assert.deepEqual(amrOf({ backupEligible: true }), ['swk', 'user', 'mfa']);
});

test('the relying party is the host of the public address, its origin without path or default port', () => {
  assert.deepEqual(relyingPartyOf('https://auth.example.org'), {
    id: 'auth.example.org',
    origin: 'https://auth.example.org',
  });
  assert.deepEqual(relyingPartyOf('https://auth.example.org:443/base/'), {
    id: 'auth.example.org',
    origin: 'https://auth.example.org',
  });
  assert.deepEqual(relyingPartyOf('http://localhost:4000'), { id: 'localhost', origin: 'http://localhost:4000' });
});

test('the handle of an account is the 16 bytes of its id', () => {
  const handle = userHandleOf('0193a0b1-0000-7000-8000-0123456789ab');
  assert.equal(Buffer.from(handle, 'base64url').toString('hex'), '0193a0b1000070008000' + '0123456789ab');
});

test('WAK-04 anything that is not an assertion is told from one, and never a failure', () => {
  const good = {
    id: 'a',
    rawId: 'a',
    type: 'public-key',
    response: { clientDataJSON: 'a', authenticatorData: 'a', signature: 'a' },
  };
  assert.equal(isAssertionResponse(good), true);
  assert.equal(isAssertionResponse({ ...good, response: { ...good.response, userHandle: null } }), true);
  assert.equal(isAssertionResponse({ ...good, response: { ...good.response, userHandle: 7 } }), false);
  assert.equal(isAssertionResponse({ ...good, id: 'a=' }), false);
  fc.assert(
    fc.property(fc.anything(), (value) => {
      assert.equal(isAssertionResponse(value), false);
    }),
  );
});
