/** The port of a way out: hands one message over, and says whether it went, may go later, or never will. */
import type { SendMailOptions } from 'nodemailer';

export interface Message {
  /** Of the row: the same at each try, so that a receiver can tell a repeated mail. */
  readonly id: string;
  readonly kind: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly dateMs: number;
}

/** `error`: codes only; the words of a mail server name people. */
export type SendOutcome =
  | { readonly kind: 'sent' }
  /** There is no way out: said in the log, and that is all. */
  | { readonly kind: 'not_sent' }
  | { readonly kind: 'later'; readonly error: string }
  | { readonly kind: 'never'; readonly error: string };

export interface Sender {
  send(message: Message, signal: AbortSignal): Promise<SendOutcome>;
  /** Ends what is under way, too. */
  close(): void;
}

export interface Mailbox {
  readonly name: string;
  readonly address: string;
}

/** The message as the library takes it. Addresses are objects, so none is parsed for lists or comments. */
export function composed(message: Message, from: Mailbox): SendMailOptions {
  return {
    from,
    to: { name: '', address: message.to },
    envelope: { from: from.address, to: [message.to] },
    subject: message.subject,
    text: message.text,
    html: message.html,
    date: new Date(message.dateMs),
    messageId: `<${message.id}@${from.address.slice(from.address.indexOf('@') + 1)}>`,
    // RFC 3834: no robot answers a robot.
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
