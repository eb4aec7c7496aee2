/** Statements of the two anchors of the chain, and of what is cut off before one of them. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface AnchorRow {
  readonly seq: number;
  readonly hash: string;
  readonly at: Date;
  readonly mac: Uint8Array;
}

/** `head`: the last link that we made. `cut`: the last one that retention took away. */
export type AnchorKind = 'head' | 'cut';

const find = statement<[AnchorKind], AnchorRow>(
  'audit_find_anchor',
  'select seq, hash, at, mac from audit_anchors where kind = $1',
);

const update = statement<[AnchorKind, number, string, Date, Uint8Array], never>(
  'audit_update_anchor',
  `insert into audit_anchors (kind, seq, hash, at, mac) values ($1, $2, $3, $4, $5)
   on conflict (kind) do update set seq = excluded.seq, hash = excluded.hash, at = excluded.at, mac = excluded.mac`,
);

const deleteEvents = statement<[number], never>(
  'audit_delete_cut_events',
  'delete from audit_events where id in (select event_id from audit_seals where seq <= $1)',
);

const deleteSeals = statement<[number], never>('audit_delete_cut_seals', 'delete from audit_seals where seq <= $1');

export const findAnchor = (on: Queryable, kind: AnchorKind): Promise<AnchorRow | undefined> => one(on, find, [kind]);

export async function updateAnchor(on: Queryable, kind: AnchorKind, anchor: AnchorRow): Promise<void> {
  await on.run(update, [kind, anchor.seq, anchor.hash, anchor.at, anchor.mac]);
}

/** Events and seals up to here; the database refuses what the anchor of the cut does not cover. */
export async function deleteUpTo(on: Queryable, seq: number): Promise<void> {
  await on.run(deleteEvents, [seq]);
  await on.run(deleteSeals, [seq]);
}
