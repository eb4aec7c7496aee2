/**
 * What a replica knows of the ledger, as a state machine without I/O: whoever reads the ledger drives it.
 *
 *   unread ──whole load──▶ following ──store epoch changed, or the clock ran back──▶ unread
 *   any ──stop──▶ stopped
 *
 * One attempt: `begin` before anything is sent, read the ledger as it says, `complete`. Rows are applied before the cursor moves,
 * and only then does the freshness count, from the moment of `begin`. An attempt that fails is simply never completed, and
 * changes nothing. Attempts may overlap and end in any order; one that began before an invalidation adds its rows and no more.
 */
import type { RevocationEntry } from '@auth-service/protocol';
import type { Freshness } from './freshness.ts';
import type { Replica } from './replica.ts';

/** A place in the ledger. It means something to whoever reads the ledger alone. */
export interface Cursor {
  readonly storeEpoch: string;
  /** Opaque here: it names what was visible when it was taken, and by that what was not. */
  readonly snapshot: string;
}

/** One reading of the ledger, begun; see `Subscriber.begin`. */
export interface Attempt {
  readonly sentMonotonicMs: number;
  readonly sentWallMs: number;
  /** Read what became visible since; `null` when `whole`. */
  readonly cursor: Cursor | null;
  /** Read every live entry, with a snapshot that is not later than the rows. */
  readonly whole: boolean;
  /** Which of the subscriber's lives this attempt belongs to. */
  readonly life: number;
  /** What the replica had swept when the attempt began. */
  readonly swept: number;
}

/** What one reading of the ledger brought. */
export interface LedgerRead {
  readonly storeEpoch: string;
  readonly snapshot: string;
  readonly entries: Iterable<RevocationEntry>;
  /** Every live entry, not only what became visible since the attempt's cursor. */
  readonly whole: boolean;
}

/** `load_whole`: this reading proves nothing, begin again at once. `superseded`: a later attempt decides. */
export type Completion = 'confirmed' | 'load_whole' | 'superseded';

/** What a replica knows of the ledger, as a state machine without I/O. */
export interface Subscriber {
  begin(): Attempt;
  /** Applies what was read. A throw means that nothing was confirmed. */
  complete(attempt: Attempt, read: LedgerRead): Completion;
  /** Stops vouching now and for good; rows still on their way are applied and prove nothing. */
  stop(): void;
  state(): 'unread' | 'following' | 'stopped';
  cursor(): Cursor | null;
}

/** Begins unread: the first attempt loads everything. */
export function createSubscriber(deps: {
  readonly replica: Pick<Replica, 'applyMany' | 'horizon' | 'reloaded' | 'swept'>;
  readonly freshness: Pick<Freshness, 'moment' | 'confirm' | 'invalidate'>;
  /** The clock by which entries are swept, milliseconds; that of `freshness` where nothing is said. */
  readonly wallNow?: () => number;
}): Subscriber {
  const { replica, freshness, wallNow = () => freshness.moment().wallMs } = deps;
  let cursor: Cursor | null = null;
  let life = 0;
  let stopped = false;

  function forget(): void {
    cursor = null;
    life += 1;
    freshness.invalidate();
  }

  return {
    begin() {
      // The clock ran ahead, entries were swept by it, and it ran back: they must be read again.
      if (cursor !== null && wallNow() / 1_000 < replica.horizon()) forget();
      const { monotonicMs, wallMs } = freshness.moment();
      return {
        sentMonotonicMs: monotonicMs,
        sentWallMs: wallMs,
        cursor,
        whole: cursor === null,
        life,
        swept: replica.swept(),
      };
    },

    complete(attempt, read) {
      // Adding is always right, whatever becomes of the attempt.
      replica.applyMany(read.entries);
      if (stopped || attempt.life !== life) return 'superseded';
      if (!read.whole && read.storeEpoch !== attempt.cursor?.storeEpoch) {
        forget();
        return 'load_whole';
      }
      if (read.whole) replica.reloaded(attempt.swept);
      cursor = { storeEpoch: read.storeEpoch, snapshot: read.snapshot };
      freshness.confirm(attempt.sentMonotonicMs, attempt.sentWallMs);
      return 'confirmed';
    },

    stop() {
      stopped = true;
      forget();
    },

    state: () => (stopped ? 'stopped' : cursor === null ? 'unread' : 'following'),
    cursor: () => cursor,
  };
}
