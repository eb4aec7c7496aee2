/**
 * Subscribers that are wrong in one way each. They exist to be caught: a simulation that lets one of them pass proves nothing.
 */
import type { Attempt, Completion, Cursor, LedgerRead, Subscriber } from '@auth-service/guard';

export type Flaw =
  /** The next read asks for rows numbered above the last one seen. */
  | 'cursor_by_sequence'
  /** Fresh for the whole bound from when the answer was applied. */
  | 'fresh_from_the_answer'
  /** The cursor moves, then the rows are applied: a failure between loses them. */
  | 'cursor_before_rows'
  /** In a whole load the snapshot is taken after the rows were read. */
  | 'snapshot_after_rows'
  /** A whole load takes the place of what is held. */
  | 'reload_replaces'
  /** A new process begins with the cursor of the one before it. */
  | 'cursor_kept_over_restart'
  /** Another store epoch is not noticed. */
  | 'epoch_ignored'
  /** Nothing is read anew after a clock ran ahead and back, and what was swept is forgotten. */
  | 'clock_ignored';

export interface SubscriberDeps {
  readonly replica: { applyMany(entries: Iterable<LedgerRead['entries'] extends Iterable<infer E> ? E : never>): void };
  readonly freshness: {
    moment(): { readonly monotonicMs: number; readonly wallMs: number };
    confirm(sentAtMonotonicMs: number, sentAtWallMs: number): void;
    invalidate(): void;
  };
  /** Empties the replica, for the variant that replaces. */
  readonly clear: () => void;
  readonly keptCursor: Cursor | null;
}

export function createFlawedSubscriber(flaw: Flaw, deps: SubscriberDeps): Subscriber {
  const { replica, freshness } = deps;
  let cursor: Cursor | null = flaw === 'cursor_kept_over_restart' ? deps.keptCursor : null;
  return {
    begin(): Attempt {
      const { monotonicMs, wallMs } = freshness.moment();
      return { sentMonotonicMs: monotonicMs, sentWallMs: wallMs, cursor, whole: cursor === null, life: 0, swept: 0 };
    },
    complete(attempt, read): Completion {
      const next = { storeEpoch: read.storeEpoch, snapshot: read.snapshot };
      const otherEpoch = !read.whole && read.storeEpoch !== attempt.cursor?.storeEpoch;
      if (flaw === 'cursor_before_rows' && !otherEpoch) cursor = next;
      if (flaw === 'reload_replaces' && read.whole) deps.clear();
      replica.applyMany(read.entries);
      if (otherEpoch && flaw !== 'epoch_ignored') {
        cursor = null;
        freshness.invalidate();
        return 'load_whole';
      }
      cursor = next;
      const sent = flaw === 'fresh_from_the_answer' ? freshness.moment() : undefined;
      freshness.confirm(sent?.monotonicMs ?? attempt.sentMonotonicMs, sent?.wallMs ?? attempt.sentWallMs);
      return 'confirmed';
    },
    stop: () => freshness.invalidate(),
    state: () => (cursor === null ? 'unread' : 'following'),
    cursor: () => cursor,
  };
}
