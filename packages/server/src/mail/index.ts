/**
 * Mail: what the service has to tell people, from the transaction that it tells of to their mail server.
 *
 * - A mail is written in the transaction of the change: neither stands without the other. No request waits for a mail server.
 * - What is in the outbox is sealed under the root secret: it holds the secrets of links.
 * - Without the database there is no mail, as there is no change.
 */
export type { LinkValues, MailKind, MailValues, NewMail } from './kinds.ts';
export { createMail, type Mail } from './mail.ts';
