/**
 * Mail: what the service has to tell people, from the transaction that it tells of to their mail server.
 *
 * - A mail is written in the transaction of the change: neither stands without the other. No request waits for a mail server.
 * - Every node sends; each mail goes at least once, and twice only when a node dies between the server's answer and its note of it.
 * - What is in the outbox is sealed under the root secret: it holds the secrets of links.
 * - Without the database there is no mail, as there is no change. Without the mail server mails wait, and are given up in the end:
 *   dead letters, which administrators see.
 */
export { createDelivery, type Delivery, type MailResult } from './delivery.ts';
export type { LinkValues, MailKind, MailValues, NewMail } from './kinds.ts';
export { createFolderSender, noSender } from './local-senders.ts';
export { createMail, type Mail } from './mail.ts';
export { createMailSecrets, type MailSecrets } from './secrets.ts';
export type { Sender } from './sender.ts';
export { createSmtpSender } from './smtp-sender.ts';
export { createTemplates } from './templates.ts';
export type { MailTokenRow } from './tokens.sql.ts';
