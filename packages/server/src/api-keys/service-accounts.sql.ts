/** Statements of service accounts. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface ServiceAccountRow {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly permissions: readonly string[];
  readonly status: 'active' | 'disabled';
  readonly epoch: number;
  readonly created_by: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

const columns = 'id, name, description, permissions, status, epoch, created_by, created_at, updated_at';

const insert = statement<[string, string, string | null, readonly string[], string], ServiceAccountRow>(
  'service_accounts_insert',
  `insert into service_accounts (id, name, description, permissions, created_by) values ($1, $2, $3, $4::text[], $5)
   on conflict (name) do nothing returning ${columns}`,
);

/** `undefined` when the name is taken. */
export const insertServiceAccount = (
  on: Queryable,
  account: {
    readonly id: string;
    readonly name: string;
    readonly description: string | null;
    readonly permissions: readonly string[];
    readonly createdBy: string;
  },
): Promise<ServiceAccountRow | undefined> =>
  one(on, insert, [account.id, account.name, account.description, account.permissions, account.createdBy]);

const list = statement<[string | null, number], ServiceAccountRow>(
  'service_accounts_list',
  `select ${columns} from service_accounts where ($1::uuid is null or id < $1::uuid) order by id desc limit $2`,
);

/** Newest first. */
export const listServiceAccounts = (
  on: Queryable,
  page: { readonly beforeId: string | null; readonly limit: number },
): Promise<readonly ServiceAccountRow[]> => on.run(list, [page.beforeId, page.limit]);

const lockOne = statement<[string], ServiceAccountRow>(
  'service_accounts_find_for_update',
  `select ${columns} from service_accounts where id = $1 for update`,
);

export const findServiceAccountForUpdate = (on: Queryable, id: string): Promise<ServiceAccountRow | undefined> =>
  one(on, lockOne, [id]);

const count = statement<[], { accounts: number }>(
  'service_accounts_count',
  'select count(*) as accounts from service_accounts',
);

export async function countServiceAccounts(on: Queryable): Promise<number> {
  return (await one(on, count, []))?.accounts ?? 0;
}

const change = statement<[string, string | null, readonly string[], string], ServiceAccountRow>(
  'service_accounts_update',
  `update service_accounts set description = $2, permissions = $3::text[], status = $4,
          epoch = epoch + (permissions is distinct from $3::text[] or status <> $4)::int, updated_at = clock_timestamp()
    where id = $1 returning ${columns}`,
);

/** Raises the epoch where permissions or status change. */
export const updateServiceAccount = (
  on: Queryable,
  id: string,
  to: {
    readonly description: string | null;
    readonly permissions: readonly string[];
    readonly status: ServiceAccountRow['status'];
  },
): Promise<ServiceAccountRow | undefined> => one(on, change, [id, to.description, to.permissions, to.status]);

const remove = statement<[string], { id: string }>(
  'service_accounts_delete',
  'delete from service_accounts where id = $1 returning id',
);

export async function deleteServiceAccount(on: Queryable, id: string): Promise<boolean> {
  return (await one(on, remove, [id])) !== undefined;
}
