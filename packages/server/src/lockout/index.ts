/**
 * Lockout: failed attempts per account, known or not, across nodes.
 *
 * - An attempt is counted in the database before it is checked: at most so many as the limit reach the hash, however many
 *   come at once and at whichever node.
 * - A device that logged in before has its own counter, so strangers cannot lock its owner out.
 * - Without the database there is no attempt: the caller hears `DatabaseUnavailable`.
 */
export { issueDeviceToken, readDeviceToken } from './device-token.rule.ts';
export { type Attempt, type Checked, createLockout, type Lockout, type LockoutOptions } from './lockout.ts';
export { createProvePassword, type PasswordProof, type ProvePassword } from './prove-password.ts';
