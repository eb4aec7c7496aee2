/**
 * Revocation: the ledger, the beat that keeps this node's replica of it, and receipts.
 *
 * - A revocation stands when its transaction has committed; the ledger is the truth, messages only make it fast.
 * - `settle` answers "everywhere" only when every node that may still vouch has confirmed it; else it names who has not,
 *   and by when the last of them stops vouching.
 * - Without the database nothing is revoked (503), and this node stops vouching once its proof is older than the bound.
 */
export { type Beat, type BeatNode, createBeat } from './beat.ts';
export { createFeed, type Feed } from './feed.ts';
export { streamFeed, toFeedBody } from './feed-stream.ts';
export {
  deleteDeadNodes,
  deleteExpiredRevocations,
  type LivePeer,
  type NewRevocation,
} from './ledger.sql.ts';
export { type Barrier, createBarrier } from './receipts.ts';
export { createRevocation, type Pending, type Revocation } from './revocation.ts';
