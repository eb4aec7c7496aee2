/**
 * Accounts: who exists, by which address, with which password hash and status.
 *
 * - One address, one account: the unique index on the canonical key decides, under any concurrency.
 * - A change that must end access tokens raises the user's epoch in the same transaction.
 * - Without the database every answer is 503.
 */

export { canonicalEmail } from './email.rule.ts';
export { describeEmailProblem } from './email-problem.rule.ts';
export { insertUsers, listTakenEmailKeys } from './import.sql.ts';
export { updateProvenCredentials, updateUserEmail } from './proven-users.sql.ts';
export { mayBeRegisteredAgain, type ShownUser, toUser } from './user.rule.ts';
export {
  countUsers,
  deleteUser,
  findUserByEmailKey,
  findUserById,
  holdUser,
  insertUser,
  lockUser,
  type UserRow,
  updateEmailVerified,
  updateLastLogin,
  updateMfaEnabled,
  updatePasswordHash,
  updateUserEpoch,
  updateUserNames,
  updateUserStatus,
} from './users.sql.ts';
