/** A typed client: register, log in, refresh (one at a time), sessions, log out. */
export {
  type AuthClient,
  AuthError,
  type ClientOptions,
  createClient,
  type StoredTokens,
  type TokenStorage,
} from './client.ts';
