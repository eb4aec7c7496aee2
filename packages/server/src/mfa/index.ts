/**
 * Second factors: what an account has beside its password.
 *
 * - `users.mfa_enabled` is true exactly while there is a confirmed authenticator app or a passkey.
 */
export { createFactors, type FactorMethod, type Factors } from './factors.ts';
export type { WebauthnFactor, WebauthnPurpose, WebauthnVerified } from './webauthn.ts';
