/** The validate use case: synchronous, no I/O. */
import { type ApiKeyRecord, type ApiKeyTable, looksLikeApiKey, type Verifier } from '@auth-service/guard';
import { type AccessTokenClaims, type ApiKeyClaims, coversAll } from '@auth-service/protocol';
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
      readonly valid: true;
      readonly claims: ApiKeyClaims;
      /** The owner; `null` for a service account. */
      readonly user_id: string | null;
      readonly session_id: null;
      readonly expires_at: string | null;
    }
  | {
      readonly valid: false;
      readonly reason: 'invalid' | 'expired' | 'revoked' | 'insufficient_permissions' | 'insufficient_authentication';
    };

export type Validate = (token: string, wanted: Requirements) => ValidateAnswer | 'stale';

export interface ValidateDeps {
  readonly verifier: Verifier;
  readonly clock: Clock;
  readonly keys: Pick<ApiKeyTable, 'verify'>;
  readonly issuer: string;
  readonly audience: string;
  readonly onKeyUsed: (id: string) => void;
}

export function createValidate(deps: ValidateDeps): Validate {
  const { verifier, clock } = deps;

  function validateKey(text: string, wanted: Requirements): ValidateAnswer | 'stale' {
    const verified = deps.keys.verify(text);
    if (verified.kind === 'refused') {
      if (verified.reason === 'outdated' || verified.reason === 'stale') return 'stale';
      return { valid: false, reason: publicReason(verified.reason) };
    }
    const { key } = verified;
    deps.onKeyUsed(key.id);
    // Nobody has authenticated: of no age, and of no assurance.
    if (wanted.required_acr !== undefined || wanted.max_age !== undefined) {
      return { valid: false, reason: 'insufficient_authentication' };
    }
    if (!coversAll(key.permissions, wanted.required_permissions ?? [])) {
      return { valid: false, reason: 'insufficient_permissions' };
    }
    return validKeyAnswer(key, deps.issuer, deps.audience);
  }

  return (token, wanted) => {
    if (looksLikeApiKey(token)) return validateKey(token, wanted);
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

function validKeyAnswer(key: ApiKeyRecord, issuer: string, audience: string): ValidateAnswer {
  const claims: ApiKeyClaims = {
    iss: issuer,
    aud: audience,
    sub: key.ownerId,
    client_id: key.id,
    jti: key.id,
    iat: key.createdAt,
    ...(key.expiresAt === null ? {} : { exp: Math.floor(key.expiresAt) }),
    permissions: key.permissions,
  };
  return {
    valid: true,
    claims,
    user_id: key.ownerKind === 'user' ? key.ownerId : null,
    session_id: null,
    expires_at: key.expiresAt === null ? null : new Date(key.expiresAt * 1_000).toISOString(),
  };
}

export const validAnswer = (claims: AccessTokenClaims): ValidateAnswer => ({
  valid: true,
  claims,
  user_id: claims.sub,
  session_id: claims.sid,
  expires_at: new Date(claims.exp * 1_000).toISOString(),
});

function publicReason(reason: string): 'invalid' | 'expired' | 'revoked' {
  return reason === 'expired' || reason === 'revoked' ? reason : 'invalid';
}
