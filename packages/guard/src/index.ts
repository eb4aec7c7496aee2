/**
 * Guard: verifies access tokens and holds the revocations that are in force, without I/O. The service protects its own routes
 * with it. What reads the ledger, here or over the network, drives a `Subscriber`; the rest follows:
 *
 *   subscriber ──▶ replica, freshness ──▶ verifier
 */
export {
  type ApiKeyRecord,
  type ApiKeyTable,
  createApiKeyTable,
  type KeyRefusal,
  looksLikeApiKey,
  type RefusedKey,
  type VerifiedKey,
} from './api-keys.ts';
export { signCompact } from './compact.ts';
export { createGuard, type Guard, type GuardEvent, type GuardFigures, type GuardOptions } from './create-guard.ts';
export type { Answer, DoorCode } from './doors/answer.ts';
export {
  type Auth,
  createDecide,
  type Decide,
  type Decision,
  type Incoming,
  type Judge,
  type Judgement,
  type TokenRefusal,
} from './doors/decide.ts';
export type { Decider, Door } from './doors/door.ts';
export { createLocalJudge } from './doors/judge.ts';
export { bounded, type FreshnessPolicy, type Requirement, type RequireOptions } from './doors/requirement.ts';
export { createFreshness, type Freshness, type Moment } from './freshness.ts';
export { createKeySet, type KeySet, type VerificationKey } from './keys.ts';
export type { FollowerFigures } from './remote/follower.ts';
export { type FeedPage, FeedRefused, type RevocationSource } from './remote/revocation-source.ts';
export { createReplica, type Replica } from './replica.ts';
export {
  type Attempt,
  type Completion,
  type Cursor,
  createSubscriber,
  type LedgerRead,
  type Subscriber,
} from './subscriber.ts';
export {
  type CacheEntry,
  createVerifier,
  type RefusalDetail,
  type RefusalReason,
  type Refused,
  type Verified,
  type Verifier,
  type VerifierFigures,
  type VerifierSettings,
} from './verify.ts';
