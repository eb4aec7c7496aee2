/**
 * The one decision behind every door: what a request brought, against what a route requires. The doors only carry the request
 * in and the answer out, so a rule means the same in each framework.
 *
 * In this order: one credential or none, a bearer token of the right form, the token itself (or API key), permissions and
 * roles, the age and strength of the authentication. Credentials come from the `Authorization` header alone. Bad credentials
 * are refused where none are needed, too: nobody is taken for a stranger whose token could not be judged.
 *
 * Synchronous, unless the judge has to ask the service.
 */
import { type AccessTokenClaims, type ApiKeyClaims, coversAll } from '@auth-service/protocol';
import { type Answer, type DoorCode, makeAnswer, requestIdOf } from './answer.ts';
import type { FreshnessPolicy, Requirement } from './requirement.ts';

/** Who calls. Frozen. */
export interface Auth {
  /** The account; for an API key its owner. The claim `sub`. */
  readonly userId: string;
  /** `null` for an API key: it is no session. */
  readonly sessionId: string | null;
  /** `null` for a session. */
  readonly apiKeyId: string | null;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly claims: AccessTokenClaims | ApiKeyClaims;
  /** Accepted without proof that every revocation is known: only with `best-effort`. */
  readonly stale: boolean;
}

/** Why a credential counts for nothing. `outdated`: what an API key may do is not known here yet. */
export type TokenRefusal = 'malformed' | 'invalid' | 'expired' | 'revoked' | 'stale' | 'outdated';

/** Whose a credential is, or why it counts for nothing. */
export type Judgement =
  | { readonly kind: 'valid'; readonly auth: Auth }
  | { readonly kind: 'refused'; readonly reason: TokenRefusal };

/**
 * Judges one bearer credential, an access token or an API key: what `text` is from `start` on. A token is found again by the
 * text that it came in, so it is not cut out before that. Nothing has been looked at yet: what is no credential is `malformed`.
 */
export type Judge = (text: string, start: number, freshness: FreshnessPolicy) => Judgement | Promise<Judgement>;

/** What of a request counts; read once, and its id only for a refusal, so that it may be a getter that looks it up. */
export interface Incoming {
  /** The value of the `Authorization` header; several joined by `, `. */
  readonly authorization: string | undefined;
  /** `X-Request-Id`, or the framework's own id of the request. */
  readonly requestId: string | undefined;
}

/** Who is let through (`null`: a stranger, where strangers may), or the answer that refuses. */
export type Decision =
  | { readonly kind: 'allowed'; readonly auth: Auth | null }
  | { readonly kind: 'refused'; readonly code: DoorCode; readonly answer: Answer };

/** Whether this request meets that requirement; a promise only where the service has to be asked. */
export type Decide = (incoming: Incoming, requirement: Requirement) => Decision | Promise<Decision>;

/** RFC 6750 section 2.1: the scheme in any case, one space or more, one token of the b64token alphabet. */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;
/**
 * How nearly every token comes: in this spelling, and with the beginning of a JSON object in base64url. A verifier looks at every
 * character of it, or has done so before, so it is judged as it stands.
 */
const usual = 'Bearer eyJ';
const usualStart = 'Bearer '.length;
/** A second credential behind a comma: how several `Authorization` headers look once they are joined. */
const second = /,\s*(?:basic|bearer|digest|dpop|negotiate)(?:\s|$)/i;

/** The decision behind every door. Throws `TypeError` for a realm that cannot stand in a header. */
export function createDecide(deps: {
  readonly judge: Judge;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** For requests that bring no id of their own. */
  readonly newRequestId: () => string;
  /** In challenges (RFC 9110 section 11.5). */
  readonly realm: string;
  readonly onDecision?: (outcome: 'allowed' | 'anonymous' | DoorCode) => void;
}): Decide {
  const { judge, now, newRequestId, realm, onDecision } = deps;
  if (!/^[\w .:/-]{1,128}$/.test(realm)) throw new TypeError('a realm is a short plain text');

  function refuse(code: DoorCode, incoming: Incoming, requirement: Requirement): Decision {
    onDecision?.(code);
    const requestId = requestIdOf(incoming.requestId, newRequestId);
    return { kind: 'refused', code, answer: makeAnswer(code, requirement, realm, requestId) };
  }

  function settle(judged: Judgement, incoming: Incoming, requirement: Requirement): Decision {
    if (judged.kind === 'refused') return refuse(codeOf(judged.reason, incoming), incoming, requirement);
    const { auth } = judged;
    const shortfall = findShortfall(auth, requirement, now);
    if (shortfall !== undefined) return refuse(shortfall, incoming, requirement);
    onDecision?.('allowed');
    return { kind: 'allowed', auth };
  }

  function judgeHeader(text: string, freshness: FreshnessPolicy): Judgement | Promise<Judgement> {
    if (text.startsWith(usual) && !text.endsWith(' ')) return judge(text, usualStart, freshness);
    const credential = bearer.exec(text)?.[1];
    return credential === undefined ? malformed : judge(credential, 0, freshness);
  }

  return (incoming, requirement) => {
    const { authorization } = incoming;
    if (authorization === undefined || authorization === '') {
      if (!requirement.optional) return refuse('missing_token', incoming, requirement);
      onDecision?.('anonymous');
      return anonymous;
    }
    const judged = judgeHeader(authorization, requirement.freshness);
    return judged instanceof Promise
      ? judged.then((late) => settle(late, incoming, requirement))
      : settle(judged, incoming, requirement);
  };
}

const anonymous: Decision = Object.freeze({ kind: 'allowed', auth: null });

const malformed: Judgement = Object.freeze({ kind: 'refused', reason: 'malformed' });

const codeOf = (reason: TokenRefusal, { authorization = '' }: Incoming): DoorCode =>
  reason === 'malformed' && second.test(authorization) ? 'ambiguous_credentials' : codes[reason];

const codes: Readonly<Record<TokenRefusal, DoorCode>> = {
  malformed: 'invalid_token',
  invalid: 'invalid_token',
  expired: 'token_expired',
  revoked: 'token_revoked',
  stale: 'revocation_state_stale',
  outdated: 'revocation_state_stale',
};

function findShortfall(auth: Auth, requirement: Requirement, now: () => number): DoorCode | undefined {
  const { roles, permissions, maxAge, acr } = requirement;
  if (permissions.length > 0 && !coversAll(auth.permissions, permissions)) return 'insufficient_permissions';
  if (roles.length > 0 && !roles.some((role) => auth.roles.includes(role))) return 'insufficient_permissions';
  if (maxAge === undefined && acr === undefined) return undefined;
  // Nobody has authenticated for an API key, and nobody can do so again.
  if (!('auth_time' in auth.claims)) return 'insufficient_permissions';
  const tooOld = maxAge !== undefined && !(now() - auth.claims.auth_time <= maxAge);
  return tooOld || (acr === 'aal2' && auth.claims.acr !== 'aal2') ? 'reauthentication_required' : undefined;
}
