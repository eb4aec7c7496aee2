/**
 * Passkeys (WebAuthn Level 3): registration, and what an assertion of one is worth to a login, a second factor, a step-up.
 *
 * - A challenge is random, known by its hash, bound to what it was given for and to whom, and worth something once, for five
 *   minutes. Whatever is wrong with a ceremony is answered alike, and nothing is stored or changed by it.
 * - The person is always verified by the authenticator, so a passkey alone is two factors (aal2).
 * - A counter that did not grow, or a passkey that became one that can be copied, is refused and noted.
 * - Nobody removes the last way into an account.
 * - Without the database every answer is 503.
 */
export { type Assertion, type Ceremonies, createCeremonies } from './ceremonies.ts';
export { createWebauthnFactor } from './factor.ts';
export { createPasskeys, type PasskeyOutcome, type PasskeyRefusal, type Passkeys } from './passkeys.ts';
