/** Statements of API keys: what is administered, and what every node holds of them in memory. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export type OwnerKind = 'user' | 'service_account';

export interface ApiKeyRow {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly permissions: readonly string[];
  readonly owner_kind: OwnerKind;
  readonly owner_id: string;
  readonly created_by: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
  readonly revoked_reason: string | null;
  readonly last_used_at: Date | null;
}

const columns = `id, name, prefix, permissions, owner_kind, owner_id, created_by, created_at, expires_at, revoked_at,
  revoked_reason, last_used_at`;

/**
 * An owner as it stands now. Locked: it does not change before the key is there to be changed with it, and of two keys at once the
 * second is counted after the first.
 */
const findUserOwner = statement<[string], OwnerRow>(
  'api_keys_find_user_owner',
  `select id, permissions, mfa_enabled from users where id = $1 and status = 'active' for no key update`,
);

const findServiceOwner = statement<[string], OwnerRow>(
  'api_keys_find_service_owner',
  `select id, permissions, false as mfa_enabled from service_accounts where id = $1 and status = 'active'
      for no key update`,
);

export interface OwnerRow {
  readonly id: string;
  readonly permissions: readonly string[];
  readonly mfa_enabled: boolean;
}

export const findActiveOwner = (on: Queryable, kind: OwnerKind, id: string): Promise<OwnerRow | undefined> =>
  one(on, kind === 'user' ? findUserOwner : findServiceOwner, [id]);

const countLive = statement<[string], { live: number }>(
  'api_keys_count_live',
  `select count(*) as live from api_keys
    where owner_id = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())`,
);

/** Of one owner: neither revoked nor expired. */
export async function countLiveKeys(on: Queryable, ownerId: string): Promise<number> {
  return (await one(on, countLive, [ownerId]))?.live ?? 0;
}

const insert = statement<
  [string, string, string, Uint8Array, readonly string[], OwnerKind, string, string, Date | null],
  ApiKeyRow
>(
  'api_keys_insert',
  `insert into api_keys (id, name, prefix, hash, permissions, owner_kind, owner_id, created_by, expires_at)
   values ($1, $2, $3, $4, $5::text[], $6, $7, $8, $9) returning ${columns}`,
);

export async function insertApiKey(
  on: Queryable,
  key: {
    readonly id: string;
    readonly name: string;
    readonly prefix: string;
    readonly hash: Uint8Array;
    readonly permissions: readonly string[];
    readonly ownerKind: OwnerKind;
    readonly ownerId: string;
    readonly createdBy: string;
    readonly expiresAt: Date | null;
  },
): Promise<ApiKeyRow> {
  const { id, name, prefix, hash, permissions, ownerKind, ownerId, createdBy, expiresAt } = key;
  const values = [id, name, prefix, hash, permissions, ownerKind, ownerId, createdBy, expiresAt] as const;
  const row = await one(on, insert, [...values]);
  if (row === undefined) throw new Error('an inserted row is answered');
  return row;
}

const list = statement<[string | null, string | null, number], ApiKeyRow>(
  'api_keys_list',
  `select ${columns} from api_keys
    where ($1::uuid is null or id < $1::uuid) and ($2::uuid is null or owner_id = $2::uuid) order by id desc limit $3`,
);

/** Newest first. */
export const listApiKeys = (
  on: Queryable,
  page: { readonly beforeId: string | null; readonly ownerId: string | null; readonly limit: number },
): Promise<readonly ApiKeyRow[]> => on.run(list, [page.beforeId, page.ownerId, page.limit]);

const lockLive = statement<[string], ApiKeyRow>(
  'api_keys_find_for_update',
  `select ${columns} from api_keys where id = $1 and revoked_at is null for update`,
);

export const findKeyForUpdate = (on: Queryable, id: string): Promise<ApiKeyRow | undefined> => one(on, lockLive, [id]);

const revoke = statement<[string, string], ApiKeyRow>(
  'api_keys_update_revoked',
  `update api_keys set revoked_at = clock_timestamp(), revoked_reason = $2, xid = pg_current_xact_id()
    where id = $1 and revoked_at is null returning ${columns}`,
);

