/** The validate use case: synchronous, no I/O. */
import type { Verifier } from '@auth-service/guard';
import type { AccessTokenClaims } from '@auth-service/protocol';
import type { Clock } from '../platform/time/index.ts';
import { findShortfall, type Requirements } from './validate.rule.ts';

export type ValidateAnswer =
  | {
      readonly valid: true;
      readonly claims: AccessTokenClaims;
      readonly user_id: string;
      readonly session_id: string;
      readonly expires_at: string;
    }
  | {
      readonly valid: false;
      readonly reason: 'invalid' | 'expired' | 'revoked' | 'insufficient_permissions' | 'insufficient_authentication';
    };

export type Validate = (token: string, wanted: Requirements) => ValidateAnswer | 'stale';

export function createValidate(deps: { readonly verifier: Verifier; readonly clock: Clock }): Validate {
  const { verifier, clock } = deps;
  return (token, wanted) => {
    const verified = verifier.verify(token);
    if (verified.kind === 'refused') {
      if (verified.reason === 'stale') return 'stale';
      return { valid: false, reason: publicReason(verified.reason) };
    }
    const shortfall = findShortfall(verified.claims, wanted, clock.wallMs() / 1_000);
    if (shortfall !== null) return { valid: false, reason: shortfall };
    return validAnswer(verified.claims);
  };
}

export const validAnswer = (claims: AccessTokenClaims): ValidateAnswer & { valid: true } => ({
  valid: true,
  claims,
  user_id: claims.sub,
  session_id: claims.sid,
  expires_at: new Date(claims.exp * 1_000).toISOString(),
});

function publicReason(reason: string): 'invalid' | 'expired' | 'revoked' {
  return reason === 'expired' || reason === 'revoked' ? reason : 'invalid';
}
