/**
 * What the owner of an account changes about it: names, password, the account itself.
 *
 * - A password is asked for under the same counter as at a login; guesses here are guesses there.
 * - Another password ends every other session and every device token, at once and everywhere; the acting session goes on.
 * - An account that is deleted is gone with its sessions, its tokens are refused; its audit events stay. The last
 *   administrator stays.
 * - Without the database every answer is 503.
 */
export { createExport, type ExportedLine, type ExportUser } from './export.ts';
export { createProfile, type Profile } from './profile.ts';
