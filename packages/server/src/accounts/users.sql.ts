/** Statements of user accounts. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface UserRow {
  readonly id: string;
  readonly email: string;
  readonly email_key: string;
  readonly email_verified: boolean;
  readonly password_hash: string | null;
  readonly first_name: string | null;
  readonly last_name: string | null;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly status: 'active' | 'disabled';
  readonly epoch: number;
  readonly device_epoch: number;
  /** A session that was begun under an earlier one has ended. */
  readonly sessions_epoch: number;
  readonly mfa_enabled: boolean;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly last_login_at: Date | null;
}

const columns = `id, email, email_key, email_verified, password_hash, first_name, last_name, roles, permissions, status,
  epoch, device_epoch, sessions_epoch, mfa_enabled, created_at, updated_at, last_login_at`;

/** `for share`: the roles' permissions that are copied cannot change before the account is there to be changed with them. */
const insert = statement<
  [string, string, string, boolean, string | null, string | null, string | null, readonly string[]],
  UserRow
>(
  'users_insert',
  `with granted as (
     select permissions from roles where name = any ($8::text[]) order by name for share)
   insert into users (id, email, email_key, email_verified, password_hash, first_name, last_name, roles, permissions)
   values ($1, $2, $3, $4, $5, $6, $7, $8::text[],
     coalesce((select array_agg(distinct p order by p) from granted g, unnest(g.permissions) p), '{}'))
   on conflict (email_key) do nothing
   returning ${columns}`,
);

const findByKey = statement<[string], UserRow>(
  'users_find_by_email_key',
  `select ${columns} from users where email_key = $1`,
);

const findById = statement<[string], UserRow>('users_find_by_id', `select ${columns} from users where id = $1`);

const updateHash = statement<[string, string | null, string], { id: string }>(
  'users_update_password_hash',
  `update users set password_hash = $3, updated_at = clock_timestamp()
    where id = $1 and password_hash is not distinct from $2 returning id`,
);

const lock = statement<[string], UserRow>('users_lock', `select ${columns} from users where id = $1 for update`);

const hold = statement<[string], { id: string }>('users_hold', 'select id from users where id = $1 for share');

/** `$2`: whether this is the whole login, also of an account with a second factor. */
const updateLogin = statement<[string, boolean], UserRow>(
  'users_update_last_login',
  `update users set last_login_at = case when $2 or not mfa_enabled then clock_timestamp() else last_login_at end
    where id = $1 and status = 'active' returning ${columns}`,
);

const updateNames = statement<[string, boolean, string | null, boolean, string | null], UserRow>(
  'users_update_names',
  `update users set first_name = case when $2 then $3 else first_name end,
          last_name = case when $4 then $5 else last_name end, updated_at = clock_timestamp()
    where id = $1 returning ${columns}`,
);

const remove = statement<[string], { id: string }>('users_delete', 'delete from users where id = $1 returning id');

const updateStatus = statement<[string, string], { epoch: number }>(
  'users_update_status',
  `update users set status = $2, epoch = epoch + 1, device_epoch = device_epoch + 1,
          sessions_epoch = sessions_epoch + 1, updated_at = clock_timestamp()
    where id = $1 and status <> $2 returning epoch`,
);

const raiseEpoch = statement<[string, boolean, boolean], { epoch: number }>(
  'users_update_epoch',
  `update users set epoch = epoch + $2::boolean::int, sessions_epoch = sessions_epoch + $2::boolean::int,
          device_epoch = device_epoch + $3::boolean::int
    where id = $1 returning epoch`,
);

const updateMfa = statement<[string, boolean], { id: string }>(
  'users_update_mfa_enabled',
  'update users set mfa_enabled = $2, updated_at = clock_timestamp() where id = $1 and mfa_enabled <> $2 returning id',
);

