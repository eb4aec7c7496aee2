/** The decision behind every door: the same whether it was waited for or not, and however the header is spelt. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createForge } from '../../../../tests/support/forge.ts';
import { createTestGuard } from '../../../../tests/support/guard.ts';
import { forgeHostileTokens } from '../../../../tests/support/hostile-tokens.ts';
import { createDecide, type Decision, type Judge } from './decide.ts';
import { createLocalJudge } from './judge.ts';
import { bounded, checkRequirement, type RequireOptions } from './requirement.ts';

const forge = createForge({ issuer: 'https://auth.example.org', audience: 'orders' });
const guard = createTestGuard(forge, { whenStale: 'serve' });
const local = createLocalJudge(guard);
const seen: string[] = [];

const decideWith = (judge: Judge) => {
  const decide = createDecide({
    judge,
    now: () => guard.time.wallMs / 1_000,
    newRequestId: () => 'made-here',
    realm: 'orders',
    onDecision: (outcome) => seen.push(outcome),
  });
  return (authorization: string | undefined, options: RequireOptions, optional = false) =>
    decide({ authorization, requestId: undefined }, checkRequirement(options, optional));
};
const now = decideWith(local);
const late = decideWith((text, start, freshness) => Promise.resolve(local(text, start, freshness)));

const ended = forge.token({ claims: { sid: 'ended' } });
guard.replica.apply({ kind: 'session', subject: 'ended', min_epoch: 0, expires_at: forge.nowSeconds() + 3_600 });
const good = forge.token({ claims: { permissions: ['orders:read'], roles: ['clerk'] } });
const tokens: Readonly<Record<string, string>> = {
  good,
  again: good,
  revoked: ended,
  expired: forge.token({ claims: { iat: forge.nowSeconds() - 200, exp: forge.nowSeconds() - 100 } }),
  'of a reader of everything': forge.token({ claims: { permissions: ['*:read'] } }),
  'of yesterday': forge.token({ claims: { auth_time: forge.nowSeconds() - 86_400, permissions: ['orders:read'] } }),
  'cut off': good.slice(0, -1),
  'two of them': `${good}, ${good}`,
  'one and a word': `${good} b`,
  'one and a second scheme': `${good}, Basic eDp5`,
  'one and a scheme without a space': `${good},basic`,
  'spaces behind': `${good}  `,
  'beginning like one': 'eyJ',
  nonsense: 'nonsense',
  nothing: '',
};
const requirements: readonly RequireOptions[] = [
  {},
  { permissions: ['orders:read'] },
  { roles: ['clerk'] },
  { maxAge: 600 },
  { acr: 'aal2' },
  { freshness: bounded(2) },
  { freshness: 'best-effort' },
  { freshness: 'strict' },
];

/** What a caller would notice. */
const told = (decision: Decision) =>
  decision.kind === 'allowed' ? decision : { code: decision.code, answer: decision.answer };

describe('the decision behind every door', () => {
  test('is the same when it was waited for', async () => {
    for (const [name, token] of Object.entries(tokens)) {
      for (const scheme of ['Bearer ', 'bearer  ', 'Basic ', '']) {
        for (const options of requirements) {
          for (const optional of [false, true]) {
            const atOnce = now(scheme + token, options, optional);
            assert.ok(!(atOnce instanceof Promise), 'nothing is waited for where nothing is asked');
            const waited = await late(scheme + token, options, optional);
            assert.deepEqual(told(waited), told(atOnce), `${scheme}${name}, ${JSON.stringify(options)}`);
          }
        }
      }
    }
  });

  test('TOK-14 is the same for the usual spelling of the header, which is not taken apart, and for any other', () => {
    for (const [name, token] of Object.entries(tokens)) {
      for (const options of requirements) {
        const usual = now(`Bearer ${token}`, options) as Decision;
        for (const other of ['bearer ', 'BEARER   ']) {
          assert.deepEqual(told(now(other + token, options) as Decision), told(usual), `${other}${name}`);
        }
      }
    }
    assert.equal((now(`Bearer ${tokens['two of them']}`, {}) as { code?: string }).code, 'invalid_token');
    assert.equal((now(`Bearer ${good}, Bearer ${good}`, {}) as { code?: string }).code, 'ambiguous_credentials');
  });

  test('TOK-01 no forged token is let through, in either spelling of the header', () => {
    // A header may have spaces around a token.
    const hostile = forgeHostileTokens(forge).filter(({ token }) => token.trim() === token);
    assert.ok(hostile.length > 200, `${hostile.length} forged tokens`);
    for (const { name, token } of hostile) {
      for (const scheme of ['Bearer ', 'bearer ', 'Bearer ']) {
        assert.equal((now(scheme + token, {}) as Decision).kind, 'refused', `${scheme}${name}`);
      }
    }
  });

  test('is counted once, and so is the token', async () => {
    for (const token of [good, ended, good.slice(0, -1), `${good}, Basic eDp5`]) {
      const before = guard.verifier.figures();
      seen.length = 0;
      await now(`Bearer ${token}`, {});
      assert.equal(seen.length, 1);
      const after = guard.verifier.figures();
      const verified = (['valid', 'revoked', 'malformed'] as const).map((name) => after[name] - before[name]);
      assert.equal(
        verified.reduce((sum, one) => sum + one),
        1,
        `${verified}`,
      );
    }
  });
});
