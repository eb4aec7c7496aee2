/**
 * What the header and the claims of an access token must say (RFC 9068, RFC 8725). A claim of the wrong type counts as present
 * and wrong, never as absent. Nothing here depends on revocation.
 */
import type { AccessTokenClaims } from '@auth-service/protocol';
import type { JsonObject } from './json.ts';

export interface ClaimRules {
  readonly issuer: string;
  readonly audience: string;
  readonly leewaySeconds: number;
  readonly maxFutureIatSeconds: number;
  readonly maxLifetimeSeconds: number;
}

/** Which claim is wrong; `undefined` when all are right. */
export type ClaimProblem = 'type' | 'issuer' | 'audience' | 'time';

const accessTokenTypes = /^(?:application\/)?at\+jwt$/i;

/** RFC 9068 section 4: exactly `at+jwt`, also as the whole media type; type names know no case. */
export const isAccessTokenType = (typ: unknown): boolean => typeof typ === 'string' && accessTokenTypes.test(typ);

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'string');

const texts = ['iss', 'sub', 'client_id', 'sid', 'jti'] as const;
const counts = ['iat', 'exp', 'auth_time', 'epoch'] as const;
const lists = ['amr', 'roles', 'permissions'] as const;

/** Whether every claim is there and of its type. */
export function areAccessTokenClaims(claims: JsonObject): claims is JsonObject & AccessTokenClaims {
  for (const name of texts) if (!isText(claims[name])) return false;
  for (const name of counts) if (!isCount(claims[name])) return false;
  for (const name of lists) if (!isTexts(claims[name])) return false;
  const aud = claims['aud'];
  if (!isText(aud) && !isTexts(aud)) return false;
  const acr = claims['acr'];
  if (acr !== 'aal1' && acr !== 'aal2') return false;
  return !Object.hasOwn(claims, 'nbf') || isCount(claims['nbf']);
}

/** What does not change with time; `validFrom` answers what does. */
export function findClaimProblem(claims: AccessTokenClaims, rules: ClaimRules): ClaimProblem | undefined {
  if (claims.iss !== rules.issuer) return 'issuer';
  const { aud } = claims;
  if (aud !== rules.audience && !(Array.isArray(aud) && aud.includes(rules.audience))) return 'audience';
  if (claims.exp <= claims.iat || claims.exp - claims.iat > rules.maxLifetimeSeconds) return 'time';
  return undefined;
}

/** The first second at which the token may be used: `nbf` with leeway, and `iat` at most so far ahead. */
export function validFrom(claims: AccessTokenClaims & { readonly nbf?: number }, rules: ClaimRules): number {
  const byIat = claims.iat - rules.maxFutureIatSeconds;
  return claims.nbf === undefined ? byIat : Math.max(byIat, claims.nbf - rules.leewaySeconds);
}
