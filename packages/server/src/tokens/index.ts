/**
 * Tokens: issuing, refreshing, validating, revoking them all.
 *
 * - Access tokens are JWTs (RFC 9068) signed and verified without I/O, away from the password hashes' threads.
 * - Refresh tokens are derived from session and counter; parallel refreshes of one token get one and the same successor.
 * - Without the database: validation goes on while this node's knowledge of revocations is fresh; refreshing is 503.
 */
export { createTokenIssuer, type IssuedFor, type TokenIssuer } from './issue.ts';
export { createRefresh, type Refresh, type RefreshOutcome } from './refresh.ts';
export { createRevokeAll, type RevokeAll } from './revoke-all.ts';
export { createValidate, type Validate, type ValidateAnswer } from './validate.ts';
export { createValidateFast } from './validate-fast.ts';
