/** Statements of roles, and of what users have of them. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface RoleRow {
  readonly name: string;
  readonly description: string | null;
  readonly permissions: readonly string[];
  readonly built_in: boolean;
  readonly created_at: Date;
  readonly updated_at: Date;
}

const columns = 'name, description, permissions, built_in, created_at, updated_at';

const list = statement<[], RoleRow>('roles_list', `select ${columns} from roles order by name`);

const listAfter = statement<[string, number], RoleRow>(
  'roles_list_after',
  `select ${columns} from roles where name collate "C" > $1 order by name collate "C" limit $2`,
);

const find = statement<[string], RoleRow>('roles_find', `select ${columns} from roles where name = $1`);

/** `for share`: the permissions that a grant copies cannot change before the grant commits. */
const lockNamed = statement<[readonly string[]], RoleRow>(
  'roles_find_for_grant',
  `select ${columns} from roles where name = any ($1::text[]) order by name for share`,
);

const lockOne = statement<[string], RoleRow>(
  'roles_find_for_update',
  `select ${columns} from roles where name = $1 for update`,
);

const insert = statement<[string, string | null, readonly string[]], RoleRow>(
  'roles_insert',
  `insert into roles (name, description, permissions) values ($1, $2, $3::text[])
   on conflict (name) do nothing returning ${columns}`,
);

const update = statement<[string, string | null, readonly string[]], RoleRow>(
  'roles_update',
  `update roles set description = $2, permissions = $3::text[], updated_at = clock_timestamp()
    where name = $1 returning ${columns}`,
);

const remove = statement<[string], { name: string }>(
  'roles_delete',
  'delete from roles where name = $1 returning name',
);

/** One lock for everything that may take the last administrator away, or changes who may what. */
const lockAdmins = statement<[], { locked: unknown }>(
  'roles_lock_administrators',
  `select pg_advisory_xact_lock(hashtext('auth-service/administrators')) as locked`,
);

const countAdmins = statement<[string], { others: number }>(
  'roles_count_other_administrators',
  `select count(*) as others from users where roles @> '{admin}' and status = 'active' and id <> $1`,
);

export interface HolderRow {
  readonly id: string;
  readonly epoch: number;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
}

const setRoles = statement<[string, readonly string[], readonly string[]], HolderRow>(
  'roles_update_user',
  `update users set roles = $2::text[], permissions = $3::text[], epoch = epoch + 1, updated_at = clock_timestamp()
    where id = $1 returning id, epoch, roles, permissions`,
);

const lockUser = statement<[string], HolderRow & { status: string }>(
  'roles_find_user_for_update',
  'select id, epoch, roles, permissions, status from users where id = $1 for update',
);

const findRights = statement<[string], { status: string; permissions: readonly string[] }>(
  'roles_find_rights_of_principal',
  `select status, permissions from users where id = $1
   union all select status, permissions from service_accounts where id = $1`,
);

/** Everybody who has the role gets the permissions that their roles give now (without it, when `$2`). */
const refreshHolders = statement<[string, boolean], HolderRow>(
  'roles_update_holders',
  `with holders as (
     select id from users where roles @> array[$1::text] order by id for update)
   update users u
      set roles = case when $2 then array_remove(u.roles, $1) else u.roles end,
          permissions = coalesce((
            select array_agg(distinct p order by p) from roles r, unnest(r.permissions) p
             where r.name = any (u.roles) and not ($2 and r.name = $1)), '{}'),
          epoch = u.epoch + 1,
          updated_at = clock_timestamp()
     from holders h where h.id = u.id
   returning u.id, u.epoch, u.roles, u.permissions`,
);

export const listRoles = (on: Queryable): Promise<readonly RoleRow[]> => on.run(list, []);

/** In the order of their names' bytes. */
export const listRolesAfter = (on: Queryable, name: string, limit: number): Promise<readonly RoleRow[]> =>
  on.run(listAfter, [name, limit]);

export const findRole = (on: Queryable, name: string): Promise<RoleRow | undefined> => one(on, find, [name]);

export const findRightsOfPrincipal = (
  on: Queryable,
  id: string,
): Promise<{ status: string; permissions: readonly string[] } | undefined> => one(on, findRights, [id]);

export const findRolesForGrant = (on: Queryable, names: readonly string[]): Promise<readonly RoleRow[]> =>
  on.run(lockNamed, [names]);

export const findRoleForUpdate = (on: Queryable, name: string): Promise<RoleRow | undefined> =>
  one(on, lockOne, [name]);

export const insertRole = (
  on: Queryable,
  role: { name: string; description: string | null; permissions: readonly string[] },
): Promise<RoleRow | undefined> => one(on, insert, [role.name, role.description, role.permissions]);

export const updateRole = (
  on: Queryable,
  name: string,
  role: { description: string | null; permissions: readonly string[] },
): Promise<RoleRow | undefined> => one(on, update, [name, role.description, role.permissions]);

export async function deleteRole(on: Queryable, name: string): Promise<boolean> {
  return (await one(on, remove, [name])) !== undefined;
}

export async function lockAdministrators(on: Queryable): Promise<void> {
  await on.run(lockAdmins, []);
}

export async function countOtherAdministrators(on: Queryable, userId: string): Promise<number> {
  return (await one(on, countAdmins, [userId]))?.others ?? 0;
}

export const updateUserRoles = (
  on: Queryable,
  userId: string,
  roles: readonly string[],
  permissions: readonly string[],
): Promise<HolderRow | undefined> => one(on, setRoles, [userId, roles, permissions]);

export const findHolderForUpdate = (
  on: Queryable,
  userId: string,
): Promise<(HolderRow & { status: string }) | undefined> => one(on, lockUser, [userId]);

export const updateHolders = (
  on: Queryable,
  role: string,
  options: { remove: boolean },
): Promise<readonly HolderRow[]> => on.run(refreshHolders, [role, options.remove]);
