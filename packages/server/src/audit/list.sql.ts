/**
 * Statements that list the audit log, newest first. Each is led by the one filter that an index serves best, so that its plan is
 * good for whatever it is asked; the other filters are applied to what the index brings.
 */
import { type Queryable, type Statement, statement } from '../platform/database/index.ts';
import type { AuditRow, SealRow } from './audit.sql.ts';

export interface AuditFilters {
  readonly type?: string | undefined;
  readonly actor?: string | undefined;
  readonly target?: string | undefined;
  /** Actor or target. */
  readonly about?: string | undefined;
  /** From this time on. */
  readonly since?: Date | undefined;
  /** Before this time. */
  readonly until?: Date | undefined;
}

/** An event with its seal; the seal's columns are null where the event waits for it. */
export type FoundRow = AuditRow & { readonly [K in keyof SealRow]: SealRow[K] | null };

type Params = readonly [
  limit: number,
  afterId: string,
  beforeId: string,
  since: string,
  until: string,
  type: string | null,
  actor: string | null,
  target: string | null,
  about: string | null,
];

const columns = 'id, time, type, actor, target, ip, user_agent, outcome, request_id, detail';

/** Ids bound the range of the index; the times themselves decide, as an id may be a little later than its event. */
const page = (condition: string): string =>
  `select ${columns} from audit_events
    where id >= $2::uuid and id < $3::uuid and time >= $4::timestamptz and time < $5::timestamptz
      and ($6::text is null or type = $6) and ($7::text is null or actor = $7) and ($8::text is null or target = $8)
      and ($9::text is null or actor = $9 or target = $9)${condition}
    order by id desc limit $1`;

const listed = (events: string): string =>
  `with e as materialized (${events})
   select e.id, e.time, e.type, e.actor, e.target, e.ip, e.user_agent, e.outcome, e.request_id, e.detail,
          s.seq, s.prev_hash, s.hash
     from e left join audit_seals s on s.event_id = e.id
    order by e.id desc`;

const lists = {
  all: statement<Params, FoundRow>('audit_list', listed(page(''))),
  type: statement<Params, FoundRow>('audit_list_by_type', listed(page(' and type = $6::text'))),
  actor: statement<Params, FoundRow>('audit_list_by_actor', listed(page(' and actor = $7::text'))),
  target: statement<Params, FoundRow>('audit_list_by_target', listed(page(' and target = $8::text'))),
  // An event that somebody did to themselves is in both.
  about: statement<Params, FoundRow>(
    'audit_list_about',
    listed(
      `select * from ((${page(' and actor = $9::text')}) union (${page(' and target = $9::text')})) both_ends
        order by id desc limit $1`,
    ),
  ),
} satisfies Record<string, Statement<Params, FoundRow>>;

/** Rarest first: few events have one target, fewer than one actor, fewer than one type. */
function leading(filters: AuditFilters): keyof typeof lists {
  if (filters.target !== undefined) return 'target';
  if (filters.actor !== undefined) return 'actor';
  if (filters.about !== undefined) return 'about';
  return filters.type === undefined ? 'all' : 'type';
}

/** By how much an id may tell a later time than its event's: as far as a source of ids goes on while its clock is set back. */
const idAheadMsMax = 61_000;
/** By how much it may tell an earlier one: times are rounded to milliseconds, ids are cut. */
const idBehindMsMax = 1;
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** The lowest id of a millisecond. */
function idFrom(ms: number): string {
  const time = Math.min(Math.max(0, Math.floor(ms)), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

/** Events older than `beforeId`, or the newest, without regard to whether they are sealed. */
export function listEvents(
  on: Queryable,
  filters: AuditFilters,
  page: { readonly limit: number; readonly beforeId: string | null },
): Promise<readonly FoundRow[]> {
  const { since, until } = filters;
  const untilId = until === undefined ? lastId : idFrom(until.getTime() + idAheadMsMax);
  return on.run(lists[leading(filters)], [
    page.limit,
    since === undefined ? idFrom(0) : idFrom(since.getTime() - idBehindMsMax),
    page.beforeId !== null && page.beforeId < untilId ? page.beforeId : untilId,
    since?.toISOString() ?? '-infinity',
    until?.toISOString() ?? 'infinity',
    filters.type ?? null,
    filters.actor ?? null,
    filters.target ?? null,
    filters.about ?? null,
  ]);
}

const range = statement<
  [number, number, string, string, string | null, string | null, string | null, string | null],
  AuditRow & SealRow
>(
  'audit_list_range',
  `select e.id, e.time, e.type, e.actor, e.target, e.ip, e.user_agent, e.outcome, e.request_id, e.detail,
          s.seq, s.prev_hash, s.hash
     from audit_seals s join audit_events e on e.id = s.event_id
    where s.seq between $1 and $2 and e.time >= $3::timestamptz and e.time < $4::timestamptz
      and ($5::text is null or e.type = $5) and ($6::text is null or e.actor = $6) and ($7::text is null or e.target = $7)
      and ($8::text is null or e.actor = $8 or e.target = $8)
    order by s.seq`,
);

/** What the filters take of these links, in their order. */
export function listRange(
  on: Queryable,
  filters: AuditFilters,
  fromSeq: number,
  toSeq: number,
): Promise<readonly (AuditRow & SealRow)[]> {
  return on.run(range, [
    fromSeq,
    toSeq,
    filters.since?.toISOString() ?? '-infinity',
    filters.until?.toISOString() ?? 'infinity',
    filters.type ?? null,
    filters.actor ?? null,
    filters.target ?? null,
    filters.about ?? null,
  ]);
}
