/** Use cases of roles; see `index.ts` for what they guarantee. */
import { isPermission } from '@auth-service/protocol';
import type { Audit, Origin } from '../audit/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { Pending, Revocation } from '../revocation/index.ts';
import { claimsTooLarge, isRoleName, permissionsOf } from './access.rule.ts';
import {
  countOtherAdministrators,
  deleteRole,
  findHolderForUpdate,
  findRoleForUpdate,
  findRolesForGrant,
  type HolderRow,
  insertRole,
  listRoles,
  lockAdministrators,
  type RoleRow,
  updateHolders,
  updateRolePermissions,
  updateUserRoles,
} from './roles.sql.ts';

export type AccessRefusal = {
  readonly kind: 'refused';
  readonly code: 'not_found' | 'conflict' | 'validation_failed';
  readonly detail: string;
};

export type AccessResult<T> =
  | { readonly kind: 'done'; readonly value: T; readonly pending: Pending | null }
  | AccessRefusal;

export interface Access {
  list(): Promise<readonly RoleRow[]>;
  create(
    role: { name: string; description: string | null; permissions: readonly string[] },
    by: Actor,
  ): Promise<AccessResult<RoleRow>>;
  /** Every holder's access tokens end at once; their refresh tokens bring the new set. */
  setPermissions(name: string, permissions: readonly string[], by: Actor): Promise<AccessResult<RoleRow>>;
  remove(name: string, by: Actor): Promise<AccessResult<{ holders: number }>>;
  /** Replaces the user's roles. */
  setUserRoles(
    userId: string,
    change: (held: readonly string[]) => readonly string[],
    by: Actor,
  ): Promise<AccessResult<HolderRow>>;
}

export interface Actor {
  readonly actor: string;
  readonly origin: Origin;
}

export function createAccess(deps: { db: Database; audit: Audit; revocation: Revocation }): Access {
  const { db, audit, revocation } = deps;

  /** The ledger row of each user whose claims are out of date. */
  const outdated = (holders: readonly HolderRow[], reason: string, actor: string) =>
    holders.map((holder) => ({ kind: 'user' as const, subject: holder.id, minEpoch: holder.epoch, reason, actor }));

  return {
    list: () => listRoles(db),

    async create(role, by) {
      const problem = permissionsProblem(role.permissions) ?? (isRoleName(role.name) ? null : invalid(roleNameText));
      if (problem !== null) return problem;
      return db.transaction(async (tx): Promise<AccessResult<RoleRow>> => {
        const made = await insertRole(tx, { ...role, permissions: permissionsOf([role]) });
        if (made === undefined)
          return { kind: 'refused', code: 'conflict', detail: `A role named ${role.name} exists.` };
        await audit.append(tx, by.origin, {
          type: 'role.created',
          actor: by.actor,
          target: role.name,
          outcome: 'success',
          detail: { permissions: made.permissions },
        });
        return { kind: 'done', value: made, pending: null };
      });
    },

    async setPermissions(name, permissions, by) {
      const problem = permissionsProblem(permissions);
      if (problem !== null) return problem;
      return rollbackOnRefusal(db, async (tx) => {
        const role = await findRoleForUpdate(tx, name);
        if (role === undefined) return unknownRole(name);
        if (role.built_in) return { kind: 'refused', code: 'conflict', detail: `The role ${name} is built in.` };
        const changed = await updateRolePermissions(tx, name, permissionsOf([{ permissions }]));
        if (changed === undefined) return unknownRole(name);
        const holders = await updateHolders(tx, name, { remove: false });
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

    async remove(name, by) {
      return db.transaction(async (tx): Promise<AccessResult<{ holders: number }>> => {
        const role = await findRoleForUpdate(tx, name);
        if (role === undefined) return unknownRole(name);
        if (role.built_in) return { kind: 'refused', code: 'conflict', detail: `The role ${name} is built in.` };
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

    async setUserRoles(userId, change, by) {
      return db.transaction(async (tx): Promise<AccessResult<HolderRow>> => {
        await lockAdministrators(tx);
        const held = await findHolderForUpdate(tx, userId);
        if (held === undefined) return { kind: 'refused', code: 'not_found', detail: 'There is no such user.' };
        const wanted = [...new Set(change(held.roles))].toSorted();
        if (wanted.join() === [...held.roles].toSorted().join()) return { kind: 'done', value: held, pending: null };
        const roles = await findRolesForGrant(tx, wanted);
        const missing = wanted.find((name) => !roles.some((role) => role.name === name));
        if (missing !== undefined) return unknownRole(missing);
        const losesAdmin = held.roles.includes('admin') && !wanted.includes('admin') && held.status === 'active';
        if (losesAdmin && (await countOtherAdministrators(tx, userId)) === 0) return lastAdministrator;
        const permissions = permissionsOf(roles);
        if (claimsTooLarge(wanted, permissions)) return tooLarge;
        const changed = await updateUserRoles(tx, userId, wanted, permissions);
        if (changed === undefined) return { kind: 'refused', code: 'not_found', detail: 'There is no such user.' };
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

/** Where a refusal is found after the change was made: the change is taken back and the refusal answered. */
async function rollbackOnRefusal<T>(
  db: Database,
  work: (tx: Parameters<Parameters<Database['transaction']>[0]>[0]) => Promise<AccessResult<T>>,
): Promise<AccessResult<T>> {
  class Rollback extends Error {
    readonly refusal: AccessRefusal;
    constructor(refusal: AccessRefusal) {
      super('rolled back by a refusal');
      this.refusal = refusal;
    }
  }
  try {
    return await db.transaction(async (tx) => {
      const result = await work(tx);
      if (result.kind === 'refused') throw new Rollback(result);
      return result;
    });
  } catch (error) {
    if (error instanceof Rollback) return error.refusal;
    throw error;
  }
}

const roleNameText = 'A role name is 1 to 64 of a-z, 0-9, "_", "-", and starts with a letter.';
const invalid = (detail: string): AccessRefusal => ({ kind: 'refused', code: 'validation_failed', detail });
const unknownRole = (name: string): AccessRefusal => ({
  kind: 'refused',
  code: 'not_found',
  detail: `There is no role named ${name.slice(0, 64)}.`,
});
const tooLarge: AccessRefusal = {
  kind: 'refused',
  code: 'conflict',
  detail: "The user's roles and permissions would exceed 6 KiB in a token.",
};
export const lastAdministrator: AccessRefusal = {
  kind: 'refused',
  code: 'conflict',
  detail: 'The last administrator cannot be removed, disabled or demoted.',
};

function permissionsProblem(permissions: readonly string[]): AccessRefusal | null {
  const wrong = permissions.find((permission) => !isPermission(permission));
  return wrong === undefined ? null : invalid(`"${wrong.slice(0, 64)}" is not a permission; write resource:action.`);
}
