/** The walk over the whole chain: from the anchor of the last cut (or the beginning) to the anchor of the head, link by link. */
import type { Database } from '../platform/database/index.ts';
import { type AnchorRow, findAnchor } from './anchors.sql.ts';
import type { Anchors } from './anchors.ts';
import { countAudit, findUnchainedEvent, listSealedAfter, type SealedRow } from './audit.sql.ts';
import { genesisHash, isLinkHash } from './chain.rule.ts';

export interface Verification {
  readonly valid: boolean;
  readonly checked: number;
  readonly first_invalid: { readonly seq: number | null; readonly id: string | null; readonly reason: string } | null;
}

const walkBatch = 2_000;
const lowestId = '00000000-0000-0000-0000-000000000000';

interface Link {
  readonly seq: number;
  readonly hash: string;
}

const bad = (checked: number, reason: string, seq: number | null = null, id: string | null = null): Verification => ({
  valid: false,
  checked,
  first_invalid: { seq, id, reason },
});

export async function verifyChain(
  db: Database,
  anchors: Anchors,
  options: { readonly kept: readonly AnchorRow[]; readonly onProgress?: (done: number, total: number) => void },
): Promise<Verification> {
  // Read first: what is sealed from here on lies beyond it, and is walked as well.
  const head = await findAnchor(db, 'head');
  let from = await beginning(db, anchors);
  if ('valid' in from) return from;
  const forged = options.kept.find((anchor) => !anchors.holds('head', anchor));
  if (forged !== undefined) return bad(0, 'an anchor that was kept elsewhere is not of this root secret', forged.seq);
  if (head !== undefined && !anchors.holds('head', head))
    return bad(0, 'the anchor of its end is not of this root secret', head.seq);

  const expected = new Map<number, string>();
  const ends = [...options.kept, ...(head === undefined ? [] : [head])];
  for (const { seq, hash } of ends) {
    if (expected.has(seq) && expected.get(seq) !== hash) return bad(0, 'two anchors name different hashes for it', seq);
    expected.set(seq, hash);
  }

  const { sealed } = await countAudit(db);
  let last: Link = from;
  let checked = 0;
  for (;;) {
    const rows = await listSealedAfter(db, last.seq, walkBatch);
    for (const row of rows) {
      if (row.seq !== last.seq + 1) {
        // Retention may have cut meanwhile: then the walk goes on behind the cut.
        const moved = await beginning(db, anchors);
        if ('valid' in moved) return moved;
        if (moved.seq > last.seq) {
          from = moved;
          break;
        }
      }
      const reason = brokenLink(row, last.seq + 1, last.hash) ?? brokenAnchor(row, expected);
      if (reason !== null) return bad(checked, reason, row.seq, row.event_id);
      last = row;
      checked += 1;
    }
    options.onProgress?.(checked, Math.max(sealed - from.seq, checked));
    if (from.seq > last.seq) last = from;
    else if (rows.length < walkBatch) break;
  }
  const beyond = ends.find((anchor) => anchor.seq > last.seq);
  if (beyond !== undefined)
    return bad(checked, `rows ${last.seq + 1} to ${beyond.seq} were cut off its end`, beyond.seq);
  if (head === undefined && last.seq > 0) return bad(checked, 'the anchor of its end is missing', last.seq);
  return (await unchained(db, checked)) ?? { valid: true, checked, first_invalid: null };
}

async function beginning(db: Database, anchors: Anchors): Promise<Link | Verification> {
  const cut = await findAnchor(db, 'cut');
  if (cut === undefined) return { seq: 0, hash: genesisHash };
  return anchors.holds('cut', cut) ? cut : bad(0, 'its beginning was cut, and not by this service', cut.seq);
}

async function unchained(db: Database, checked: number): Promise<Verification | undefined> {
  let after: string | null = lowestId;
  while (after !== null) {
    const page: Awaited<ReturnType<typeof findUnchainedEvent>> = await findUnchainedEvent(db, after, walkBatch);
    if (page.unchained !== null) return bad(checked, 'its seal is missing', null, page.unchained);
    after = page.last;
  }
  return undefined;
}

/** Why this link does not hold, or `null`. */
export function brokenLink(row: SealedRow, expectedSeq: number, previousHash: string): string | null {
  if (row.seq !== expectedSeq) return `row ${expectedSeq} is missing`;
  if (row.prev_hash !== previousHash) return 'it does not follow the row before it';
  if (row.id === null || row.time === null || row.type === null || row.outcome === null) return 'its event is missing';
  const event = { ...row, id: row.id, time: row.time, type: row.type, outcome: row.outcome, detail: row.detail ?? {} };
  return isLinkHash(row.hash, row.seq, previousHash, event) ? null : 'its content was changed';
}

function brokenAnchor({ seq, hash }: Link, expected: ReadonlyMap<number, string>): string | null {
  const anchored = expected.get(seq);
  return anchored === undefined || anchored === hash
    ? null
    : 'it is not the row that was anchored: the log was written anew';
}
