/** The claims of an access token (RFC 9068), its header type, and the revocation entries that can end it. */

/** The `typ` header of access tokens, RFC 9068 section 2.1. */
export const accessTokenType = 'at+jwt';

/** What access tokens may be signed with (RFC 7518, RFC 8037); a key has one of them, fixed. */
export type SigningAlgorithm = 'EdDSA' | 'ES256' | 'RS256';

/** Authentication context class: one factor, or several (NIST SP 800-63B). */
export type Acr = 'aal1' | 'aal2';

/** Times are seconds since 1970 (NumericDate, RFC 7519 section 2). */
export interface AccessTokenClaims {
  readonly iss: string;
  /** One audience, or several (RFC 7519 section 4.1.3). */
  readonly aud: string | readonly string[];
  readonly sub: string;
  readonly client_id: string;
  /** Session id. */
  readonly sid: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  readonly auth_time: number;
  /** Authentication methods, RFC 8176. */
  readonly amr: readonly string[];
  readonly acr: Acr;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  /** The user's epoch when the token was issued; a token below the user's current epoch is revoked. */
  readonly epoch: number;
}

/** What is told of an API key that is valid: it names no session, and nobody has authenticated for it. */
export interface ApiKeyClaims {
  readonly iss: string;
  readonly aud: string;
  /** The owner: a user or a service account. */
  readonly sub: string;
  /** The key's id, and so is `jti`. */
  readonly client_id: string;
  readonly jti: string;
  readonly iat: number;
  /** Absent for a key without end. */
  readonly exp?: number;
  /** What it may do now: of its scope what its owner holds. */
  readonly permissions: readonly string[];
}

/**
 * One fact of the revocation ledger. A token is dead when **any** entry covers it:
 * `token` by `jti` (an API key by its id), `session` by `sid`, `key` by `kid`, `user` where the token's `epoch` is below `min_epoch`.
 */
export interface RevocationEntry {
  readonly kind: 'token' | 'session' | 'user' | 'key';
  readonly subject: string;
  /** For `user`; 0 otherwise. */
  readonly min_epoch: number;
  /** Seconds since 1970: when the last token that this entry could refuse has expired. */
  readonly expires_at: number;
}
