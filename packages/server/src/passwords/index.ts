/**
 * Passwords: their policy, their hashes, and the threads that compute them.
 *
 * - Hashing never runs on the event loop; it is bounded in threads and in queue, and beyond that refused at once.
 * - Every character counts, in NFC; 128 of them and more are significant.
 * - A check against nobody's hash costs what a check against somebody's does.
 * - Depends on nothing outside the process; a thread that dies is replaced and its job done by another.
 */
export type { PasswordAlgorithm } from './encoding.rule.ts';
export { type FirebaseParameters, type ForeignHash, readForeignHash } from './foreign.rule.ts';
export {
  createPasswordHasher,
  type HasherHealth,
  type HashResult,
  type PasswordHasher,
  type PasswordHasherOptions,
  type VerifyResult,
} from './password-hasher.ts';
export type { PasswordPolicy, PolicyProblem } from './password-policy.rule.ts';
export { checkPassword } from './password-policy.ts';
