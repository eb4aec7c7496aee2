/**
 * Sessions: what a login starts and a logout ends, and the rotation of their refresh tokens.
 *
 * - A rotation is one compare-and-swap statement; of any number of parallel ones for one token exactly one wins.
 * - Whoever ends a session writes the ledger in the same transaction; the row goes, so nothing brings it back.
 * - A user has at most so many sessions as configured; the least recently used one makes room.
 * - Without the database: 503, never "invalid".
 */
export { originOf } from './origin.ts';
export { type BearerOutcome, createBearer, defineRoute, type Principal } from './principal.ts';
export { type Presented, RotationQueueFull } from './rotation.ts';
export type { EndedRow, RotatedRow, SessionRow } from './sessions.sql.ts';
export {
  createSessions,
  type EndReason,
  type NewSession,
  type SessionLimits,
  type Sessions,
  type Started,
} from './sessions.ts';
