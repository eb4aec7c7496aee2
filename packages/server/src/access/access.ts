/** Use cases of roles; see `index.ts` for what they guarantee. */
import { isPermission } from '@auth-service/protocol';
import { findUserById, type UserRow } from '../accounts/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Pending, Revocation } from '../revocation/index.ts';
import { claimsTooLarge, isRoleName, permissionsOf } from './access.rule.ts';
import { type Actor, holdsNow, refuseNotHeld } from './rights.ts';
import {
  countOtherAdministrators,
  deleteRole,
  findHolderForUpdate,
  findRole,
  findRoleForUpdate,
  findRolesForGrant,
  type HolderRow,
  insertRole,
  listRoles,
  listRolesAfter,
  lockAdministrators,
  type RoleRow,
  updateHolders,
  updateRole,
  updateUserRoles,
} from './roles.sql.ts';

export type AccessRefusal = {
  readonly kind: 'refused';
  readonly code: 'not_found' | 'conflict' | 'validation_failed' | 'insufficient_permissions' | 'precondition_failed';
  readonly detail: string;
};

export type AccessResult<T> =
  | { readonly kind: 'done'; readonly value: T; readonly pending: Pending | null }
  | AccessRefusal;

export interface NewRole {
  readonly name: string;
  readonly description: string | null;
  readonly permissions: readonly string[];
}

/** Whether what is there is still what the caller has read; asked with the row locked. */
export type Precondition<Row> = (row: Row) => boolean;

export interface Access {
  list(): Promise<readonly RoleRow[]>;
  page(options: { after: string; limit: number }): Promise<readonly RoleRow[]>;
  find(name: string): Promise<RoleRow | undefined>;
  create(role: NewRole, by: Actor): Promise<AccessResult<RoleRow>>;
  /** In the caller's transaction, which commits on a refusal, too. */
  createIn(tx: Queryable, role: NewRole, by: Actor): Promise<AccessResult<RoleRow>>;
  /**
   * What is not named stays. With other permissions every holder's access tokens end at once; their refresh tokens bring the
   * new set.
   */
  change(
    name: string,
    changes: { readonly description?: string | null | undefined; readonly permissions?: readonly string[] | undefined },
    by: Actor,
    precondition?: Precondition<RoleRow>,
  ): Promise<AccessResult<RoleRow>>;
  remove(name: string, by: Actor, precondition?: Precondition<RoleRow>): Promise<AccessResult<{ holders: number }>>;
  /** Replaces the user's roles. */
  setUserRoles(
    userId: string,
    change: (held: readonly string[]) => readonly string[],
    by: Actor,
    precondition?: Precondition<UserRow>,
  ): Promise<AccessResult<HolderRow>>;
}

