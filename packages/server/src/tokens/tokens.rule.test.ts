import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createRootSecret } from '../keys/index.ts';
import { systemRandom } from '../platform/random/index.ts';
import { judgeLateRefresh } from './refresh.rule.ts';
import { readRefreshToken, writeRefreshToken } from './refresh-token.rule.ts';
import { findShortfall } from './validate.rule.ts';

const secret = (): string => randomBytes(32).toString('base64');
const rootOf = (current: string, previous?: string) => createRootSecret({ current, previous, random: systemRandom });

describe('the refresh token', () => {
  const root = rootOf(secret());

  const users = fc.option(fc.uuid(), { nil: null });

  test('reads back what was written, for any session and counter, with and without the user', () => {
    fc.assert(
      fc.property(fc.uuid(), users, fc.integer({ min: 0, max: 2 ** 31 - 1 }), (sessionId, userId, counter) => {
        const token = { sessionId, userId, counter };
        assert.deepEqual(readRefreshToken(root, writeRefreshToken(root, token)), token);
      }),
    );
  });

  for (const userId of [null, randomUUID()]) {
    const form = userId === null ? 'without a user' : 'with a user';
    test(`REF-02 every prefix, every longer string, every changed character is refused, ${form}`, () => {
      const token = writeRefreshToken(root, { sessionId: randomUUID(), userId, counter: 7 });
      for (let length = 0; length < token.length; length += 1) {
        assert.equal(readRefreshToken(root, token.slice(0, length)), undefined);
      }
      for (const more of ['=', '==', 'A', ' ', '\n', '\u0000', 'A'.repeat(24), token]) {
        assert.equal(readRefreshToken(root, token + more), undefined);
        assert.equal(readRefreshToken(root, more + token), undefined);
      }
      for (let at = 0; at < token.length; at += 1) {
        for (const other of ['A', 'a', 'B', '9', '-', '_', '+', '/', '.', 'é']) {
          if (token[at] === other) continue;
          assert.equal(readRefreshToken(root, token.slice(0, at) + other + token.slice(at + 1)), undefined);
        }
      }
    });
  }

  test('REF-01 tokens of one millisecond share no beginning beyond the prefix', () => {
    const now = Date.now();
    const tokens = Array.from({ length: 10_000 }, () =>
      writeRefreshToken(root, { sessionId: systemRandom.uuidv7(now), userId: null, counter: 0 }),
    );
    assert.equal(new Set(tokens).size, tokens.length);
    assert.ok(new Set(tokens.map((token) => token.slice(0, 9))).size > 9_990);
  });

  test('is read under the previous root secret while that is being rotated, and no longer', () => {
    const before = secret();
    const after = secret();
    const token = writeRefreshToken(rootOf(before), { sessionId: randomUUID(), userId: null, counter: 1 });
    assert.notEqual(readRefreshToken(rootOf(after, before), token), undefined);
    assert.equal(readRefreshToken(rootOf(after), token), undefined);
  });
});

describe('a refresh token that did not win', () => {
  const late = (over: Partial<Parameters<typeof judgeLateRefresh>[0]>) =>
    judgeLateRefresh({ presented: 3, current: 4, rotatedMsAgo: 1_000, graceSeconds: 30, ...over });

  test('gets the same successor within the grace period', () => assert.equal(late({}), 'repeat'));
  test('REF-06 is reuse after the grace period', () => assert.equal(late({ rotatedMsAgo: 30_001 }), 'reuse'));
  test('REF-03 is reuse once its successor was used', () => assert.equal(late({ current: 5 }), 'reuse'));
  test('is reuse without a grace period, however soon', () =>
    assert.equal(late({ graceSeconds: 0, rotatedMsAgo: 0 }), 'reuse'));
});

describe('what a valid token must have besides', () => {
  const claims = {
    iss: 'i',
    aud: 'a',
    sub: 's',
    client_id: 'c',
    sid: 's',
    jti: 'j',
    iat: 0,
    exp: 10_000,
    auth_time: 1_000,
    amr: ['pwd'],
    acr: 'aal1' as const,
    roles: [],
    permissions: ['users:read', 'articles:*'],
    epoch: 1,
  };
  test('every required permission must be covered', () => {
    assert.equal(findShortfall(claims, { required_permissions: ['users:read', 'articles:write'] }, 1_000), null);
    assert.equal(findShortfall(claims, { required_permissions: ['users:write'] }, 1_000), 'insufficient_permissions');
    assert.equal(findShortfall(claims, { required_permissions: ['*:*'] }, 1_000), 'insufficient_permissions');
  });
  test('authentication must be strong and fresh enough', () => {
    assert.equal(findShortfall(claims, { required_acr: 'aal2' }, 1_000), 'insufficient_authentication');
    assert.equal(findShortfall(claims, { max_age: 60 }, 1_060), null);
    assert.equal(findShortfall(claims, { max_age: 60 }, 1_061), 'insufficient_authentication');
  });
});
