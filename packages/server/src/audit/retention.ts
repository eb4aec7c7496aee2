/**
 * Retention: what is older than it may be is cut off the beginning, whole links at a time.
 *
 * A cut moves the anchor of the beginning, takes the rows before it away and writes an event about it, in one transaction. What
 * does not hold together is not cut: nobody gets rid of traces by waiting. The newest link always stays.
 */
import type { Database, Queryable } from '../platform/database/index.ts';
import { deleteUpTo, findAnchor, updateAnchor } from './anchors.sql.ts';
import type { Anchors } from './anchors.ts';
import { listSealedAfter, lockSealer, type SealedRow } from './audit.sql.ts';
import type { AuditEvent } from './audit.ts';
import { genesisHash } from './chain.rule.ts';
import { brokenLink } from './verify.ts';

const cutBatch = 2_000;

export interface CutDeps {
  readonly db: Database;
  readonly anchors: Anchors;
  readonly nowMs: () => number;
  readonly append: (tx: Queryable, event: AuditEvent) => Promise<void>;
}

/** How many events went: fewer than a batch when there are no more. */
export function cutOnce(
  { db, anchors, nowMs, append }: CutDeps,
  before: Date,
  assertFence: (tx: Queryable) => Promise<void>,
): Promise<number> {
  return db.transaction(async (tx) => {
    await assertFence(tx);
    await lockSealer(tx);
    const cut = await findAnchor(tx, 'cut');
    if (cut !== undefined && !anchors.holds('cut', cut)) return 0;
    const from = cut ?? { seq: 0, hash: genesisHash };
    const rows = await listSealedAfter(tx, from.seq, cutBatch + 1);
    const last = lastToCut(rows.slice(0, -1), from, before);
    if (last === undefined) return 0;
    await updateAnchor(tx, 'cut', anchors.make('cut', last, nowMs()));
    await deleteUpTo(tx, last.seq);
    await append(tx, {
      type: 'audit.cut',
      actor: 'system',
      target: null,
      outcome: 'success',
      detail: { from: from.seq + 1, to: last.seq, hash: last.hash, before: before.toISOString() },
    });
    return last.seq - from.seq;
  });
}

export const isWholeBatch = (cut: number): boolean => cut === cutBatch;

function lastToCut(
  rows: readonly SealedRow[],
  from: { readonly seq: number; readonly hash: string },
  before: Date,
): SealedRow | undefined {
  let last: SealedRow | undefined;
  for (const row of rows) {
    const { seq, hash } = last ?? from;
    if (brokenLink(row, seq + 1, hash) !== null || row.time === null || row.time >= before) return last;
    last = row;
  }
  return last;
}

/** While the root secret is being replaced: what the old one signed is signed by the new one. */
export async function renewAnchors(
  { db, anchors }: Pick<CutDeps, 'db' | 'anchors'>,
  assertFence: (tx: Queryable) => Promise<void>,
): Promise<void> {
  await db.transaction(async (tx) => {
    await assertFence(tx);
    await lockSealer(tx);
    for (const kind of ['head', 'cut'] as const) {
      const anchor = await findAnchor(tx, kind);
      if (anchor === undefined || !anchors.isOld(kind, anchor) || !anchors.holds(kind, anchor)) continue;
      await updateAnchor(tx, kind, anchors.make(kind, anchor, anchor.at.getTime()));
    }
  });
}
