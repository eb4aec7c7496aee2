/** Statements of sessions. A session that has ended has no row: its refresh token is then like any unknown string. */
import { one, type Queryable, statement } from '../platform/database/index.ts';
import type {
  EndedSession,
  IssuedSession,
  NewStoredSession,
  OwnedSession,
  SessionLimits,
  SessionOfUser,
  SessionView,
} from './session-store.ts';

const shown = `id, amr, ip, user_agent, created_at, last_seen_at, least(idle_expires_at, expires_at) as ends_at`;
const live = 'idle_expires_at > clock_timestamp() and expires_at > clock_timestamp()';

const insert = statement<
  [string, string, readonly string[], string, string | null, string | null, number, number],
  IssuedSession
>(
  'sessions_insert',
  `insert into sessions (id, user_id, auth_time, amr, acr, ip, user_agent, idle_expires_at, expires_at)
   select $1, $2, t.now, $3::text[], $4, $5, $6,
          t.now + least($7::bigint, $8::bigint) * interval '1 second', t.now + $8::bigint * interval '1 second'
     from (select clock_timestamp() as now) t
   returning id, counter, auth_time, amr, acr,
             extract(epoch from idle_expires_at - clock_timestamp())::float8 as refresh_expires_in,
             extract(epoch from expires_at - clock_timestamp())::float8 as ends_in`,
);

export const insertSession = (
  on: Queryable,
  session: NewStoredSession,
  limits: SessionLimits,
): Promise<IssuedSession | undefined> =>
  one(on, insert, [
    session.id,
    session.userId,
    session.amr,
    session.acr,
    session.ip,
    session.userAgent,
    limits.idleTtlSeconds,
    limits.maxAgeSeconds,
  ]);

const userColumns = `u.id as user_id, u.email, u.email_verified, u.first_name, u.last_name, u.roles, u.permissions, u.epoch,
  u.mfa_enabled, u.created_at as user_created_at, u.updated_at as user_updated_at, u.last_login_at`;

/**
 * The rotation: one compare-and-swap for a batch of sessions. A counter at or ahead of the row's wins (ahead with a right
 * MAC means that the store lost a rotation, and the client did nothing wrong); one behind it loses and is not answered.
 */
const rotate = statement<[readonly string[], readonly number[], number], SessionOfUser>(
  'sessions_consume_refresh',
  `update sessions s
      set counter = p.counter + 1,
          rotated_at = clock_timestamp(),
          last_seen_at = clock_timestamp(),
          idle_expires_at = least(s.expires_at, clock_timestamp() + $3::bigint * interval '1 second')
     from unnest($1::uuid[], $2::int[]) as p (id, counter), users u
    where s.id = p.id and u.id = s.user_id and u.status = 'active' and s.counter <= p.counter
      and s.idle_expires_at > clock_timestamp() and s.expires_at > clock_timestamp()
   returning s.id, s.counter, s.auth_time, s.amr, s.acr,
             extract(epoch from s.idle_expires_at - clock_timestamp())::float8 as refresh_expires_in,
             extract(epoch from s.expires_at - clock_timestamp())::float8 as ends_in, ${userColumns}`,
);

export const consumeRefresh = (
  on: Queryable,
  presented: readonly { readonly sessionId: string; readonly counter: number }[],
  idleTtlSeconds: number,
): Promise<readonly SessionOfUser[]> =>
  on.run(rotate, [presented.map((one) => one.sessionId), presented.map((one) => one.counter), idleTtlSeconds]);

const findStanding = statement<[string], SessionOfUser & { status: string; rotated_ms_ago: number | null }>(
  'sessions_find_standing',
  `select s.id, s.counter, s.auth_time, s.amr, s.acr, u.status,
          (extract(epoch from clock_timestamp() - s.rotated_at) * 1000)::float8 as rotated_ms_ago,
          extract(epoch from s.idle_expires_at - clock_timestamp())::float8 as refresh_expires_in,
          extract(epoch from s.expires_at - clock_timestamp())::float8 as ends_in, ${userColumns}
     from sessions s join users u on u.id = s.user_id
    where s.id = $1 and s.idle_expires_at > clock_timestamp() and s.expires_at > clock_timestamp()`,
);

/** A live session as it stands, for a refresh token that did not win. */
export const findSessionStanding = (
  on: Queryable,
  sessionId: string,
): Promise<(SessionOfUser & { status: string; rotated_ms_ago: number | null }) | undefined> =>
  one(on, findStanding, [sessionId]);

const find = statement<[string, string], SessionView>(
  'sessions_find',
  `select ${shown} from sessions where id = $1 and user_id = $2 and ${live}`,
);

export const findSession = (on: Queryable, id: string, userId: string): Promise<SessionView | undefined> =>
  one(on, find, [id, userId]);

