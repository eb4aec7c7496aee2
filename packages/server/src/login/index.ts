/**
 * Login and registration.
 *
 * - No answer tells whether an address is known (but `409 email_taken` where verification is off, as documented).
 * - Guesses are counted before they are hashed; hashing never slows anything else.
 * - Every way in ends in one function, which begins no session below aal2 for an account with a second factor.
 * - A session, its audit event and the account's change are one transaction.
 */
export { type Completed, type CompleteLogin, createCompleteLogin } from './complete.ts';
export { deleteOldDevices } from './devices.sql.ts';
export { createDevices } from './devices.ts';
export { createLogin, type Login, type LoginOutcome } from './login.ts';
export { createPasskeyLogin, type PasskeyLogin, type PasskeyLoginOutcome } from './passkey-login.ts';
export { createReauthenticate, type Reauthenticate, type ReauthenticateOutcome } from './reauthenticate.ts';
export { createRegister, type Register, type RegisterOutcome } from './register.ts';
export { createSecondStep, type SecondStep, type SecondStepOutcome } from './second-step.ts';
