/** Statements of accounts whose owner has proven an address. The caller has locked the row (`lockUser`). */
import { one, type Queryable, statement } from '../platform/database/index.ts';

const setCredentials = statement<[string, string, boolean, string | null, string | null], { id: string }>(
  'users_update_proven_credentials',
  `update users set password_hash = $2, email_verified = true, updated_at = clock_timestamp(),
          first_name = case when $3 then $4 else first_name end, last_name = case when $3 then $5 else last_name end
    where id = $1 returning id`,
);

/** Another password, by proof of the address, which is verified by it. `names`: of who registered with that password. */
export async function updateProvenCredentials(
  on: Queryable,
  id: string,
  passwordHash: string,
  names?: { readonly first: string | null; readonly last: string | null },
): Promise<boolean> {
  const params = [id, passwordHash, names !== undefined, names?.first ?? null, names?.last ?? null] as const;
  return (await one(on, setCredentials, [...params])) !== undefined;
}

const setEmail = statement<[string, string, string], { id: string }>(
  'users_update_email',
  `update users set email = $2, email_key = $3, email_verified = true, updated_at = clock_timestamp()
    where id = $1 returning id`,
);

/** Throws `UniqueViolation` when another account has the address. */
export async function updateUserEmail(on: Queryable, id: string, email: string, emailKey: string): Promise<boolean> {
  return (await one(on, setEmail, [id, email, emailKey])) !== undefined;
}
