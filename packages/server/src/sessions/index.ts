/**
 * Sessions: what a login starts and a logout ends, and the rotation of their refresh tokens.
 *
 * - A rotation is one compare-and-swap; of any number of parallel ones for one token exactly one wins.
 * - Whoever ends a session writes the ledger and the end itself into the database in one transaction: nothing brings it back.
 * - A user has at most so many sessions as configured; the least recently used one makes room.
 * - Without the database, or without the store where they live: 503, never "invalid".
 */
export { deviceName } from './device.rule.ts';
export { originOf } from './origin.ts';
export {
  type BearerOutcome,
  bearerOf,
  createBearer,
  defineRoute,
  freshAuthenticationSeconds,
  isFreshlyAuthenticated,
  type Principal,
  reauthenticationRequired,
  refusalOf,
} from './principal.ts';
export { judgeRedisForSessions } from './redis-fitness.rule.ts';
export { RotationQueueFull } from './rotation.ts';
export type {
  EndedSession,
  IssuedSession,
  OwnedSession,
  Presented,
  Rotation,
  SessionLimits,
  SessionOfUser,
  SessionStore,
  SessionView,
} from './session-store.ts';
export {
  createSessions,
  type Ending,
  type EndReason,
  type NewSession,
  type Sessions,
  type StartSession,
  toSession,
} from './sessions.ts';
