/**
 * A model of the revocation ledger as PostgreSQL keeps it: transaction ids are given at the first write, commits come in any
 * order, a snapshot is (xmax, those in progress), sequence numbers become visible out of order. A restart aborts what is open;
 * a fail-over may lose the last commits and hands out their transaction ids again.
 */
import type { RevocationEntry } from '@auth-service/protocol';

export interface Row {
  readonly xid: number;
  /** As a serial column would number it: taken at the insert, not at the commit. */
  readonly sequence: number;
  readonly entry: RevocationEntry;
  /** True time of the commit, milliseconds; `undefined` while open. */
  committedAt: number | undefined;
}

export interface Snapshot {
  readonly xmax: number;
  readonly inProgress: readonly number[];
}

export interface Ledger {
  storeEpoch(): string;
  begin(entries: readonly RevocationEntry[]): number;
  open(): readonly number[];
  commit(xid: number, now: number): readonly Row[];
  abort(xid: number): void;
  snapshot(): Snapshot;
  /** Committed rows that are not expired. */
  live(nowSeconds: number): readonly Row[];
  visibleSince(snapshot: Snapshot, nowSeconds: number): readonly Row[];
  /** The wrong way: rows numbered above the last one seen. */
  numberedAbove(sequence: number, nowSeconds: number): readonly Row[];
  restart(): void;
  failOver(lostCommits: number): void;
}

export const isVisible = (row: Row, { xmax, inProgress }: Snapshot): boolean =>
  row.committedAt !== undefined && row.xid < xmax && !inProgress.includes(row.xid);

export function createLedger(): Ledger {
  let rows: Row[] = [];
  let nextXid = 100;
  let nextSequence = 1;
  let epoch = 1;
  const inProgress = new Set<number>();

  function abort(xid: number): void {
    rows = rows.filter((row) => row.xid !== xid);
    inProgress.delete(xid);
  }
  const live = (nowSeconds: number): readonly Row[] =>
    rows.filter((row) => row.committedAt !== undefined && row.entry.expires_at > nowSeconds);

  function restart(): void {
    for (const xid of [...inProgress]) abort(xid);
    epoch += 1;
  }

  return {
    storeEpoch: () => `store/${epoch}`,
    begin(entries) {
      const xid = nextXid;
      nextXid += 1;
      inProgress.add(xid);
      for (const entry of entries) {
        rows.push({ xid, sequence: nextSequence, entry, committedAt: undefined });
        nextSequence += 1;
      }
      return xid;
    },
    open: () => [...inProgress],
    commit(xid, now) {
      inProgress.delete(xid);
      const written = rows.filter((row) => row.xid === xid);
      for (const row of written) row.committedAt = now;
      return written;
    },
    abort,
    snapshot: () => ({ xmax: nextXid, inProgress: [...inProgress] }),
    live,
    visibleSince: (snapshot, nowSeconds) =>
      live(nowSeconds).filter((row) => row.xid >= snapshot.xmax || snapshot.inProgress.includes(row.xid)),
    numberedAbove: (sequence, nowSeconds) => live(nowSeconds).filter((row) => row.sequence > sequence),
    restart,
    failOver(lostCommits) {
      restart();
      const commits = [
        ...new Set(rows.toSorted((a, b) => (a.committedAt ?? 0) - (b.committedAt ?? 0)).map((row) => row.xid)),
      ];
      const lost = new Set(lostCommits === 0 ? [] : commits.slice(-lostCommits));
      rows = rows.filter((row) => !lost.has(row.xid));
      nextXid = Math.max(100, ...rows.map((row) => row.xid + 1));
      nextSequence = Math.max(1, ...rows.map((row) => row.sequence + 1));
    },
  };
}