export function createAccess(deps: { db: Database; audit: Audit; revocation: Revocation }): Access {
  const { db, audit, revocation } = deps;

  /** The ledger row of each user whose claims are out of date. */
  const outdated = (holders: readonly HolderRow[], reason: string, actor: string) =>
    holders.map((holder) => ({ kind: 'user' as const, subject: holder.id, minEpoch: holder.epoch, reason, actor }));

  async function createIn(tx: Queryable, role: NewRole, by: Actor): Promise<AccessResult<RoleRow>> {
    const problem = permissionsProblem(role.permissions) ?? (isRoleName(role.name) ? null : invalid(roleNameText));
    if (problem !== null) return problem;
    const permissions = permissionsOf([role]);
    const event = { type: 'role.created', target: role.name } as const;
    if (!(await holdsNow(tx, by, permissions))) return refuseNotHeld(tx, audit, by, event);
    const made = await insertRole(tx, { ...role, permissions });
    if (made === undefined) return { kind: 'refused', code: 'conflict', detail: `A role named ${role.name} exists.` };
    await audit.append(tx, by.origin, {
      ...event,
      actor: by.actor,
      outcome: 'success',
      detail: { permissions: made.permissions },
    });
    return { kind: 'done', value: made, pending: null };
  }

  /** The role, locked, where `by` may change it: who takes a right away must hold it as well. */
  async function roleForChange(
    tx: Queryable,
    name: string,
    by: Actor,
    options: { type: string; more: readonly string[]; precondition: Precondition<RoleRow> | undefined },
  ): Promise<RoleRow | AccessRefusal> {
    await lockAdministrators(tx);
    const role = await findRoleForUpdate(tx, name);
    if (role === undefined) return unknownRole(name);
    if (!(await holdsNow(tx, by, [...role.permissions, ...options.more]))) {
      return refuseNotHeld(tx, audit, by, { type: options.type, target: name });
    }
    if (options.precondition?.(role) === false) return changedSince;
    if (role.built_in) return { kind: 'refused', code: 'conflict', detail: `The role ${name} is built in.` };
    return role;
  }

  return {
    list: () => listRoles(db),
    page: ({ after, limit }) => listRolesAfter(db, after, limit),
    find: (name) => findRole(db, name),
    create: (role, by) => db.transaction((tx) => createIn(tx, role, by)),
    createIn,

    async change(name, changes, by, precondition) {
      const problem = permissionsProblem(changes.permissions ?? []);
      if (problem !== null) return problem;
      return rollbackWhenTooLarge(db, async (tx) => {
        const more = changes.permissions ?? [];
        const role = await roleForChange(tx, name, by, { type: 'role.changed', more, precondition });
        if ('kind' in role) return role;
        const permissions = permissionsOf([{ permissions: changes.permissions ?? role.permissions }]);
        const description = changes.description === undefined ? role.description : changes.description;
        const changed = await updateRole(tx, name, { description, permissions });
        if (changed === undefined) return unknownRole(name);
        const isSame = permissions.join() === role.permissions.join();
        const holders = isSame ? [] : await updateHolders(tx, name, { remove: false });
        if (holders.some((holder) => claimsTooLarge(holder.roles, holder.permissions))) return tooLarge;
        const pending = await revocation.append(tx, outdated(holders, 'role_changed', by.actor));
        await audit.append(tx, by.origin, {
          type: 'role.changed',
          actor: by.actor,
          target: name,
          outcome: 'success',
          detail: { permissions: changed.permissions, holders: holders.length },
        });
        return { kind: 'done', value: changed, pending };
      });
    },

    async remove(name, by, precondition) {
      return db.transaction(async (tx): Promise<AccessResult<{ holders: number }>> => {
        const role = await roleForChange(tx, name, by, { type: 'role.deleted', more: [], precondition });
        if ('kind' in role) return role;
        const holders = await updateHolders(tx, name, { remove: true });
        await deleteRole(tx, name);
        const pending = await revocation.append(tx, outdated(holders, 'role_deleted', by.actor));
        await audit.append(tx, by.origin, {
          type: 'role.deleted',
          actor: by.actor,
          target: name,
          outcome: 'success',
          detail: { holders: holders.length },
        });
        return { kind: 'done', value: { holders: holders.length }, pending };
      });
    },

    async setUserRoles(userId, change, by, precondition) {
      return db.transaction(async (tx): Promise<AccessResult<HolderRow>> => {
        await lockAdministrators(tx);
        const held = await findHolderForUpdate(tx, userId);
        if (held === undefined) return unknownUser;
        const wanted = [...new Set(change(held.roles))].toSorted();
        const roles = await findRolesForGrant(tx, wanted);
        const carried = [...held.permissions, ...permissionsOf(roles)];
        if (!(await holdsNow(tx, by, carried))) {
          return refuseNotHeld(tx, audit, by, { type: 'user.roles_changed', target: userId });
        }
        if (precondition !== undefined && !(await isAsRead(tx, userId, precondition))) return changedSince;
        if (wanted.join() === [...held.roles].toSorted().join()) return { kind: 'done', value: held, pending: null };
        const missing = wanted.find((name) => !roles.some((role) => role.name === name));
        if (missing !== undefined) return unknownRole(missing);
        const losesAdmin = held.roles.includes('admin') && !wanted.includes('admin') && held.status === 'active';
        if (losesAdmin && (await countOtherAdministrators(tx, userId)) === 0) return lastAdministrator;
        const permissions = permissionsOf(roles);
        if (claimsTooLarge(wanted, permissions)) return tooLarge;
        const changed = await updateUserRoles(tx, userId, wanted, permissions);
        if (changed === undefined) return unknownUser;
        const pending = await revocation.append(tx, outdated([changed], 'roles_changed', by.actor));
        await audit.append(tx, by.origin, {
          type: 'user.roles_changed',
          actor: by.actor,
          target: userId,
          outcome: 'success',
          detail: { from: held.roles, to: wanted },
        });
        return { kind: 'done', value: changed, pending };
      });
    },
  };
}

async function isAsRead(tx: Queryable, userId: string, precondition: Precondition<UserRow>): Promise<boolean> {
  const user = await findUserById(tx, userId);
  return user !== undefined && precondition(user);
}

/** That the claims are too large is found after the change was made: it is taken back, and the refusal answered. */
async function rollbackWhenTooLarge<T>(
  db: Database,
  work: (tx: Queryable) => Promise<AccessResult<T>>,
): Promise<AccessResult<T>> {
  class Rollback extends Error {}
  try {
    return await db.transaction(async (tx) => {
      const result = await work(tx);
      if (result === tooLarge) throw new Rollback('rolled back by a refusal');
      return result;
    });
  } catch (error) {
    if (error instanceof Rollback) return tooLarge;
    throw error;
  }
}

const roleNameText = 'A role name is 1 to 64 of a-z, 0-9, "_", "-", and starts with a letter.';
const invalid = (detail: string): AccessRefusal => ({ kind: 'refused', code: 'validation_failed', detail });
const unknownUser: AccessRefusal = { kind: 'refused', code: 'not_found', detail: 'There is no such user.' };
const unknownRole = (name: string): AccessRefusal => ({
  kind: 'refused',
  code: 'not_found',
  detail: `There is no role named ${name.slice(0, 64)}.`,
});
export const tooLarge = {
  kind: 'refused',
  code: 'conflict',
  detail: "The user's roles and permissions would not fit into a token.",
} as const;
export const changedSince = {
  kind: 'refused',
  code: 'precondition_failed',
  detail: 'It has changed since it was read; read it again.',
} as const;
export const lastAdministrator: AccessRefusal = {
  kind: 'refused',
  code: 'conflict',
  detail: 'The last administrator cannot be removed, disabled or demoted.',
};

function permissionsProblem(permissions: readonly string[]): AccessRefusal | null {
  const wrong = permissions.find((permission) => !isPermission(permission));
  return wrong === undefined ? null : invalid(`"${wrong.slice(0, 64)}" is not a permission; write resource:action.`);
}
