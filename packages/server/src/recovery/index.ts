/**
 * Recovery: what a mailed secret allows. Prove an address, choose a new password, change the address.
 *
 * - Nobody learns whether an address has an account: the same statements, rows, time and answer for each.
 * - A page shows and a POST acts, so that those who follow links in mails change nothing. A secret works once.
 * - A new password by mail ends every session, access token, API key and device token; it begins no session, and leaves second factors
 *   and lockouts as they are. It proves the address. A passkey of before is held back until it
 *   was used beside the new password.
 * - The first proof of an address comes with the password of the registration, or with another that does what a reset does; or the code
 *   was typed where somebody registered (`verify-email.route.ts`).
 * - A new address takes effect when it is proven, and ends every other session; both addresses are told.
 * - Without the database every answer is 503. Without the mail server mails wait.
 */
export { createRecovery, type Recovery } from './recovery.ts';
