/**
 * Judges credentials by what this process holds: the verifier, and how fresh the route wants its knowledge. Nothing is asked
 * of anybody; `strict` is therefore refused as stale here, and belongs to a judge that can ask (`remote/`).
 */
import type { AccessTokenClaims } from '@auth-service/protocol';
import type { Freshness } from '../freshness.ts';
import type { Refused, Verified, Verifier } from '../verify.ts';
import type { Auth, Judgement } from './decide.ts';
import type { FreshnessPolicy } from './requirement.ts';

/** The `verifier` is one with `whenStale: 'serve'`, so that each route's own policy decides, here. */
export const createLocalJudge =
  (deps: { readonly verifier: Verifier; readonly freshness: Pick<Freshness, 'isFreshWithin'> }) =>
  (text: string, start: number, policy: FreshnessPolicy): Judgement =>
    judge(deps.verifier.verify(text, start), policy, deps.freshness);

/** `verified` is from a moment ago, with nothing awaited since. */
export function judge(
  verified: Verified | Refused,
  policy: FreshnessPolicy,
  freshness: Pick<Freshness, 'isFreshWithin'>,
): Judgement {
  if (verified.kind === 'refused') return refusals[verified.reason];
  if (policy === 'best-effort') return verified.stale ? staleOne(verified) : known(verified);
  const sure =
    typeof policy === 'object'
      ? freshness.isFreshWithin(policy.boundedSeconds * 1_000)
      : policy === 'bounded' && !verified.stale;
  return sure ? known(verified) : refusals.stale;
}

const staleOne = ({ claims }: Verified): Judgement => ({ kind: 'valid', auth: authOfClaims(claims, true) });

/** One object a token, kept beside it in the verifier's cache. */
function known({ entry, claims }: Verified): Judgement {
  entry.memo ??= Object.freeze({ kind: 'valid', auth: authOfClaims(claims, false) });
  return entry.memo as Judgement;
}

export const authOfClaims = (claims: AccessTokenClaims, stale: boolean): Auth =>
  Object.freeze({
    userId: claims.sub,
    sessionId: claims.sid,
    apiKeyId: null,
    roles: claims.roles,
    permissions: claims.permissions,
    claims,
    stale,
  });

const refused = (reason: Refused['reason']): Judgement => Object.freeze({ kind: 'refused', reason });

const refusals: Readonly<Record<Refused['reason'], Judgement>> = {
  malformed: refused('malformed'),
  invalid: refused('invalid'),
  expired: refused('expired'),
  revoked: refused('revoked'),
  stale: refused('stale'),
};
