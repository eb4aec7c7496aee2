/** Statements that make many accounts at once. */
import { type Queryable, statement } from '../platform/database/index.ts';
import type { UserRow } from './users.sql.ts';

export type UserToInsert = Pick<
  UserRow,
  'id' | 'email' | 'email_key' | 'email_verified' | 'password_hash' | 'first_name' | 'last_name' | 'roles' | 'status'
> & { readonly created_at: Date | null };

type Texts = readonly (string | null)[];

/**
 * Of two with one address the first in the list is the account. Ordered by address, so that no two that run at once wait for each
 * other. The caller holds the roles (`for share`).
 */
const insertMany = statement<
  [Texts, Texts, Texts, readonly boolean[], Texts, Texts, Texts, Texts, Texts, readonly (Date | null)[]],
  { id: string }
>(
  'users_insert_many',
  `insert into users (id, email, email_key, email_verified, password_hash, first_name, last_name, roles, permissions, status,
                      created_at)
   select g.id, g.email, g.email_key, g.email_verified, g.password_hash, g.first_name, g.last_name,
          string_to_array(g.roles, ' '),
          coalesce((select array_agg(distinct p order by p) from roles r, unnest(r.permissions) p
                     where r.name = any (string_to_array(g.roles, ' '))), '{}'),
          g.status, coalesce(g.created_at, clock_timestamp())
     from unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                 $10::timestamptz[]) with ordinality
       as g (id, email, email_key, email_verified, password_hash, first_name, last_name, roles, status, created_at, place)
    order by g.email_key, g.place
   on conflict (email_key) do nothing
   returning id`,
);

const listTaken = statement<[readonly string[]], { email_key: string }>(
  'users_list_taken_email_keys',
  'select email_key from users where email_key = any ($1::text[])',
);

/** The ids of those that are accounts now; the addresses of the others were taken. */
export async function insertUsers(on: Queryable, users: readonly UserToInsert[]): Promise<ReadonlySet<string>> {
  const made = await on.run(insertMany, [
    users.map((user) => user.id),
    users.map((user) => user.email),
    users.map((user) => user.email_key),
    users.map((user) => user.email_verified),
    users.map((user) => user.password_hash),
    users.map((user) => user.first_name),
    users.map((user) => user.last_name),
    users.map((user) => user.roles.join(' ')),
    users.map((user) => user.status),
    users.map((user) => user.created_at),
  ]);
  return new Set(made.map((row) => row.id));
}

/** Which of these belong to an account. */
export async function listTakenEmailKeys(on: Queryable, emailKeys: readonly string[]): Promise<ReadonlySet<string>> {
  return new Set((await on.run(listTaken, [emailKeys])).map((row) => row.email_key));
}
