/** Statements of the signing keys. Ends are told as milliseconds from the database's now, so no node's clock decides. */

import type { SigningAlgorithm } from '@auth-service/protocol';
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface SigningKeyRow {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly public_jwk: Readonly<Record<string, unknown>>;
  readonly private_key: Uint8Array;
  readonly created_at: Date;
  readonly activates_at: Date;
  readonly retires_at: Date | null;
  readonly revoked_at: Date | null;
  /** Milliseconds until it may sign; zero or less: now. */
  readonly active_in_ms: number;
  /** Milliseconds until it verifies nothing any more; `null`: no successor yet. */
  readonly retires_in_ms: number | null;
}

const lockKeysText = statement<[], { locked: unknown }>(
  'keys_lock',
  `select pg_advisory_xact_lock(hashtext('auth-service/signing-keys')) as locked`,
);

const list = statement<[], SigningKeyRow>(
  'keys_list',
  `select kid, algorithm, public_jwk, private_key, created_at, activates_at, retires_at, revoked_at,
          (extract(epoch from activates_at - clock_timestamp()) * 1000)::float8 as active_in_ms,
          (extract(epoch from retires_at - clock_timestamp()) * 1000)::float8 as retires_in_ms
     from signing_keys
    order by activates_at desc, kid`,
);

const insert = statement<[string, string, string, Uint8Array, number], never>(
  'keys_insert',
  `insert into signing_keys (kid, algorithm, public_jwk, private_key, activates_at)
   values ($1, $2, $3::jsonb, $4, clock_timestamp() + $5::float8 * interval '1 millisecond')`,
);

/** Every older key verifies until the last token that it may still sign has expired. */
const retireOlder = statement<[string, number], never>(
  'keys_retire_older',
  `update signing_keys o
      set retires_at = n.activates_at + $2::float8 * interval '1 second'
     from signing_keys n
    where n.kid = $1 and o.kid <> n.kid and o.activates_at <= n.activates_at and o.retires_at is null`,
);

const revoke = statement<[string], { kid: string }>(
  'keys_revoke',
  'update signing_keys set revoked_at = clock_timestamp() where kid = $1 and revoked_at is null returning kid',
);

const reseal = statement<[string, Uint8Array], never>(
  'keys_update_private_key',
  'update signing_keys set private_key = $2 where kid = $1',
);

/** A day after its end, so that a listing still shows what was. */
const deleteGone = statement<[], { kid: string }>(
  'keys_delete_gone',
  `delete from signing_keys where retires_at < clock_timestamp() - interval '1 day' returning kid`,
);

const bumpVersion = statement<[], never>(
  'keys_bump_version',
  `update store_meta set value = (value::bigint + 1)::text where key = 'keys_version'`,
);

const raiseTokenTtl = statement<[number], never>(
  'keys_raise_token_ttl',
  `update store_meta set value = $1::bigint::text where key = 'token_ttl_max' and value::bigint < $1::bigint`,
);

const findTokenTtl = statement<[], { seconds: number }>(
  'keys_find_token_ttl',
  `select value::bigint as seconds from store_meta where key = 'token_ttl_max'`,
);

const countNodes = statement<[], { nodes: number }>(
  'keys_count_live_nodes',
  'select count(*) as nodes from cluster_nodes where lease_until > clock_timestamp()',
);

export async function lockSigningKeys(on: Queryable): Promise<void> {
  await on.run(lockKeysText, []);
}

export function listSigningKeys(on: Queryable): Promise<readonly SigningKeyRow[]> {
  return on.run(list, []);
}

export async function insertSigningKey(
  on: Queryable,
  key: { kid: string; algorithm: string; publicJwk: object; sealed: Uint8Array; activeInMs: number },
): Promise<void> {
  await on.run(insert, [key.kid, key.algorithm, JSON.stringify(key.publicJwk), key.sealed, key.activeInMs]);
}

export async function updateOlderKeysRetirement(on: Queryable, kid: string, verifySeconds: number): Promise<void> {
  await on.run(retireOlder, [kid, verifySeconds]);
}

export async function updateKeyRevoked(on: Queryable, kid: string): Promise<boolean> {
  return (await one(on, revoke, [kid])) !== undefined;
}

export async function updateSealedKey(on: Queryable, kid: string, sealed: Uint8Array): Promise<void> {
  await on.run(reseal, [kid, sealed]);
}

export async function deleteGoneKeys(on: Queryable): Promise<number> {
  return (await on.run(deleteGone, [])).length;
}

export async function updateKeysVersion(on: Queryable): Promise<void> {
  await on.run(bumpVersion, []);
}

/** The longest access-token life that any node of this store was ever configured with, seconds. */
export async function updateTokenTtlMax(on: Queryable, seconds: number): Promise<number> {
  await on.run(raiseTokenTtl, [seconds]);
  return (await one(on, findTokenTtl, []))?.seconds ?? seconds;
}

export async function countLiveNodes(on: Queryable): Promise<number> {
  return (await one(on, countNodes, []))?.nodes ?? 0;
}
