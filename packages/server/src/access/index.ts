/**
 * Roles and permissions.
 *
 * - A user's permissions are the union of their roles', written on the user's row by the transaction that changes either.
 * - Every change raises the epoch of the users it touches and writes the ledger in the same transaction: access tokens
 *   issued before it are refused everywhere, refresh tokens go on and bring the new set.
 * - Nobody grants, changes or takes over rights that they do not hold at that moment.
 * - The last administrator stays.
 */

export { claimsTooLarge, permissionsOf } from './access.rule.ts';
export {
  type Access,
  type AccessRefusal,
  type AccessResult,
  changedSince,
  createAccess,
  lastAdministrator,
  type NewRole,
  type Precondition,
  tooLarge,
} from './access.ts';
export { type Actor, holdsNow, refuseNotHeld } from './rights.ts';
export { countOtherAdministrators, findRolesForGrant, lockAdministrators, type RoleRow } from './roles.sql.ts';
