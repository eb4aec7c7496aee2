/**
 * What this node holds of API keys: read with the beat, by the cursor of the ledger, so that a beat that counts has read them.
 *
 * After a fail-over that lost commits a key may be alive again in the store: where an entry of its end is still held here, the
 * whole load ends it in the store again.
 */
import type { ApiKeyRecord, ApiKeyTable, Replica } from '@auth-service/guard';
import { intersect } from '@auth-service/protocol';
import type { Queryable } from '../platform/database/index.ts';
import { type HeldKeyRow, listHeldPage, listHeldSince, updateRevokedAgain } from './api-keys.sql.ts';

/** Reads what became visible since the snapshot, everything for `null`. */
export type FollowKeys = (on: Queryable, since: string | null) => Promise<void>;

const pageRows = 5_000;
const firstId = '00000000-0000-0000-0000-000000000000';

export function createFollowKeys(deps: {
  readonly table: Pick<ApiKeyTable, 'put' | 'replaceAll'>;
  readonly replica: Pick<Replica, 'covers'>;
}): FollowKeys {
  const { table, replica } = deps;
  return async (on, since) => {
    if (since !== null) {
      table.put((await listHeldSince(on, since)).map(toRecord));
      return;
    }
    const all = await listAll(on);
    const revived = all.filter((row) => !row.ended && replica.covers('token', row.id)).map((row) => row.id);
    if (revived.length > 0) await updateRevokedAgain(on, revived);
    table.replaceAll(all.map(toRecord));
  };
}

async function listAll(on: Queryable): Promise<readonly HeldKeyRow[]> {
  const all: HeldKeyRow[] = [];
  let after = firstId;
  for (;;) {
    const page = await listHeldPage(on, after, pageRows);
    all.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < pageRows) return all;
    after = last.id;
  }
}

/** A key never does what its owner may not do now, whatever it was made for. */
const toRecord = (row: HeldKeyRow): ApiKeyRecord => ({
  id: row.id,
  prefix: row.prefix,
  hash: row.hash,
  permissions: intersect(row.permissions, row.owner_permissions ?? []),
  ownerId: row.owner_id,
  ownerKind: row.owner_kind,
  ownerEpoch: row.owner_epoch ?? 0,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  ended: row.ended || row.owner_epoch === null,
});
