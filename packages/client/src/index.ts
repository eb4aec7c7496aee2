/** A typed client: sign up, in and out, second factors, sessions; refreshes once at a time, across tabs too. */
export {
  type AuthClient,
  type CallOptions,
  type ClientOptions,
  createClient,
  type FactorProof,
  type LoginResult,
  type MfaStatus,
  type RawClient,
} from './client.ts';
export { AuthError, type Challenge, type ClientCode, type FieldProblem } from './errors.ts';
export type { AuthState, EndReason } from './keeper.ts';
export { withStepUp } from './step-up.ts';
export {
  type AuthStorage,
  memoryStorage,
  type Stored,
  type StoredSession,
  type WebStorage,
  webStorage,
} from './storage.ts';
export type { Call } from './transport.ts';
