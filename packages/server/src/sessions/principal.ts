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
    onSeen(claims.sub, claims.sid);
    return { kind: 'principal', principal: { userId: claims.sub, sessionId: claims.sid, claims } };
  };
}

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