const updateVerified = statement<[string], { id: string }>(
  'users_update_email_verified',
  'update users set email_verified = true, updated_at = clock_timestamp() where id = $1 and not email_verified returning id',
);

const count = statement<[], { users: number }>('users_count', 'select count(*) as users from users');

/** `undefined` when the address is taken; decided by the unique index, never by a look before. */
export function insertUser(
  on: Queryable,
  user: {
    id: string;
    email: string;
    emailKey: string;
    emailVerified: boolean;
    passwordHash: string | null;
    firstName: string | null;
    lastName: string | null;
    roles: readonly string[];
  },
): Promise<UserRow | undefined> {
  return one(on, insert, [
    user.id,
    user.email,
    user.emailKey,
    user.emailVerified,
    user.passwordHash,
    user.firstName,
    user.lastName,
    user.roles,
  ]);
}

export function findUserByEmailKey(on: Queryable, emailKey: string): Promise<UserRow | undefined> {
  return one(on, findByKey, [emailKey]);
}

export function findUserById(on: Queryable, id: string): Promise<UserRow | undefined> {
  return one(on, findById, [id]);
}

/** Replaces exactly the hash that was read: a password changed meanwhile stays. */
export async function updatePasswordHash(on: Queryable, id: string, from: string | null, to: string): Promise<boolean> {
  return (await one(on, updateHash, [id, from, to])) !== undefined;
}

/** As it is now, and as it stays until the transaction ends. */
export function lockUser(tx: Queryable, id: string): Promise<UserRow | undefined> {
  return one(tx, lock, [id]);
}

/** As it is now, for others that hold it too; who locks or changes it waits, or is waited for. */
export async function holdUser(tx: Queryable, id: string): Promise<void> {
  await tx.run(hold, [id]);
}

/**
 * `undefined` when the account was disabled or deleted meanwhile. Locks the row until the transaction ends. Half a login of an
 * account with a second factor is none.
 */
export function updateLastLogin(on: Queryable, id: string, acr: 'aal1' | 'aal2'): Promise<UserRow | undefined> {
  return one(on, updateLogin, [id, acr === 'aal2']);
}

/** What is not named stays as it is. `undefined` when the account is gone. */
export function updateUserNames(
  on: Queryable,
  id: string,
  names: { readonly firstName?: string | null | undefined; readonly lastName?: string | null | undefined },
): Promise<UserRow | undefined> {
  const { firstName, lastName } = names;
  return one(on, updateNames, [
    id,
    firstName !== undefined,
    firstName ?? null,
    lastName !== undefined,
    lastName ?? null,
  ]);
}

/** Rows that belong to the account go with it; audit events stay. */
export async function deleteUser(on: Queryable, id: string): Promise<boolean> {
  return (await one(on, remove, [id])) !== undefined;
}

/** Raises the epoch with it. `undefined` when the account has that status already, or is gone. */
export async function updateUserStatus(
  on: Queryable,
  id: string,
  status: UserRow['status'],
): Promise<number | undefined> {
  return (await one(on, updateStatus, [id, status]))?.epoch;
}

/** The epoch after it. `tokens` ends every access token and every session, `devices` every device token. Locks the row either way. */
export async function updateUserEpoch(
  on: Queryable,
  id: string,
  ends: { tokens: boolean; devices: boolean },
): Promise<number | undefined> {
  return (await one(on, raiseEpoch, [id, ends.tokens, ends.devices]))?.epoch;
}

/** Written by whoever adds or removes a factor, in that transaction. */
export async function updateMfaEnabled(on: Queryable, id: string, enabled: boolean): Promise<boolean> {
  return (await one(on, updateMfa, [id, enabled])) !== undefined;
}

export async function updateEmailVerified(on: Queryable, id: string): Promise<boolean> {
  return (await one(on, updateVerified, [id])) !== undefined;
}

export async function countUsers(on: Queryable): Promise<number> {
  return (await one(on, count, []))?.users ?? 0;
}
