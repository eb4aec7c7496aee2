/** Statements of the revocation ledger, of the beat (lease and catch-up), and of receipts. */
import type { RevocationEntry } from '@auth-service/protocol';
import { one, type Queryable, statement } from '../platform/database/index.ts';

const tokenTtl = `(select m.value::bigint from store_meta m where m.key = 'token_ttl_max') * interval '1 second'`;
/** How long after its lease a node's row is kept: for those who look, and for nodes that go on vouching while stale. */
const forgottenAfter = `greatest(interval '1 hour', ${tokenTtl} + interval '5 minutes')`;

export interface AppendedRow extends RevocationEntry {
  readonly xid: string;
  readonly store_epoch: string;
}

/** `expires_at` is decided on the database's clock: the longest token life of this store, and a margin. */
const append = statement<
  [readonly string[], readonly string[], readonly number[], readonly string[], readonly string[], number],
  AppendedRow
>(
  'revocations_append',
  `insert into revocations (kind, subject, min_epoch, expires_at, reason, actor)
   select e.kind, e.subject, e.min_epoch,
          clock_timestamp() + ((select m.value::bigint from store_meta m where m.key = 'token_ttl_max') + $6::bigint) * interval '1 second',
          e.reason, e.actor
     from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[]) as e (kind, subject, min_epoch, reason, actor)
   returning xid::text as xid, (select store_epoch()) as store_epoch, kind, subject, min_epoch, ceil(extract(epoch from expires_at))::float8 as expires_at`,
);

export interface NewRevocation {
  readonly kind: RevocationEntry['kind'];
  readonly subject: string;
  readonly minEpoch?: number;
  readonly reason: string;
  readonly actor: string;
}

export function appendRevocations(
  on: Queryable,
  entries: readonly NewRevocation[],
  marginSeconds: number,
): Promise<readonly AppendedRow[]> {
  return on.run(append, [
    entries.map((entry) => entry.kind),
    entries.map((entry) => entry.subject),
    entries.map((entry) => entry.minEpoch ?? 0),
    entries.map((entry) => entry.reason),
    entries.map((entry) => entry.actor),
    marginSeconds,
  ]);
}

const current = statement<[], Pick<AppendedRow, 'xid' | 'store_epoch'>>(
  'revocations_find_current',
  'select pg_current_xact_id()::text as xid, store_epoch() as store_epoch',
);

/** The transaction itself: in whose snapshot it is visible, everything is that was committed before it. */
export const findCurrentTransaction = (on: Queryable): Promise<Pick<AppendedRow, 'xid' | 'store_epoch'> | undefined> =>
  one(on, current, []);

/** Another process that may vouch: its lease has not ended. */
export interface LivePeer {
  readonly incarnation: string;
  readonly name: string;
  /** `host:port` of its mesh; `null` where it has none. */
  readonly address: string | null;
}

/**
 * Statement 1 of the beat, a transaction of its own, committed before statement 2 is sent. A late one never shortens the
 * lease. `peers`: the other live incarnations, and where they say that they can be reached.
 */
const lease = statement<
  [string, string, string | null, string, number, number, string | null, string | null, object],
  { peers: readonly LivePeer[]; now_ms: number; beat_at: string }
>(
  'cluster_nodes_upsert_lease',
  `with mine as (
     insert into cluster_nodes as n (incarnation, name, address, version, started_at, beat_at, lease_until, confirmed, confirmed_epoch, stats)
     values ($1, $2, $3, $4, to_timestamp($5::float8 / 1000), clock_timestamp(),
             clock_timestamp() + $6::float8 * interval '1 millisecond', $7::pg_snapshot, $8, $9::jsonb)
     on conflict (incarnation) do update
        set beat_at = clock_timestamp(),
            lease_until = greatest(n.lease_until, excluded.lease_until),
            address = excluded.address,
            confirmed = excluded.confirmed, confirmed_epoch = excluded.confirmed_epoch, stats = excluded.stats
     returning beat_at)
   select (select coalesce(jsonb_agg(jsonb_build_object('incarnation', p.incarnation, 'name', p.name, 'address', p.address)), '[]')
             from cluster_nodes p where p.lease_until > clock_timestamp() and p.incarnation <> $1) as peers,
          (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
          (select beat_at::text from mine) as beat_at`,
);

export function updateLease(
  on: Queryable,
  node: {
    incarnation: string;
    name: string;
    address: string | null;
    version: string;
    startedAtMs: number;
    servesStale: boolean;
    stats?: () => Readonly<Record<string, unknown>>;
  },
  leaseMs: number,
  confirmed: { snapshot: string; storeEpoch: string } | null,
): Promise<{ peers: readonly LivePeer[]; now_ms: number; beat_at: string } | undefined> {
  return one(on, lease, [
    node.incarnation,
    node.name,
    node.address,
    node.version,
    node.startedAtMs,
    leaseMs,
    confirmed?.snapshot ?? null,
    confirmed?.storeEpoch ?? null,
    { ...node.stats?.(), serves_stale: node.servesStale },
  ]);
}

