/** Statements of the audit log: append an event, seal what is pending, read and walk the chain. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface AuditRow {
  readonly id: string;
  readonly time: Date;
  readonly type: string;
  readonly actor: string | null;
  readonly target: string | null;
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly outcome: 'success' | 'failure' | 'denied';
  readonly request_id: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface SealRow {
  readonly seq: number;
  readonly prev_hash: string;
  readonly hash: string;
}

const columns = 'id, time, type, actor, target, ip, user_agent, outcome, request_id, detail';

const append = statement<
  [string, number, string, string | null, string | null, string | null, string | null, string, string | null, string],
  never
>(
  'audit_append_event',
  `with event as (
     insert into audit_events (${columns})
     values ($1, to_timestamp($2::float8 / 1000), $3, $4, $5, $6, $7, $8, $9, $10::jsonb)
     returning id)
   insert into audit_pending (event_id) select id from event`,
);

export type NewAuditRow = Omit<AuditRow, 'time'> & { readonly timeMs: number };

export async function appendEvent(on: Queryable, event: NewAuditRow): Promise<void> {
  await on.run(append, [
    event.id,
    event.timeMs,
    event.type,
    event.actor,
    event.target,
    event.ip,
    event.user_agent,
    event.outcome,
    event.request_id,
    JSON.stringify(event.detail),
  ]);
}

type Texts = readonly (string | null)[];

const appendMany = statement<
  [readonly string[], readonly Date[], Texts, Texts, Texts, Texts, Texts, Texts, Texts, Texts],
  never
>(
  'audit_append_events',
  `with event as (
     insert into audit_events (${columns})
     select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                          $9::text[], $10::jsonb[])
     returning id)
   insert into audit_pending (event_id) select id from event`,
);

export async function appendEvents(on: Queryable, events: readonly NewAuditRow[]): Promise<void> {
  await on.run(appendMany, [
    events.map((event) => event.id),
    events.map((event) => new Date(event.timeMs)),
    events.map((event) => event.type),
    events.map((event) => event.actor),
    events.map((event) => event.target),
    events.map((event) => event.ip),
    events.map((event) => event.user_agent),
    events.map((event) => event.outcome),
    events.map((event) => event.request_id),
    events.map((event) => JSON.stringify(event.detail)),
  ]);
}

/** One sealer at a time, until its transaction ends. */
const lockSealing = statement<[], { locked: unknown }>(
  'audit_lock_sealing',
  `select pg_advisory_xact_lock(hashtext('auth-service/audit-seal')) as locked`,
);

const findHead = statement<[], SealRow>(
  'audit_find_head',
  'select seq, prev_hash, hash from audit_seals order by seq desc limit 1',
);

const consumePending = statement<[number], AuditRow>(
  'audit_consume_pending',
  `with taken as (
     delete from audit_pending where event_id in (select event_id from audit_pending order by event_id limit $1)
     returning event_id)
   select ${columns} from audit_events where id in (select event_id from taken) order by id`,
);

const appendSealsText = statement<[readonly number[], readonly string[], readonly string[], readonly string[]], never>(
  'audit_append_seals',
  `insert into audit_seals (seq, event_id, prev_hash, hash)
   select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[])`,
);

export async function lockSealer(on: Queryable): Promise<void> {
  await on.run(lockSealing, []);
}

export function findChainHead(on: Queryable): Promise<SealRow | undefined> {
  return one(on, findHead, []);
}

export function consumePendingEvents(on: Queryable, limit: number): Promise<readonly AuditRow[]> {
  return on.run(consumePending, [limit]);
}

export async function appendSeals(on: Queryable, seals: readonly (SealRow & { eventId: string })[]): Promise<void> {
  await on.run(appendSealsText, [
    seals.map((seal) => seal.seq),
    seals.map((seal) => seal.eventId),
    seals.map((seal) => seal.prev_hash),
    seals.map((seal) => seal.hash),
  ]);
}

/** A seal with its event; the event's columns are null where the event is gone. */
export type SealedRow = SealRow & { readonly event_id: string } & {
  readonly [K in keyof AuditRow]: AuditRow[K] | null;
};

const listSealed = statement<[number, number], SealedRow>(
  'audit_list_sealed',
  `select s.seq, s.event_id, s.prev_hash, s.hash,
          e.id, e.time, e.type, e.actor, e.target, e.ip, e.user_agent, e.outcome, e.request_id, e.detail
     from audit_seals s left join audit_events e on e.id = s.event_id
    where s.seq > $1 order by s.seq limit $2`,
);

export function listSealedAfter(on: Queryable, seq: number, limit: number): Promise<readonly SealedRow[]> {
  return on.run(listSealed, [seq, limit]);
}

const findUnchained = statement<[string, number], { last: string | null; unchained: string | null }>(
  'audit_find_unchained',
  `with page as materialized (select id from audit_events where id > $1::uuid order by id limit $2)
   select (select id from page order by id desc limit 1) as last,
          (select p.id from page p
            where not exists (select from audit_seals s where s.event_id = p.id)
              and not exists (select from audit_pending w where w.event_id = p.id)
            order by p.id limit 1) as unchained`,
);

/** One page of ids: its last one (`null` when there is none), and an event in it whose seal somebody took away. */
export async function findUnchainedEvent(
  on: Queryable,
  afterId: string,
  limit: number,
): Promise<{ readonly last: string | null; readonly unchained: string | null }> {
  return (await one(on, findUnchained, [afterId, limit])) ?? { last: null, unchained: null };
}

const countEvents = statement<[], { sealed: number; pending: number }>(
  'audit_count',
  `select coalesce((select max(seq) from audit_seals), 0) as sealed, (select count(*) from audit_pending) as pending`,
);

export async function countAudit(on: Queryable): Promise<{ sealed: number; pending: number }> {
  return (await one(on, countEvents, [])) ?? { sealed: 0, pending: 0 };
}

const findBySeq = statement<[number], SealRow>(
  'audit_find_seal',
  'select seq, prev_hash, hash from audit_seals where seq = $1',
);

const findFirstAndLast = statement<[], { seq: number | null; last: number | null }>(
  'audit_find_bounds',
  'select (select min(seq) from audit_seals) as seq, (select max(seq) from audit_seals) as last',
);

export const findSeal = (on: Queryable, seq: number): Promise<SealRow | undefined> => one(on, findBySeq, [seq]);

/** The first link that is there, and the last; none at all where the first is behind the last. */
export async function findBounds(on: Queryable): Promise<{ readonly seq: number; readonly last: number }> {
  const found = await one(on, findFirstAndLast, []);
  return { seq: found?.seq ?? 1, last: found?.last ?? 0 };
}
