/** Statements for sessions that live in Redis: what the database knows of them, which is who may go on and what has ended. */
import { one, type Queryable, statement } from '../platform/database/index.ts';
import type { IssuedSession, SessionOfUser } from './session-store.ts';

export type UserOfSession = Omit<SessionOfUser, keyof IssuedSession> & { readonly sessions_epoch: number };

interface FoundUser extends UserOfSession {
  /** Of the asked pairs, from 1. */
  readonly place: number;
}

const findUsers = statement<[readonly string[], readonly string[]], FoundUser>(
  'users_find_for_refresh',
  `select p.place, u.id as user_id, u.email, u.email_verified, u.first_name, u.last_name, u.roles, u.permissions, u.epoch,
          u.mfa_enabled, u.created_at as user_created_at, u.updated_at as user_updated_at, u.last_login_at, u.sessions_epoch
     from unnest($1::uuid[], $2::uuid[]) with ordinality as p (session_id, user_id, place)
     join users u on u.id = p.user_id and u.status = 'active'
    where not exists (select 1 from ended_sessions e where e.id = p.session_id)`,
);

/** For each pair the user, where they may go on and this session has not ended; one statement for all. */
export async function findUsersForRefresh(
  on: Queryable,
  pairs: readonly { readonly sessionId: string; readonly userId: string }[],
): Promise<readonly (UserOfSession | undefined)[]> {
  const rows = await on.run(findUsers, [pairs.map((pair) => pair.sessionId), pairs.map((pair) => pair.userId)]);
  const found = new Array<UserOfSession | undefined>(pairs.length).fill(undefined);
  for (const row of rows) found[row.place - 1] = row;
  return found;
}

const insert = statement<[readonly string[], string, number], { id: string }>(
  'ended_sessions_insert',
  `insert into ended_sessions (id, user_id, expires_at)
   select e.id, $2, clock_timestamp() + $3::bigint * interval '1 second' from unnest($1::uuid[]) as e (id)
   on conflict (id) do nothing returning id`,
);

/** Answers those that had not ended before. */
export async function insertEndedSessions(
  on: Queryable,
  userId: string,
  ids: readonly string[],
  keptSeconds: number,
): Promise<ReadonlySet<string>> {
  const rows = await on.run(insert, [ids, userId, keptSeconds]);
  return new Set(rows.map((row) => row.id));
}

const findKnown = statement<[string, readonly string[]], { sessions_epoch: number; ended: readonly string[] }>(
  'ended_sessions_find_of_user',
  `select u.sessions_epoch, array(select e.id::text from ended_sessions e where e.id = any ($2::uuid[])) as ended
     from users u where u.id = $1`,
);

/** Which of these sessions have ended, and the epoch before which all have. `undefined`: there is no such user. */
export const findEndedOfUser = (
  on: Queryable,
  userId: string,
  ids: readonly string[],
): Promise<{ sessions_epoch: number; ended: readonly string[] } | undefined> => one(on, findKnown, [userId, ids]);

export interface EndedPlace {
  readonly id: string;
  readonly user_id: string;
}

const listRecent = statement<[number, string, number], EndedPlace>(
  'ended_sessions_list_recent',
  `select id, user_id from ended_sessions
    where ended_at > clock_timestamp() - $1::float8 * interval '1 second' and id > $2 order by id limit $3`,
);

/** Those of the last seconds, in pages by id. */
export const listEndedSessions = (
  on: Queryable,
  withinSeconds: number,
  afterId: string,
  limit: number,
): Promise<readonly EndedPlace[]> => on.run(listRecent, [withinSeconds, afterId, limit]);

const deleteExpired = statement<[number], { id: string }>(
  'ended_sessions_delete_expired',
  `delete from ended_sessions where id in (
     select id from ended_sessions where expires_at < clock_timestamp()
      order by expires_at limit $1 for update skip locked)
   returning id`,
);

/** One bounded batch; answers how many went. */
export async function deleteExpiredEnds(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteExpired, [limit])).length;
}
