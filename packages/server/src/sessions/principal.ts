/** Who calls: the bearer token of a request, verified locally by `guard`. No I/O. */
import type { Verifier } from '@auth-service/guard';
import type { AccessTokenClaims } from '@auth-service/protocol';
import { coversAll } from '@auth-service/protocol';
import {
  type GuardedAccess,
  type Refusal,
  type RequestContext,
  refusal,
  routeDefiner,
} from '../platform/http/index.ts';

export interface Principal {
  readonly userId: string;
  readonly sessionId: string;
  readonly claims: AccessTokenClaims;
}

/** `defineRoute` for routes that know who calls. */
export const defineRoute = routeDefiner<Principal>();

export type BearerOutcome = { readonly kind: 'principal'; readonly principal: Principal } | Refusal;

/** RFC 6750 section 2.1: the scheme in any case, one space or more, one token of the b64token alphabet. */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

export function createBearer(deps: {
  readonly verifier: Verifier;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly onSeen: (userId: string, sessionId: string) => void;
}): (request: RequestContext, access: Extract<GuardedAccess, { kind: 'bearer' }>) => BearerOutcome {
  const { verifier, onSeen } = deps;
  return (request, access) => {
    const header = request.headers.authorization;
    if (header === undefined || header === '') return refusal('missing_token');
    const token = bearer.exec(header)?.[1];
    if (token === undefined) return refusal('invalid_token');
    const verified = verifier.verify(token);
    if (verified.kind === 'refused') return refusalFor(verified.reason);
    const { claims } = verified;
    if (access.permission !== undefined && !coversAll(claims.permissions, [access.permission])) {
      return refusal('insufficient_permissions');
    }
    if (access.maxAgeSeconds !== undefined && !isFreshlyAuthenticated(claims, access.maxAgeSeconds, deps.now())) {
      return reauthenticationRequired(access.maxAgeSeconds);
    }
    onSeen(claims.sub, claims.sid);
    return { kind: 'principal', principal: { userId: claims.sub, sessionId: claims.sid, claims } };
  };
}

/** Sensitive routes want an authentication that is at most so old, seconds. */
export const freshAuthenticationSeconds = 600;

export const isFreshlyAuthenticated = (
  claims: Pick<AccessTokenClaims, 'auth_time'>,
  maxAgeSeconds: number,
  now: number,
): boolean => now - claims.auth_time <= maxAgeSeconds;

/** RFC 9470: how recent and, where asked for, how strong the authentication must be. */
export const reauthenticationRequired = (maxAgeSeconds: number, acr?: 'aal2'): Refusal =>
  refusal('reauthentication_required', {
    headers: {
      'WWW-Authenticate': `Bearer realm="auth-service", error="insufficient_user_authentication"${
        acr === undefined ? '' : `, acr_values="${acr}"`
      }, max_age=${maxAgeSeconds}`,
    },
  });

function refusalFor(reason: string): Refusal {
  switch (reason) {
    case 'expired':
      return refusal('token_expired');
    case 'revoked':
      return refusal('token_revoked');
    case 'stale':
      return refusal('revocation_state_stale', { retryAfterSeconds: 1 });
    default:
      return refusal('invalid_token');
  }
}
