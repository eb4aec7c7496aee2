/** Statements of recovery codes: a row for each that was not used. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

const count = statement<[string], { readonly count: number }>(
  'recovery_codes_count',
  'select count(*) as count from recovery_codes where user_id = $1',
);

const find = statement<[string, Uint8Array], { hash: Uint8Array }>(
  'recovery_codes_find',
  'select hash from recovery_codes where user_id = $1 and hash = $2',
);

const consume = statement<[string, Uint8Array], { hash: Uint8Array }>(
  'recovery_codes_consume',
  'delete from recovery_codes where user_id = $1 and hash = $2 returning hash',
);

const insert = statement<[string, readonly Uint8Array[]], never>(
  'recovery_codes_insert',
  'insert into recovery_codes (user_id, hash) select $1, h from unnest($2::bytea[]) as c (h)',
);

const deleteAll = statement<[string], { hash: Uint8Array }>(
  'recovery_codes_delete_all',
  'delete from recovery_codes where user_id = $1 returning hash',
);

export async function countRecoveryCodes(on: Queryable, userId: string): Promise<number> {
  return (await one(on, count, [userId]))?.count ?? 0;
}

export async function findRecoveryCode(on: Queryable, userId: string, hash: Uint8Array): Promise<boolean> {
  return (await one(on, find, [userId, hash])) !== undefined;
}

/** Of any number at once one is true. */
export async function consumeRecoveryCode(on: Queryable, userId: string, hash: Uint8Array): Promise<boolean> {
  return (await one(on, consume, [userId, hash])) !== undefined;
}

export async function insertRecoveryCodes(on: Queryable, userId: string, hashes: readonly Uint8Array[]): Promise<void> {
  await on.run(insert, [userId, hashes]);
}

export async function deleteRecoveryCodes(on: Queryable, userId: string): Promise<number> {
  return (await on.run(deleteAll, [userId])).length;
}