export interface BeatRow {
  readonly snapshot: string;
  readonly store_epoch: string;
  readonly keys_version: string;
  /** Whether API keys changed since, which are read by the same cursor. */
  readonly api_keys_changed: boolean;
  readonly kind: RevocationEntry['kind'] | null;
  readonly subject: string | null;
  readonly min_epoch: number | null;
  readonly expires_at: number | null;
}

/** Statement 2: one statement, so the snapshot and the rows are of one moment. One row with nulls when nothing is new. */
const readSince = statement<[string], BeatRow>(
  'revocations_list_since',
  `select s.snapshot, s.store_epoch, s.keys_version, s.api_keys_changed, r.kind, r.subject, r.min_epoch,
          ceil(extract(epoch from r.expires_at))::float8 as expires_at
     from (select pg_current_snapshot()::text as snapshot, store_epoch() as store_epoch,
                  (select value from store_meta where key = 'keys_version') as keys_version,
                  exists (select from api_keys k where k.xid >= pg_snapshot_xmax($1::pg_snapshot)
                      or k.xid = any (array(select pg_snapshot_xip($1::pg_snapshot)))) as api_keys_changed) s
     left join revocations_visible_since($1::pg_snapshot) r on true`,
);

/** The same for the feed, with a limit. */
const readSinceAtMost = statement<[string, number], Omit<BeatRow, 'keys_version' | 'api_keys_changed'>>(
  'revocations_list_since_at_most',
  `select s.snapshot, s.store_epoch, r.kind, r.subject, r.min_epoch,
          ceil(extract(epoch from r.expires_at))::float8 as expires_at
     from (select pg_current_snapshot()::text as snapshot, store_epoch() as store_epoch) s
     left join revocations_visible_since($1::pg_snapshot) r on true
    limit $2`,
);

/** At most so many of what became visible since, with the moment of the reading. */
export async function listSinceAtMost(
  on: Queryable,
  snapshot: string,
  limit: number,
): Promise<{ snapshot: string; storeEpoch: string; entries: readonly RevocationEntry[] }> {
  const rows = await on.run(readSinceAtMost, [snapshot, limit]);
  const [first] = rows;
  if (first === undefined) throw new Error('the ledger has no moment');
  const entries = rows.flatMap(({ kind, subject, min_epoch, expires_at }) =>
    kind === null || subject === null
      ? []
      : [{ kind, subject, min_epoch: min_epoch ?? 0, expires_at: expires_at ?? 0 }],
  );
  return { snapshot: first.snapshot, storeEpoch: first.store_epoch, entries };
}

const readMoment = statement<[], Pick<BeatRow, 'snapshot' | 'store_epoch' | 'keys_version'>>(
  'revocations_find_moment',
  `select pg_current_snapshot()::text as snapshot, store_epoch() as store_epoch,
          (select value from store_meta where key = 'keys_version') as keys_version`,
);

export type LivePageRow = RevocationEntry & { readonly id: string };

const readLivePage = statement<[string, number], LivePageRow>(
  'revocations_list_live',
  `select id, kind, subject, min_epoch, ceil(extract(epoch from expires_at))::float8 as expires_at
     from revocations where id > $1 and expires_at > clock_timestamp() order by id limit $2`,
);

export const listRevocationsSince = (on: Queryable, snapshot: string): Promise<readonly BeatRow[]> =>
  on.run(readSince, [snapshot]);

export async function findMoment(on: Queryable): Promise<Pick<BeatRow, 'snapshot' | 'store_epoch' | 'keys_version'>> {
  const row = await one(on, readMoment, []);
  if (row === undefined) throw new Error('the ledger has no moment');
  return row;
}

export const listLivePage = (on: Queryable, afterId: string, limit: number): Promise<readonly LivePageRow[]> =>
  on.run(readLivePage, [afterId, limit]);

export interface LeaseRow {
  readonly incarnation: string;
  readonly name: string;
  /** When it stops vouching without another beat: the end of its lease, or of every token where it serves while stale. */
  readonly vouches_until: Date;
  /** Those of the asked transactions that are visible in the snapshot that it has confirmed. */
  readonly confirmed_xids: readonly string[];
}

export interface Leases {
  /** The history in which they were read. */
  readonly storeEpoch: string;
  /** Since a change of timeline was first noticed: leases that were taken before it may be lost, and commits too. */
  readonly timelineAgeMs: number;
  readonly live: readonly LeaseRow[];
}

