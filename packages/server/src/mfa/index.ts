/**
 * Second factors: what an account has beside its password.
 *
 * - `users.mfa_enabled` is true exactly while there is a confirmed authenticator app or a passkey.
 * - A factor counts after it has given one right code; a code works once; recovery codes are stored hashed, and each works once.
 * - Only a session that was begun with a second factor, and not long ago, changes the factors of an account that has one. What
 *   is removed or replaced ends every other session.
 * - Between a first factor and a second there is a challenge that opens nothing else.
 * - Without the database every answer is 503.
 */
export type { Challenge, Challenges, NewChallenge } from './challenges.ts';
export type { Enrolment, FactorOutcome, FactorRefusal } from './enrolment.ts';
export type { FactorMethod, FactorOwner, Factors, Removed } from './factors.ts';
export { counterKeepSeconds, createMfa, type Mfa } from './mfa.ts';
export { ownerOf } from './owner.ts';
export type { Checked, Proof, Proven, SecondFactor } from './second-factor.ts';
export type { WebauthnFactor, WebauthnPurpose, WebauthnVerified } from './webauthn.ts';
