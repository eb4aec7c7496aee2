/** Statements of passkeys. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface PasskeyRow {
  readonly id: string;
  readonly user_id: string;
  readonly credential_id: Uint8Array;
  readonly public_key: Uint8Array;
  readonly sign_count: number;
  readonly transports: readonly string[];
  readonly backup_eligible: boolean;
  readonly backed_up: boolean;
  readonly aaguid: string;
  readonly name: string;
  /** Whether it logs in by itself; held back after a reset by mail. */
  readonly alone: boolean;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
}

const columns = `id, user_id, credential_id, public_key, sign_count, transports, backup_eligible, backed_up, aaguid, name,
  alone, created_at, last_used_at`;

const insert = statement<
  [string, string, Uint8Array, Uint8Array, number, readonly string[], boolean, boolean, string, string],
  PasskeyRow
>(
  'passkeys_insert',
  `insert into passkeys
     (id, user_id, credential_id, public_key, sign_count, transports, backup_eligible, backed_up, aaguid, name)
   values ($1, $2, $3, $4, $5, $6::text[], $7, $8, $9, $10)
   on conflict (credential_id) do nothing returning ${columns}`,
);

const findByCredential = statement<[Uint8Array], PasskeyRow>(
  'passkeys_find_by_credential_id',
  `select ${columns} from passkeys where credential_id = $1`,
);

const listByUser = statement<[string], PasskeyRow>(
  'passkeys_list_by_user',
  `select ${columns} from passkeys where user_id = $1 order by id`,
);

const countByUser = statement<[string], { passkeys: number }>(
  'passkeys_count_by_user',
  'select count(*) as passkeys from passkeys where user_id = $1',
);

const updateName = statement<[string, string, string], PasskeyRow>(
  'passkeys_update_name',
  `update passkeys set name = $3 where user_id = $1 and id = $2 returning ${columns}`,
);

const updateUse = statement<[string, number, boolean], { id: string }>(
  'passkeys_update_use',
  `update passkeys set sign_count = $2, backed_up = $3, last_used_at = clock_timestamp()
    where id = $1 and (sign_count < $2 or sign_count = 0 and $2 = 0) returning id`,
);

const holdBackByUser = statement<[string], { id: string }>(
  'passkeys_update_held_back',
  'update passkeys set alone = false where user_id = $1 returning id',
);

const updateTrusted = statement<[string], { id: string }>(
  'passkeys_update_trusted',
  'update passkeys set alone = true where id = $1 returning id',
);

const remove = statement<[string, string], PasskeyRow>(
  'passkeys_delete',
  `delete from passkeys where user_id = $1 and id = $2 returning ${columns}`,
);

const removeByUser = statement<[string], { id: string }>(
  'passkeys_delete_by_user',
  'delete from passkeys where user_id = $1 returning id',
);

export type NewPasskey = Omit<PasskeyRow, 'alone' | 'created_at' | 'last_used_at'>;

/** `undefined` when the credential is registered, for whomever; decided by the unique index. */
export function insertPasskey(on: Queryable, passkey: NewPasskey): Promise<PasskeyRow | undefined> {
  return one(on, insert, [
    passkey.id,
    passkey.user_id,
    passkey.credential_id,
    passkey.public_key,
    passkey.sign_count,
    passkey.transports,
    passkey.backup_eligible,
    passkey.backed_up,
    passkey.aaguid,
    passkey.name,
  ]);
}

export function findPasskeyByCredential(on: Queryable, credentialId: Uint8Array): Promise<PasskeyRow | undefined> {
  return one(on, findByCredential, [credentialId]);
}

/** The oldest first. */
export function listPasskeysOf(on: Queryable, userId: string): Promise<readonly PasskeyRow[]> {
  return on.run(listByUser, [userId]);
}

export async function countPasskeysOf(on: Queryable, userId: string): Promise<number> {
  return (await one(on, countByUser, [userId]))?.passkeys ?? 0;
}

/** `undefined` for an unknown one and for somebody else's, alike. */
export function updatePasskeyName(
  on: Queryable,
  userId: string,
  id: string,
  name: string,
): Promise<PasskeyRow | undefined> {
  return one(on, updateName, [userId, id, name]);
}

/**
 * Whether the passkey is still there and its counter has grown (or stays 0 with an authenticator that does not count): of
 * two uses with one counter, one.
 */
export async function updatePasskeyUse(
  on: Queryable,
  id: string,
  use: { readonly signCount: number; readonly backedUp: boolean },
): Promise<boolean> {
  return (await one(on, updateUse, [id, use.signCount, use.backedUp])) !== undefined;
}

export function deletePasskey(on: Queryable, userId: string, id: string): Promise<PasskeyRow | undefined> {
  return one(on, remove, [userId, id]);
}

/** All of an account; answers how many. */
export async function deletePasskeysOf(on: Queryable, userId: string): Promise<number> {
  return (await on.run(removeByUser, [userId])).length;
}

export async function updatePasskeysHeldBack(on: Queryable, userId: string): Promise<void> {
  await on.run(holdBackByUser, [userId]);
}

/** False where it is gone. */
export async function updatePasskeyTrusted(on: Queryable, id: string): Promise<boolean> {
  return (await one(on, updateTrusted, [id])) !== undefined;
}