const listByUser = statement<[string, number], SessionView>(
  'sessions_list_by_user',
  `select ${shown} from sessions where user_id = $1 and ${live} order by id desc limit $2`,
);

export const listSessionsByUser = (on: Queryable, userId: string, limit: number): Promise<readonly SessionView[]> =>
  on.run(listByUser, [userId, limit]);

const page = statement<[string, number], OwnedSession & { live: boolean }>(
  'sessions_page',
  `select ${shown}, user_id, ${live} as live from sessions where id < $1 order by id desc limit $2`,
);

/** Of all users, newest first; those that have expired and are not swept yet are marked. */
export const listSessionsBefore = (
  on: Queryable,
  before: string,
  limit: number,
): Promise<readonly (OwnedSession & { live: boolean })[]> => on.run(page, [before, limit]);

const findOwner = statement<[string], { user_id: string }>(
  'sessions_find_owner',
  'select user_id from sessions where id = $1',
);

export async function findSessionOwner(on: Queryable, id: string): Promise<string | undefined> {
  return (await one(on, findOwner, [id]))?.user_id;
}

const ended = 'id, user_id, extract(epoch from clock_timestamp() - created_at)::float8 as age_seconds';

const deleteOne = statement<[string, string], EndedSession>(
  'sessions_delete',
  `delete from sessions where id = $1 and user_id = $2 returning ${ended}`,
);

export const deleteSession = (on: Queryable, id: string, userId: string): Promise<EndedSession | undefined> =>
  one(on, deleteOne, [id, userId]);

/** Ends the session whose refresh token was reused, unless somebody rotated it back into order meanwhile. */
const deleteReused = statement<[string, number], EndedSession>(
  'sessions_delete_reused',
  `delete from sessions where id = $1 and counter > $2 returning ${ended}`,
);

export const deleteReusedSession = (on: Queryable, id: string, counter: number): Promise<EndedSession | undefined> =>
  one(on, deleteReused, [id, counter]);

const deleteByUser = statement<[string, string | null], EndedSession>(
  'sessions_delete_by_user',
  `delete from sessions where user_id = $1 and ($2::uuid is null or id <> $2::uuid) returning ${ended}`,
);

/** Ends all sessions of a user, but for the one to keep. */
export const deleteSessionsByUser = (
  on: Queryable,
  userId: string,
  keep: string | null,
): Promise<readonly EndedSession[]> => on.run(deleteByUser, [userId, keep]);

const deleteOverLimit = statement<[string, number, string], EndedSession>(
  'sessions_delete_over_limit',
  `delete from sessions where id in (
     select id from sessions where user_id = $1 and id <> $3
      order by last_seen_at desc, id desc offset $2)
   returning ${ended}`,
);

/** Ends the least recently used ones above `limit`; the newest (`keep`) stays. The user's row must be locked. */
export const deleteSessionsOverLimit = (
  on: Queryable,
  userId: string,
  limit: number,
  keep: string,
): Promise<readonly EndedSession[]> => on.run(deleteOverLimit, [userId, Math.max(0, limit - 1), keep]);

/** Expired rows among the next ones in order of creation; `last` is where to go on. */
const sweep = statement<[string, number], { id: string | null; last: string | null; age_seconds: number | null }>(
  'sessions_delete_expired',
  `with looked as (
     select id, idle_expires_at, expires_at from sessions where id > $1 order by id limit $2),
   gone as (
     delete from sessions s using looked l
      where s.id = l.id and (s.idle_expires_at <= clock_timestamp() or s.expires_at <= clock_timestamp())
     returning s.id, extract(epoch from clock_timestamp() - s.created_at)::float8 as age_seconds)
   select g.id, g.age_seconds, m.last from (select max(id::text) as last from looked) m left join gone g on true`,
);

export const deleteExpiredSessions = (
  on: Queryable,
  after: string,
  limit: number,
): Promise<readonly { id: string | null; last: string | null; age_seconds: number | null }[]> =>
  on.run(sweep, [after, limit]);

const touch = statement<[readonly string[], readonly number[]], never>(
  'sessions_update_last_seen',
  `update sessions s set last_seen_at = greatest(s.last_seen_at, to_timestamp(p.ms / 1000))
     from unnest($1::uuid[], $2::float8[]) as p (id, ms) where s.id = p.id`,
);

export async function updateLastSeen(on: Queryable, seen: readonly { id: string; ms: number }[]): Promise<void> {
  await on.run(touch, [seen.map((one) => one.id), seen.map((one) => one.ms)]);
}

const count = statement<[], { sessions: number }>(
  'sessions_count',
  `select count(*) as sessions from sessions where ${live}`,
);

export async function countSessions(on: Queryable): Promise<number> {
  return (await one(on, count, []))?.sessions ?? 0;
}
