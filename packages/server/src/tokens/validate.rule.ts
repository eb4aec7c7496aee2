/** What a valid token must have besides being valid, and the words of the answer. */
import { type AccessTokenClaims, coversAll } from '@auth-service/protocol';

export interface Requirements {
  readonly required_permissions?: readonly string[];
  readonly required_acr?: 'aal1' | 'aal2';
  /** Seconds since the user last authenticated. */
  readonly max_age?: number;
}

export type Shortfall = 'insufficient_permissions' | 'insufficient_authentication';

export function findShortfall(claims: AccessTokenClaims, wanted: Requirements, nowSeconds: number): Shortfall | null {
  if (wanted.required_acr === 'aal2' && claims.acr !== 'aal2') return 'insufficient_authentication';
  if (wanted.max_age !== undefined && nowSeconds - claims.auth_time > wanted.max_age)
    return 'insufficient_authentication';
  if (wanted.required_permissions !== undefined && !coversAll(claims.permissions, wanted.required_permissions)) {
    return 'insufficient_permissions';
  }
  return null;
}
