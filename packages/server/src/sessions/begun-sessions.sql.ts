/** Statements for sessions that live in Redis: which of them have begun and have not been ended, so that Redis need not be asked. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

const insert = statement<[string, string, number], never>(
  'begun_sessions_insert',
  `insert into begun_sessions (id, user_id, expires_at)
   values ($1, $2, clock_timestamp() + $3::bigint * interval '1 second')`,
);

export async function insertBegunSession(
  on: Queryable,
  userId: string,
  id: string,
  maxAgeSeconds: number,
): Promise<void> {
  await on.run(insert, [id, userId, maxAgeSeconds]);
}

const page = statement<[string, number], { id: string; user_id: string }>(
  'begun_sessions_page',
  'select id, user_id from begun_sessions where id < $1 order by id desc limit $2',
);

/** Of all users, newest first. */
export const listBegunBefore = (
  on: Queryable,
  before: string,
  limit: number,
): Promise<readonly { id: string; user_id: string }[]> => on.run(page, [before, limit]);

const findOwner = statement<[string], { user_id: string }>(
  'begun_sessions_find_owner',
  'select user_id from begun_sessions where id = $1',
);

export async function findBegunOwner(on: Queryable, id: string): Promise<string | undefined> {
  return (await one(on, findOwner, [id]))?.user_id;
}

const deleteSome = statement<[string, readonly string[]], { id: string }>(
  'begun_sessions_delete',
  'delete from begun_sessions where user_id = $1 and id = any ($2::uuid[]) returning id',
);

/** Answers those of them that were there. */
export async function deleteBegunSessions(
  on: Queryable,
  userId: string,
  ids: readonly string[],
): Promise<readonly string[]> {
  return (await on.run(deleteSome, [userId, ids])).map((row) => row.id);
}

const deleteOfUser = statement<[string, string | null], { id: string }>(
  'begun_sessions_delete_of_user',
  'delete from begun_sessions where user_id = $1 and id is distinct from $2::uuid returning id',
);

/** All of the user but `keep`. */
export async function deleteBegunSessionsOfUser(
  on: Queryable,
  userId: string,
  keep: string | null,
): Promise<readonly string[]> {
  return (await on.run(deleteOfUser, [userId, keep])).map((row) => row.id);
}

const deleteExpired = statement<[number], { id: string }>(
  'begun_sessions_delete_expired',
  `delete from begun_sessions where id in (
     select id from begun_sessions where expires_at < clock_timestamp()
      order by expires_at limit $1 for update skip locked)
   returning id`,
);

/** One bounded batch; answers how many went. */
export async function deleteExpiredBegun(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteExpired, [limit])).length;
}
