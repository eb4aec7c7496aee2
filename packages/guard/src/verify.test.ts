/** The verifier against forged tokens: rows TOK and CLM of the security table, in process. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RevocationEntry, SigningAlgorithm } from '@auth-service/protocol';
import fc from 'fast-check';
import { absent, base64url, createForge, type Forge } from '../../../tests/support/forge.ts';
import { createTestGuard, keyOf } from '../../../tests/support/guard.ts';
import { forgeHostileTokens, misspell } from '../../../tests/support/hostile-tokens.ts';
import type { Refused, Verified } from './index.ts';

const now = 1_800_000_000;
const place = { issuer: 'https://auth.example', audience: 'auth-service', nowSeconds: () => now };
const algorithms: readonly SigningAlgorithm[] = ['EdDSA', 'ES256', 'RS256'];
const forges = new Map(algorithms.map((algorithm) => [algorithm, createForge({ ...place, algorithm })]));
const forge = forges.get('EdDSA') as Forge;
const later = now + 7_200;

function assertValid(outcome: Verified | Refused): asserts outcome is Verified {
  assert.equal(outcome.kind, 'valid', JSON.stringify(outcome));
}

const reasonOf = (outcome: Verified | Refused): string => (outcome.kind === 'valid' ? 'valid' : outcome.reason);

const rowTitles: Readonly<Record<string, string>> = {
  'TOK-01': 'TOK-01 only the algorithm of the key record verifies, whatever the header says',
  'TOK-02': 'TOK-02 a public key is never a shared secret',
  'TOK-03': 'TOK-03 key material in the token is not used',
  'TOK-04': 'TOK-04 a kid is an opaque name in a table',
  'TOK-06': 'TOK-06 a token has one spelling',
  'TOK-08': 'TOK-08 other serialisations, encryption, nesting and critical headers are not access tokens',
  'TOK-10': 'TOK-10 size and depth are limited before any cryptography',
  'TOK-11': 'TOK-11 duplicate members in header or claims are refused',
  'TOK-12': 'TOK-12 a claim of the wrong type is present and invalid',
  'CLM-01': 'CLM-01 only at+jwt is an access token',
  'CLM-03': 'CLM-03 the issuer is compared byte for byte',
  'CLM-04': 'CLM-04 the audience must contain this service',
  'CLM-05': 'CLM-05 a token outside its time window is refused',
};

for (const [algorithm, by] of forges) {
  describe(`forged ${algorithm} tokens`, () => {
    const hostile = forgeHostileTokens(by);
    for (const [row, title] of Object.entries(rowTitles)) {
      test(title, () => {
        const { verifier } = createTestGuard(by);
        const tokens = hostile.filter((one) => one.row === row);
        assert.ok(tokens.length >= 4, 'the list of forged tokens is empty');
        for (const { name, token } of tokens) {
          // Twice: a refusal is not remembered as anything else.
          for (const reason of [reasonOf(verifier.verify(token)), reasonOf(verifier.verify(token))]) {
            assert.ok(reason === 'malformed' || reason === 'invalid', `${name}: ${reason}`);
          }
        }
        assert.equal(verifier.figures().cached, 0, 'nothing forged is in the cache');
        assertValid(verifier.verify(by.token()));
      });
    }
    test('every row of forged tokens has its test', () => {
      assert.deepEqual([...new Set(hostile.map((one) => one.row))].toSorted(), Object.keys(rowTitles).toSorted());
    });
  });
}

describe('what is right is accepted', () => {
  test('a right token answers its own claims, frozen', () => {
    const { verifier } = createTestGuard(forge);
    const claims = forge.claims();
    const outcome = verifier.verify(forge.token({ claims: { ...claims } }));
    assertValid(outcome);
    assert.deepEqual(outcome.claims, claims);
    assert.equal(outcome.kid, forge.kid);
    assert.equal(outcome.expiresAt, claims.exp);
    assert.equal(outcome.stale, false);
    assert.ok(Object.isFrozen(outcome) && Object.isFrozen(outcome.claims) && Object.isFrozen(outcome.claims.roles));
  });

  const right: readonly (readonly [string, Parameters<Forge['token']>[0]])[] = [
    ['CLM-04 an audience list that contains ours', { claims: { aud: ['other', place.audience] } }],
    ['CLM-05 nbf two seconds ahead, within the leeway', { claims: { nbf: now + 2 } }],
    ['iat ten minutes ahead', { claims: { iat: now + 600, exp: now + 1_000 } }],
    ['CLM-01 the whole media type', { header: { typ: 'application/at+jwt' } }],
    ['CLM-01 the type in another case', { header: { typ: 'AT+JWT' } }],
    ['a header member that is not known here', { header: { note: 'x' } }],
    ['a claim that is not known here, nested', { claims: { act: { sub: 'a', list: [{ sub: 'b' }] } } }],
    ['colons, quotes and backslashes in strings', { claims: { note: '":"\\":{"\\\\' } }],
    ['characters beyond ASCII', { claims: { roles: ['rôle', '役割'] } }],
    ['8 KiB exactly', { claims: { padding: 'x'.repeat(5_500) } }],
  ];
  for (const [name, change] of right) {
    test(name, () => assertValid(createTestGuard(forge).verifier.verify(forge.token(change))));
  }

  test('iat one second more than ten minutes ahead is invalid', () => {
    const token = forge.token({ claims: { iat: now + 601, exp: now + 1_000 } });
    assert.equal(reasonOf(createTestGuard(forge).verifier.verify(token)), 'invalid');
  });
});

describe('the whole form', () => {
  test('TOK-13 a token with any single bit changed is refused', () => {
    for (let round = 0; round < 20; round += 1) {
      // Most of them by the algorithm whose check is the cheapest.
      const by = forges.get(algorithms[Math.min(round >> 1, 2)] ?? 'EdDSA') as Forge;
      const { verifier } = createTestGuard(by);
      const parts = by
        .token()
        .split('.')
        .map((part) => Buffer.from(part, 'base64url'));
      for (const part of parts) {
        for (let bit = 0; bit < part.length * 8; bit += 1) {
          const at = bit >> 3;
          part[at] = (part[at] ?? 0) ^ (1 << (bit & 7));
          const reason = reasonOf(verifier.verify(parts.map(base64url).join('.')));
          part[at] = (part[at] ?? 0) ^ (1 << (bit & 7));
          assert.ok(reason === 'invalid' || reason === 'malformed', `bit ${bit}: ${reason}`);
        }
      }
      assertValid(verifier.verify(parts.map(base64url).join('.')));
    }
  });

  test('no input makes the verifier throw', () => {
    const { verifier } = createTestGuard(forge);
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.json().map(base64url),
      fc.constantFrom(...forge.token().split('.'), '.', '..', '=', '\ud800'),
    );
    const check = fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
      for (const token of [pieces.join('.'), pieces.join('')]) {
        assert.ok(['malformed', 'invalid'].includes(reasonOf(verifier.verify(token))));
      }
    });
    fc.assert(check, { numRuns: 5_000, seed: 20_261_123 });
    for (const value of [undefined, null, 7, {}, [], Symbol('token')]) {
      assert.equal(reasonOf(verifier.verify(value as unknown as string)), 'malformed');
    }
  });

  test('signed header and claims of any JSON never make the verifier throw', () => {
    const { verifier } = createTestGuard(forge);
    const members = fc.dictionary(
      fc.constantFrom(...Object.keys(forge.claims()), 'nbf', 'typ', 'kid', '__proto__'),
      fc.jsonValue(),
    );
    const check = fc.property(members, fc.boolean(), (change, inHeader) => {
      const token = forge.token(inHeader ? { header: change } : { claims: change });
      assert.ok(['valid', 'malformed', 'invalid', 'expired'].includes(reasonOf(verifier.verify(token))));
    });
    fc.assert(check, { numRuns: 2_000, seed: 20_261_123 });
  });
});

describe('revocation', () => {
  const entry = (kind: RevocationEntry['kind'], subject: string, min_epoch = 0): RevocationEntry => ({
    kind,
    subject,
    min_epoch,
    expires_at: later,
  });

  test('TOK-07 no spelling of a revoked token is accepted', () => {
    const { verifier, replica } = createTestGuard(forge);
    const claims = forge.claims();
    const token = forge.token({ claims: { ...claims } });
    assertValid(verifier.verify(token));
    replica.apply(entry('token', claims.jti));
    for (const [name, variant] of misspell(token)) {
      assert.ok(['malformed', 'invalid'].includes(reasonOf(verifier.verify(variant))), name);
    }
    assert.equal(reasonOf(verifier.verify(token)), 'revoked');
  });

  test('TOK-07 interleaved tokens of equal length and beginning answer each its own subject', () => {
    for (const cacheEntries of [0, 4, 64, 20_000]) {
      const { verifier } = createTestGuard(forge, { cacheEntries });
      const tokens = Array.from({ length: 40 }, () => {
        const claims = forge.claims();
        return { sub: claims.sub, token: forge.token({ claims: { ...claims } }) };
      });
      assert.equal(new Set(tokens.map(({ token }) => token.length)).size, 1);
      for (let count = 0; count < 2_500; count += 1) {
        const one = tokens[(count * 17) % tokens.length];
        assert.ok(one !== undefined);
        const outcome = verifier.verify(one.token);
        assertValid(outcome);
        assert.equal(outcome.claims.sub, one.sub);
      }
    }
  });

  test('a token ends by its id, its session, its key and a higher epoch of its user, cached or not', () => {
    for (const cacheEntries of [0, 100]) {
      const claims = forge.claims({ epoch: 5 });
      const token = forge.token({ claims: { ...claims } });
      const ends = [
        entry('token', claims.jti),
        entry('session', claims.sid),
        entry('key', forge.kid),
        entry('user', claims.sub, 6),
      ];
      for (const end of ends) {
        const { verifier, replica } = createTestGuard(forge, { cacheEntries });
        replica.applyMany([
          entry('user', claims.sub, 5),
          entry('session', claims.sub),
          entry('user', claims.sid, 9),
          entry('token', claims.sid),
        ]);
        assertValid(verifier.verify(token));
        replica.apply(end);
        assert.equal(reasonOf(verifier.verify(token)), 'revoked', end.kind);
        assert.equal(reasonOf(verifier.verify(token)), 'revoked', 'and again');
      }
    }
  });

  test('CLM-06 a new epoch decides between old and new tokens, whatever the clocks say', () => {
    for (const skewSeconds of [-300, 300]) {
      const { verifier, replica, time } = createTestGuard(forge);
      time.wallMs += skewSeconds * 1_000;
      const sub = forge.claims().sub;
      const old = forge.token({ claims: { sub, epoch: 1 } });
      const fresh = forge.token({ claims: { sub, epoch: 2, iat: now - 60 } });
      replica.apply(entry('user', sub, 2));
      const guard = createTestGuard(forge);
      guard.replica.apply(entry('user', sub, 2));
      time.monotonicMs += 1;
      assert.equal(reasonOf(guard.verifier.verify(old)), 'revoked');
      assertValid(guard.verifier.verify(fresh));
      assert.equal(reasonOf(verifier.verify(old)), 'revoked');
    }
  });

  test('a clock that ran ahead and back does not revive a token whose revocation it swept', () => {
    const { verifier, replica, time, subscriber } = createTestGuard(forge);
    const claims = forge.claims();
    const token = forge.token({ claims: { ...claims } });
    assertValid(verifier.verify(token));
    const end = { ...entry('session', claims.sid), expires_at: claims.exp };
    replica.apply(end);
    time.wallMs += 86_400_000;
    assert.equal(replica.sweep(time.wallMs / 1_000), 1);
    time.wallMs -= 86_400_000;
    assert.equal(reasonOf(verifier.verify(token)), 'expired', 'nothing that ended before the horizon is accepted');
    const attempt = subscriber.begin();
    assert.equal(attempt.whole, true, 'the ledger is read anew');
    const longer = forge.token({ claims: { exp: later } });
    assert.equal(reasonOf(verifier.verify(longer)), 'stale', 'until then this process does not vouch');
    subscriber.complete(attempt, { storeEpoch: 'store/1', snapshot: '2:2:', entries: [end], whole: true });
    assert.equal(reasonOf(verifier.verify(token)), 'revoked');
    assertValid(verifier.verify(forge.token()));
  });
});

describe('what a cached token does not outlive', () => {
  test('its expiry, with five seconds of leeway', () => {
    const guard = createTestGuard(forge);
    const token = forge.token({ claims: { exp: now + 100 } });
    assertValid(guard.verifier.verify(token));
    guard.advance(104_900);
    guard.confirm();
    assertValid(guard.verifier.verify(token));
    guard.advance(100);
    assert.equal(reasonOf(guard.verifier.verify(token)), 'expired');
    assert.equal(reasonOf(createTestGuard(forge, { cacheEntries: 0 }).verifier.verify(token)), 'valid');
  });

  test('CLM-05 a token thirty seconds past its end is expired, and is not kept', () => {
    const { verifier } = createTestGuard(forge);
    assert.equal(reasonOf(verifier.verify(forge.token({ claims: { iat: now - 100, exp: now - 30 } }))), 'expired');
    assert.equal(verifier.figures().cached, 0);
  });

  test('its key, removed or exchanged under the same name', () => {
    const { verifier, keys } = createTestGuard(forge);
    const token = forge.token();
    assertValid(verifier.verify(token));
    const other = createForge({ ...place, kid: forge.kid });
    keys.replace([keyOf(other)]);
    assert.equal(reasonOf(verifier.verify(token)), 'invalid');
    assertValid(verifier.verify(other.token()));
    keys.replace([]);
    assert.equal(reasonOf(verifier.verify(token)), 'invalid');
    keys.replace([keyOf(forge)]);
    assertValid(verifier.verify(token));
  });

  test('but it stays while other keys come and go', () => {
    const { verifier, keys } = createTestGuard(forge);
    const token = forge.token();
    assertValid(verifier.verify(token));
    keys.replace([keyOf(forge), keyOf(createForge(place))]);
    assertValid(verifier.verify(token));
    assert.deepEqual([verifier.figures().hit, verifier.figures().miss], [1, 1]);
  });

  test('the freshness of what is known of revocations; revoked, expired and invalid need none', () => {
    const guard = createTestGuard(forge);
    const claims = forge.claims();
    const token = forge.token();
    const ended = forge.token({ claims: { ...claims } });
    guard.replica.apply({ kind: 'token', subject: claims.jti, min_epoch: 0, expires_at: later });
    assertValid(guard.verifier.verify(token));
    guard.advance(9_999);
    assertValid(guard.verifier.verify(token));
    guard.advance(1);
    assert.equal(reasonOf(guard.verifier.verify(token)), 'stale');
    assert.equal(reasonOf(guard.verifier.verify(forge.token())), 'stale');
    assert.equal(reasonOf(guard.verifier.verify(ended)), 'revoked');
    assert.equal(reasonOf(guard.verifier.verify(forge.token({ claims: { exp: now - 60, iat: now - 90 } }))), 'expired');
    assert.equal(reasonOf(guard.verifier.verify(forge.token({ claims: { iss: absent } }))), 'invalid');
    guard.confirm();
    assertValid(guard.verifier.verify(token));
  });

  test('with whenStale serve a stale answer says so, and a fresh one does not', () => {
    const guard = createTestGuard(forge, { whenStale: 'serve' });
    const token = forge.token();
    const fresh = guard.verifier.verify(token);
    guard.advance(20_000);
    const stale = guard.verifier.verify(token);
    assertValid(fresh);
    assertValid(stale);
    assert.deepEqual([fresh.stale, stale.stale], [false, true]);
    assert.equal(guard.verifier.figures().servedStale, 1);
  });

  test('freshness is read after the replica, in one call', () => {
    const order: string[] = [];
    const guard = createTestGuard(forge);
    const { verifier } = createTestGuard(forge, {
      keys: guard.keys,
      replica: {
        isRevoked: () => order.push('replica') === 0,
        version: () => guard.replica.version(),
        horizon: () => guard.replica.horizon(),
      },
      freshness: { isFresh: () => order.push('freshness') > 0 },
    });
    assertValid(verifier.verify(forge.token()));
    assert.deepEqual(order, ['replica', 'freshness']);
  });
});

describe('the cache and its figures', () => {
  test('a memo stays with its token and goes with it', () => {
    const { verifier, keys } = createTestGuard(forge);
    const token = forge.token();
    const first = verifier.verify(token);
    assertValid(first);
    first.entry.memo = 'answer';
    const again = verifier.verify(`${token.slice(0, 10)}${token.slice(10)}`);
    assertValid(again);
    assert.equal(again.entry.memo, 'answer');
    const other = verifier.verify(forge.token());
    assertValid(other);
    assert.equal(other.entry.memo, undefined);
    keys.replace([]);
    verifier.verify(token);
    keys.replace([keyOf(forge)]);
    const anew = verifier.verify(token);
    assertValid(anew);
    assert.equal(anew.entry.memo, undefined);
  });

  test('is bounded by entries and by bytes', () => {
    const tokens = Array.from({ length: 60 }, () => forge.token());
    const few = createTestGuard(forge, { cacheEntries: 10 }).verifier;
    const small = createTestGuard(forge, { cacheBytes: 40_000 }).verifier;
    for (const token of tokens) {
      assertValid(few.verify(token));
      assertValid(small.verify(token));
      assert.ok(few.figures().cached <= 10);
      assert.ok(small.figures().cached <= 40_000 / (3 * token.length));
    }
    assert.ok(few.figures().cached >= 5 && small.figures().cached >= 4);
  });

  test('each verification counts once', () => {
    const { verifier, replica } = createTestGuard(forge);
    const claims = forge.claims();
    const ended = forge.token({ claims: { ...claims } });
    const token = forge.token();
    verifier.verify(token);
    verifier.verify(token);
    verifier.verify(ended);
    replica.apply({ kind: 'session', subject: claims.sid, min_epoch: 0, expires_at: later });
    verifier.verify(ended);
    verifier.verify('.');
    verifier.verify(forge.token({ claims: { iss: 'other' } }));
    verifier.verify(forge.token({ claims: { exp: now - 10, iat: now - 20 } }));
    assert.deepEqual(verifier.figures(), {
      hit: 2,
      miss: 5,
      valid: 3,
      servedStale: 0,
      malformed: 1,
      invalid: 1,
      expired: 1,
      revoked: 1,
      stale: 0,
      cached: 2,
    });
  });
});

test('CLM-04 a verifier without issuer or audience refuses to start', () => {
  for (const wrong of [{ audience: '' }, { issuer: '' }, { leewaySeconds: 61 }, { leewaySeconds: Number.NaN }]) {
    assert.throws(() => createTestGuard(forge, wrong), TypeError);
  }
});