/** `undefined` for an unknown one and for one that was revoked before. */
export const updateKeyRevoked = (on: Queryable, id: string, reason: string): Promise<ApiKeyRow | undefined> =>
  one(on, revoke, [id, reason]);

const revokeAll = statement<[string, string], { id: string }>(
  'api_keys_update_all_revoked',
  `update api_keys set revoked_at = clock_timestamp(), revoked_reason = $2, xid = pg_current_xact_id()
    where owner_id = $1 and revoked_at is null returning id`,
);

/** The ids of what was revoked. */
export async function updateAllRevoked(on: Queryable, ownerId: string, reason: string): Promise<readonly string[]> {
  return (await on.run(revokeAll, [ownerId, reason])).map(({ id }) => id);
}

const revokeAgain = statement<[readonly string[]], { id: string }>(
  'api_keys_update_revoked_again',
  `update api_keys set revoked_at = clock_timestamp(), revoked_reason = 'written_back', xid = pg_current_xact_id()
    where id = any ($1::uuid[]) and revoked_at is null returning id`,
);

/** Keys whose end a fail-over has lost. */
export async function updateRevokedAgain(on: Queryable, ids: readonly string[]): Promise<void> {
  await on.run(revokeAgain, [ids]);
}

const touch = statement<[readonly string[], readonly number[]], never>(
  'api_keys_update_last_used',
  `update api_keys k set last_used_at = greatest(k.last_used_at, to_timestamp(u.ms / 1000))
     from unnest($1::uuid[], $2::float8[]) as u (id, ms) where k.id = u.id`,
);

export async function updateLastUsed(
  on: Queryable,
  used: readonly { readonly id: string; readonly ms: number }[],
): Promise<void> {
  await on.run(touch, [used.map(({ id }) => id), used.map(({ ms }) => ms)]);
}

/** What a node must know to judge a key without I/O; seconds since 1970. */
export interface HeldKeyRow {
  readonly id: string;
  readonly prefix: string;
  /** Base64. */
  readonly hash: string;
  readonly permissions: readonly string[];
  readonly owner_id: string;
  readonly owner_kind: OwnerKind;
  readonly created_at: number;
  readonly expires_at: number | null;
  /** Revoked, or without an owner that is active. */
  readonly ended: boolean;
  readonly owner_epoch: number | null;
  readonly owner_permissions: readonly string[] | null;
}

const held = `select k.id, k.prefix, encode(k.hash, 'base64') as hash, k.permissions, k.owner_id, k.owner_kind,
          floor(extract(epoch from k.created_at))::float8 as created_at,
          extract(epoch from k.expires_at)::float8 as expires_at,
          k.revoked_at is not null or coalesce(u.status, s.status, 'gone') <> 'active' as ended,
          coalesce(u.epoch, s.epoch) as owner_epoch, coalesce(u.permissions, s.permissions) as owner_permissions
     from api_keys k
     left join users u on k.owner_kind = 'user' and u.id = k.owner_id
     left join service_accounts s on k.owner_kind = 'service_account' and s.id = k.owner_id`;

const listSince = statement<[string], HeldKeyRow>(
  'api_keys_list_since',
  `${held} where k.xid >= pg_snapshot_xmax($1::pg_snapshot) or k.xid = any (array(select pg_snapshot_xip($1::pg_snapshot)))`,
);

const listPage = statement<[string, number], HeldKeyRow>(
  'api_keys_list_held',
  `${held} where k.id > $1 order by k.id limit $2`,
);

/** What became visible since the snapshot, what has ended included. */
export const listHeldSince = (on: Queryable, snapshot: string): Promise<readonly HeldKeyRow[]> =>
  on.run(listSince, [snapshot]);

export const listHeldPage = (on: Queryable, afterId: string, limit: number): Promise<readonly HeldKeyRow[]> =>
  on.run(listPage, [afterId, limit]);

const deleteOld = statement<[number], { id: string }>(
  'api_keys_delete_ended',
  `delete from api_keys where id in (
     select id from api_keys where coalesce(revoked_at, expires_at) < clock_timestamp() - interval '90 days'
      order by id limit $1 for update skip locked)
   returning id`,
);

/** One bounded batch of what ended long ago; answers how many went. */
export async function deleteEndedKeys(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteOld, [limit])).length;
}
