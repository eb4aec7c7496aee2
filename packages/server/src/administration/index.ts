/**
 * Administration: what operators do to accounts, sessions and keys, from the command line and through the API.
 *
 * - Each change is one transaction with its ledger rows and its audit event, and answers a receipt where it ends tokens.
 * - Nobody touches what carries rights that they do not hold; it is judged in the transaction that acts.
 * - No operator reads or sets a password through the API.
 * - The last administrator stays.
 * - A page of a list costs what it shows, and is asked for by a cursor that nobody makes up.
 */

export { type Administration, createAdministration } from './administration.ts';
export {
  createImport,
  type ImportOptions,
  type ImportOutcome,
  type ImportSource,
  type ImportUsers,
} from './import.ts';
export type { RefusedLine } from './imports.sql.ts';
export type { KeyAdministration } from './keys.ts';
export type { MailAdministration } from './mails.ts';
export { type AdminRefusal, commandLine, type NewUser, type Outcome, type Users } from './users.ts';
export { type PlacedUser, placeOf } from './users-list.ts';
