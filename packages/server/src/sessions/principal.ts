/**
 * Who calls: the bearer token or the API key of a request, verified locally by `guard`; without either, where a route says so, the
 * client certificate of its connection. No I/O.
 *
 * A key speaks for its owner where a permission is asked for, and nowhere else: it is no session, so what is about a person, or
 * wants a fresh authentication, refuses it.
 */
import { type ApiKeyRecord, type ApiKeyTable, looksLikeApiKey, type Verifier } from '@auth-service/guard';
import type { AccessTokenClaims } from '@auth-service/protocol';
import { coversAll } from '@auth-service/protocol';
import {
  type CertificateProblem,
  type ClientCertificate,
  type GuardedAccess,
  type Refusal,
  type RequestContext,
  refusal,
  routeDefiner,
} from '../platform/http/index.ts';

export interface Principal {
  /** The account; for a key its owner, which may be a service account. */
  readonly userId: string;
  /** For a key its own id: no session has it. */
  readonly sessionId: string;
  /** For a key what a token of it would say, with what it may do now as `permissions`. */
  readonly claims: AccessTokenClaims;
  /** The API key that calls in the place of a person; `null` for a session. */
  readonly apiKeyId: string | null;
}

/** `defineRoute` for routes that know who calls. */
export const defineRoute = routeDefiner<Principal>();

/** The credential of the request, unverified. */
export const bearerOf = (request: Pick<RequestContext, 'headers'>): string | undefined =>
  bearer.exec(request.headers.authorization ?? '')?.[1];

type BearerAccess = Extract<GuardedAccess, { kind: 'bearer' }>;

export type BearerOutcome =
  | { readonly kind: 'principal'; readonly principal: Principal }
  /** A client certificate, where the route takes one: whose it is does not matter. */
  | { readonly kind: 'certificate' }
  | Refusal;

/** RFC 6750 section 2.1: the scheme in any case, one space or more, one token of the b64token alphabet. */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

export function createBearer(deps: {
  readonly verifier: Verifier;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly onSeen: (userId: string, sessionId: string) => void;
  readonly keys: Pick<ApiKeyTable, 'verify'>;
  /** `iss` and `aud` of tokens. */
  readonly issuer: string;
  readonly audience: string;
  readonly onKeyUsed: (id: string) => void;
  readonly onCertificate: (problem: CertificateProblem | undefined) => void;
}): (request: RequestContext, access: BearerAccess) => BearerOutcome {
  const { verifier, onSeen } = deps;

  function byKey(text: string, access: BearerAccess): BearerOutcome {
    const verified = deps.keys.verify(text);
    if (verified.kind === 'refused') return refusalFor(verified.reason);
    const { key } = verified;
    const wanted = access.permission;
    if ((wanted === undefined && access.apiKeys !== true) || access.maxAgeSeconds !== undefined) return noSession;
    if (wanted !== undefined && !coversAll(key.permissions, [wanted])) return refusal('insufficient_permissions');
    deps.onKeyUsed(key.id);
    const claims = claimsOfKey(key, deps.issuer, deps.audience);
    return { kind: 'principal', principal: { userId: key.ownerId, sessionId: key.id, claims, apiKeyId: key.id } };
  }

  function byCertificate(certificate: ClientCertificate): BearerOutcome {
    const problem = certificate.problem();
    deps.onCertificate(problem);
    if (problem === undefined) return { kind: 'certificate' };
    // Another handshake may go well: after a renewal, or with the authorities of now.
    return refusal('invalid_token', { detail: certificateDetails[problem], headers: { Connection: 'close' } });
  }

  return (request, access) => {
    const header = request.headers.authorization;
    if (header === undefined || header === '') {
      const { certificate } = request;
      return access.certificates === true && certificate !== null
        ? byCertificate(certificate)
        : refusal('missing_token');
    }
    const token = bearerOf(request);
    if (token === undefined) return refusal('invalid_token');
    if (looksLikeApiKey(token)) return byKey(token, access);
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
    return { kind: 'principal', principal: { userId: claims.sub, sessionId: claims.sid, claims, apiKeyId: null } };
  };
}

const certificateDetails: Readonly<Record<CertificateProblem, string>> = {
  expired: 'The client certificate, or an authority above it, has expired.',
  not_yet_valid: 'The client certificate is not valid yet.',
  wrong_use: 'The client certificate is not for clients (clientAuth).',
  unknown: 'The client certificate is of no authority that this service takes.',
  changed: 'The authorities of client certificates were changed: connect again.',
};

const noSession = refusal('insufficient_permissions', {
  detail: 'This is for people who have logged in: an API key is no session.',
});

/** What the routes see of a key: a token without factors, which nobody has authenticated for. */
const claimsOfKey = (key: ApiKeyRecord, issuer: string, audience: string): AccessTokenClaims => ({
  iss: issuer,
  aud: audience,
  sub: key.ownerId,
  client_id: key.id,
  sid: key.id,
  jti: key.id,
  iat: key.createdAt,
  exp: key.expiresAt === null ? Number.MAX_SAFE_INTEGER : Math.floor(key.expiresAt),
  auth_time: 0,
  amr: [],
  acr: 'aal1',
  roles: [],
  permissions: key.permissions,
  epoch: key.ownerEpoch,
});

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

/** A refusal of a use case as it is answered: what wants a second factor with the challenge of RFC 9470, the others as they are. */
export const refusalOf = (refused: Refusal): Refusal =>
  refused.code === 'reauthentication_required' ? reauthenticationRequired(freshAuthenticationSeconds, 'aal2') : refused;

function refusalFor(reason: string): Refusal {
  switch (reason) {
    case 'expired':
      return refusal('token_expired');
    case 'revoked':
      return refusal('token_revoked');
    case 'stale':
    case 'outdated':
      return refusal('revocation_state_stale', { retryAfterSeconds: 1 });
    default:
      return refusal('invalid_token');
  }
}
