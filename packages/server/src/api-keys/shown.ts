/** How keys and service accounts are shown, and the pages of their lists. */
import type { ApiKey, ServiceAccount } from '@auth-service/protocol';
import type { Cursors } from '../keys/index.ts';
import { type Refusal, refusal } from '../platform/http/index.ts';
import { statusOf } from './api-key.rule.ts';
import type { ApiKeyRow } from './api-keys.sql.ts';
import type { ServiceAccountRow } from './service-accounts.sql.ts';

export const toApiKey = (row: ApiKeyRow, nowMs: number): ApiKey => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  permissions: [...row.permissions],
  owner: { kind: row.owner_kind, id: row.owner_id },
  created_by: row.created_by,
  created_at: row.created_at.toISOString(),
  expires_at: row.expires_at?.toISOString() ?? null,
  last_used_at: row.last_used_at?.toISOString() ?? null,
  status: statusOf(row, nowMs),
  revoked_at: row.revoked_at?.toISOString() ?? null,
  revoked_reason: row.revoked_reason,
});

export const toServiceAccount = (row: ServiceAccountRow): ServiceAccount => ({
  id: row.id,
  name: row.name,
  description: row.description,
  permissions: [...row.permissions],
  status: row.status,
  created_by: row.created_by,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
});

const limitDefault = 50;

/** One page of a list that is ordered by id alone, newest first. */
export async function pageById<Row extends { readonly id: string }, Item>(options: {
  readonly cursors: Cursors;
  readonly list: string;
  readonly filters: unknown;
  readonly query: { readonly limit?: number; readonly cursor?: string };
  readonly read: (page: { beforeId: string | null; limit: number }) => Promise<readonly Row[]>;
  readonly show: (row: Row) => Item;
}): Promise<{ readonly items: readonly Item[]; readonly next_cursor: string | null } | Refusal> {
  const { cursors, list, filters, query, read, show } = options;
  const limit = query.limit ?? limitDefault;
  let beforeId: string | null = null;
  if (query.cursor !== undefined) {
    const place = cursors.read(list, filters, query.cursor)?.[0];
    if (typeof place !== 'string') {
      const detail = 'This is no cursor of this list with these filters.';
      return refusal('validation_failed', { errors: [{ pointer: '/cursor', code: 'invalid', detail }] });
    }
    beforeId = place;
  }
  const rows = await read({ beforeId, limit: limit + 1 });
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items: shown.map(show), next_cursor: more ? cursors.write(list, filters, [last.id]) : null };
}
