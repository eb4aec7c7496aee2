/**
 * Cookie mode for browser applications; off unless a setting says otherwise.
 *
 * Guarantees: with it, no token is in a body that a script could read; the cookies are `__Host-`, `HttpOnly`, `Secure` and
 * `SameSite`; nothing is changed by a request that another site's page caused. Needs no store, and has nothing that can be away.
 */
export { withCookieAnswers } from './document.ts';
export { createCookieCarrier } from './transport.ts';
