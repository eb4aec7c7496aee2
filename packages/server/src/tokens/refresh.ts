/**
 * The refresh use case: one compare-and-swap decides. A token that won is answered with its successor; one that lost is
 * answered with the same successor again within the grace period, and ends its session otherwise.
 */
import type { TokenAnswer } from '@auth-service/protocol';
import type { Origin } from '../audit/index.ts';
import type { RootSecret } from '../keys/index.ts';
import type { Revocation } from '../revocation/index.ts';
import type { SessionOfUser, Sessions } from '../sessions/index.ts';
import type { TokenIssuer } from './issue.ts';
import { judgeLateRefresh } from './refresh.rule.ts';
import { readRefreshToken } from './refresh-token.rule.ts';

export type RefreshOutcome =
  | { readonly kind: 'refreshed'; readonly answer: TokenAnswer }
  | { readonly kind: 'refused'; readonly code: 'invalid_refresh_token' | 'refresh_token_reused' };

export type Refresh = (token: string, origin: Origin) => Promise<RefreshOutcome>;

const invalid: RefreshOutcome = { kind: 'refused', code: 'invalid_refresh_token' };
const reused: RefreshOutcome = { kind: 'refused', code: 'refresh_token_reused' };

export function createRefresh(deps: {
  readonly root: RootSecret;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
  readonly issuer: TokenIssuer;
  readonly graceSeconds: number;
}): Refresh {
  const { root, sessions, revocation, issuer } = deps;

  return async (text, origin) => {
    const token = readRefreshToken(root, text);
    if (token === undefined) return invalid;
    issuer.assertReady();
    const rotation = await sessions.rotate(token);
    if (rotation.kind === 'gone') return invalid;
    const { session } = rotation;
    if (rotation.kind === 'won') return answerFor(session);

    const judged = judgeLateRefresh({
      presented: token.counter,
      current: session.counter,
      rotatedMsAgo: rotation.rotatedMsAgo,
      graceSeconds: deps.graceSeconds,
    });
    if (judged === 'repeat') return answerFor(session);
    const pending = await sessions.endReused(token, session.user_id, origin);
    // The session may have been ended by a twin of this request meanwhile: the answer is the same.
    if (pending !== null) await revocation.settle(pending, session.user_id);
    return reused;
  };

  function answerFor(row: SessionOfUser): RefreshOutcome {
    const user = { ...row, id: row.user_id, created_at: row.user_created_at, updated_at: row.user_updated_at };
    return { kind: 'refreshed', answer: issuer.issue({ user, session: row }) };
  }
}
