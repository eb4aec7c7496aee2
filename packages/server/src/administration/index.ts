/**
 * Administration: what operators do to accounts, from the command line today.
 *
 * - Each change is one transaction with its ledger rows and its audit event, and answers a receipt where it ends tokens.
 * - The last administrator stays.
 */
export { commandLine, createUsers, type NewUser, type Operator, type Outcome, type Users } from './users.ts';
