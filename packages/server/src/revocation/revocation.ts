/** Use cases of revocation: append in the caller's transaction, then settle after its commit. See `index.ts`. */
import type { Replica } from '@auth-service/guard';
import type { Receipt, RevocationEntry } from '@auth-service/protocol';
import type { RootSecret } from '../keys/index.ts';
import { type Database, DatabaseUnavailable, type Queryable } from '../platform/database/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { type Beat, lostCommits } from './beat.ts';
import { appendRevocations, findCurrentTransaction, findMoment, type NewRevocation } from './ledger.sql.ts';
import { readPosition, writePosition } from './position.rule.ts';
import { type Barrier, type Standing, toReceipt } from './receipts.ts';

/** What a transaction wrote into the ledger; it counts for nothing until `settle` was called after the commit. */
export interface Pending {
  readonly xid: string;
  /** Of the history in which it was written. */
  readonly storeEpoch: string;
  readonly entries: readonly RevocationEntry[];
  /**
   * Its receipt speaks of more than its entries: of what others had committed just before. Who has applied the entries may not
   * know that yet; the ledger alone tells.
   */
  readonly withOthers: boolean;
}

export interface Revocation {
  /**
   * Writes the ledger rows in the caller's transaction. `null` when there is nothing to write. Once a transaction: what others
   * acknowledge is the transaction as a whole.
   */
  append(
    tx: Queryable,
    entries: readonly NewRevocation[],
    options?: { readonly withOthers: boolean },
  ): Promise<Pending | null>;
  /**
   * For what had nothing left to write, because others ended it just before: a receipt of this waits until everything is
   * known that was committed before it.
   */
  mark(tx: Queryable): Promise<Pending>;
  /** After the commit: applies here, hints to the others, waits for them, answers the receipt. Never throws the fact away. */
  settle(pending: Pending | null, userId: string): Promise<Receipt>;
  /** After the commit, where nobody waits for a receipt: applies here and hints. */
  applyOnly(pending: Pending | null): void;
  /** The receipt as it stands now; `undefined` for what is no position of ours. */
  standing(position: string): Promise<{ readonly receipt: Receipt; readonly userId: string } | undefined>;
}

/** Leeway of verification, and room for a node whose clock is behind the database's, seconds. */
export const ledgerMarginSeconds = 120;
const nothingWritten = '0';
const nobody = { acknowledged: 0, pending: [] };
const appendBatch = 5_000;

export function createRevocation(deps: {
  readonly db: Database;
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly replica: Pick<Replica, 'apply'> | null;
  readonly barrier: Barrier;
  /** `null` in a process that only writes the ledger (the command line). */
  readonly beat: Pick<Beat, 'cursor' | 'quietUntil' | 'nudge'> | null;
  /** The longest a node vouches without a beat, and the margin of its lease, milliseconds; longer where nodes serve while stale. */
  readonly leaseMs: number;
  readonly hint: (pending: Pending) => void;
  readonly observe: (entry: RevocationEntry) => void;
  /** Seconds until every live node had confirmed, where they did in time. */
  readonly onPropagated: (seconds: number) => void;
}): Revocation {
  const { db, root, clock, barrier, beat } = deps;

  const written = new WeakSet<Queryable>();
  function assertFirst(tx: Queryable): void {
    if (written.has(tx)) throw new Error('a transaction writes into the ledger once: put its entries together');
    written.add(tx);
  }

  async function epochNow(): Promise<string> {
    return beat?.cursor()?.storeEpoch ?? (await findMoment(db)).store_epoch;
  }

  /**
   * After a fail-over leases may be lost, of nodes that still vouch. It shows in what the leases were read with, whether the
   * beat has seen it or not, whether this process was there or not; `storeEpoch` is that of the revocation itself.
   */
  function quiet(storeEpoch: string, standing: Standing): { until: Date } | null {
    const changed = storeEpoch !== '' && lostCommits(storeEpoch, standing.storeEpoch);
    const seen = (beat?.quietUntil() ?? Number.NEGATIVE_INFINITY) - clock.monotonicMs();
    const left = changed ? deps.leaseMs : Math.max(seen, deps.leaseMs - standing.timelineAgeMs);
    return left > 0 ? { until: new Date(clock.wallMs() + left) } : null;
  }

  function applyOnly(pending: Pending | null): void {
    if (pending === null) return;
    for (const entry of pending.entries) {
      deps.replica?.apply(entry);
      deps.observe(entry);
    }
    if (!pending.withOthers) {
      barrier.applied(pending.xid, pending.storeEpoch);
      deps.hint(pending);
      return;
    }
    // What others have committed must be read, here and there; the word to look is a hint without entries.
    beat?.nudge();
    deps.hint({ ...pending, entries: [] });
  }

  return {
    async append(tx, entries, { withOthers } = { withOthers: false }) {
      if (entries.length === 0) return null;
      assertFirst(tx);
      const made: RevocationEntry[] = [];
      let xid = nothingWritten;
      let storeEpoch = '';
      for (let start = 0; start < entries.length; start += appendBatch) {
        const rows = await appendRevocations(tx, entries.slice(start, start + appendBatch), ledgerMarginSeconds);
        for (const row of rows) {
          xid = row.xid;
          storeEpoch = row.store_epoch;
          made.push({ kind: row.kind, subject: row.subject, min_epoch: row.min_epoch, expires_at: row.expires_at });
        }
      }
      return { xid, storeEpoch, entries: made, withOthers };
    },

    async mark(tx) {
      assertFirst(tx);
      const row = await findCurrentTransaction(tx);
      if (row === undefined) throw new Error('a transaction has an id');
      return { xid: row.xid, storeEpoch: row.store_epoch, entries: [], withOthers: true };
    },

    applyOnly,

    async settle(pending, userId) {
      applyOnly(pending);
      const xid = pending?.xid ?? nothingWritten;
      try {
        if (pending === null || xid === nothingWritten) {
          const position = writePosition(root, { xid: nothingWritten, storeEpoch: await epochNow(), userId });
          return toReceipt(position, nobody, null, new Date(clock.wallMs()));
        }
        const since = clock.monotonicMs();
        const standing = await barrier.wait(xid, pending.storeEpoch);
        if (standing.pending.length === 0) deps.onPropagated((clock.monotonicMs() - since) / 1_000);
        const { storeEpoch } = pending;
        const position = writePosition(root, { xid, storeEpoch, userId });
        return toReceipt(position, standing, quiet(storeEpoch, standing), new Date(clock.wallMs()));
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable)) throw error;
        // The fact is committed, only who knows it cannot be asked: nobody vouches past the longest lease.
        const now = clock.wallMs();
        const position = writePosition(root, { xid, storeEpoch: pending?.storeEpoch ?? '', userId });
        const unknown = { until: new Date(now + deps.leaseMs) };
        return toReceipt(position, nobody, unknown, new Date(now));
      }
    },

    async standing(text) {
      const position = readPosition(root, text);
      if (position === undefined) return undefined;
      const now = new Date(clock.wallMs());
      if (position.xid === nothingWritten) {
        return { receipt: toReceipt(text, nobody, null, now), userId: position.userId };
      }
      const standing = await barrier.stand(position.xid, position.storeEpoch);
      // After a fail-over the transaction may be lost and its id another's; those of another store never had to do with it.
      const { storeEpoch } = position;
      if (storeEpoch === '' || lostCommits(storeEpoch, standing.storeEpoch)) return undefined;
      return { receipt: toReceipt(text, standing, quiet(storeEpoch, standing), now), userId: position.userId };
    },
  };
}