interface LeasesRow {
  readonly store_epoch: string;
  readonly timeline_age_ms: number;
  readonly incarnation: string | null;
  readonly name: string;
  readonly vouches_until: Date;
  readonly confirmed_xids: readonly string[];
}

/**
 * The nodes that may vouch, each with those of the asked transactions that it has confirmed; one row with nulls when there
 * is none. A node that is configured to serve while stale may vouch past its lease, until the last token of before has
 * expired. A timeline that nobody has noted yet has changed just now.
 */
const listLeases = statement<[readonly string[]], LeasesRow>(
  'cluster_nodes_list_leases',
  `select s.store_epoch,
          coalesce((select case when split_part(m.value, '/', 1) = split_part(s.store_epoch, '/', 2)
                                then greatest(0, extract(epoch from clock_timestamp()) - split_part(m.value, '/', 2)::float8) * 1000
                                else 0 end
                      from store_meta m where m.key = 'timeline'), extract(epoch from clock_timestamp()) * 1000)::float8
            as timeline_age_ms,
          n.incarnation, n.name, n.vouches_until,
          array(select x.xid::text from unnest($1::text[]) as x (xid)
                 where n.confirmed_epoch = s.store_epoch and n.confirmed is not null
                   and pg_visible_in_snapshot(x.xid::xid8, n.confirmed)) as confirmed_xids
     from (select store_epoch() as store_epoch) s
     left join (select c.*, case when (c.stats ->> 'serves_stale')::boolean then c.lease_until + ${tokenTtl} else c.lease_until end
             as vouches_until from cluster_nodes c) n
       on n.vouches_until > clock_timestamp()`,
);

export async function listLiveLeases(on: Queryable, xids: readonly string[]): Promise<Leases> {
  const rows = await on.run(listLeases, [xids]);
  const [first] = rows;
  if (first === undefined) throw new Error('the leases have no moment');
  const live = rows.filter((row): row is LeasesRow & LeaseRow => row.incarnation !== null);
  return { storeEpoch: first.store_epoch, timelineAgeMs: first.timeline_age_ms, live };
}

/** Notes the timeline, and since when: a fail-over is then known to nodes that were not there, and to the command line. */
const noteTimelineText = statement<[], never>(
  'store_meta_update_timeline',
  `insert into store_meta as m (key, value) values ('timeline', split_part(store_epoch(), '/', 2) || '/0')
   on conflict (key) do update
      set value = split_part(store_epoch(), '/', 2) || '/' || extract(epoch from clock_timestamp())::text
    where split_part(m.value, '/', 1) <> split_part(store_epoch(), '/', 2)`,
);

export async function noteTimeline(on: Queryable): Promise<void> {
  await on.run(noteTimelineText, []);
}

const restoreText = statement<[readonly string[], readonly string[], readonly number[], readonly number[]], never>(
  'revocations_append_again',
  `insert into revocations (kind, subject, min_epoch, expires_at, reason, actor)
   select e.kind, e.subject, e.min_epoch, to_timestamp(e.expires_at), 'written_back', 'fail_over'
     from unnest($1::text[], $2::text[], $3::bigint[], $4::float8[]) as e (kind, subject, min_epoch, expires_at)
    where to_timestamp(e.expires_at) > clock_timestamp()`,
);

/** Entries that a fail-over has lost, with the expiry that they had. */
export async function appendAgain(on: Queryable, entries: readonly RevocationEntry[]): Promise<void> {
  await on.run(restoreText, [
    entries.map((entry) => entry.kind),
    entries.map((entry) => entry.subject),
    entries.map((entry) => entry.min_epoch),
    entries.map((entry) => entry.expires_at),
  ]);
}

const deleteLeaseText = statement<[string, string], never>(
  'cluster_nodes_delete',
  'delete from cluster_nodes where incarnation = $1 and beat_at = $2::text::timestamptz',
);

/** Only the lease that was taken by that beat: a deletion that runs late must not take away what was renewed meanwhile. */
export async function deleteLease(on: Queryable, incarnation: string, beatAt: string): Promise<void> {
  await on.run(deleteLeaseText, [incarnation, beatAt]);
}

const deleteExpiredText = statement<[number], { id: string }>(
  'revocations_delete_expired',
  `delete from revocations where id in (
     select id from revocations where expires_at < clock_timestamp() - interval '1 minute'
      order by expires_at limit $1 for update skip locked)
   returning id`,
);

const deleteDeadNodesText = statement<[], { incarnation: string }>(
  'cluster_nodes_delete_dead',
  `delete from cluster_nodes where lease_until < clock_timestamp() - ${forgottenAfter} returning incarnation`,
);

/** One bounded batch; answers how many went. */
export async function deleteExpiredRevocations(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteExpiredText, [limit])).length;
}

export async function deleteDeadNodes(on: Queryable): Promise<number> {
  return (await on.run(deleteDeadNodesText, [])).length;
}
