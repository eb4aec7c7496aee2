/**
 * The way out by SMTP: connections are kept and used again, each step has an end, and a refusal is told apart by whose it is.
 *
 * - `required`: TLS with a checked certificate, or nothing is sent. `opportunistic`: TLS where the server offers it, whoever it is.
 * - A refused recipient or message is final. A refused login or sender is the operator's to mend: those mails wait.
 */
import { composed, type Mailbox, type Message, type Sender, type SendOutcome } from './sender.ts';

export interface SmtpOptions {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte. */
  readonly secure: boolean;
  readonly tls: 'required' | 'opportunistic' | 'none';
  readonly auth: { readonly user: string; readonly pass: string } | undefined;
}

export const connectionsMax = 5;
const timeouts = {
  connectionTimeout: 10_000,
  greetingTimeout: 10_000,
  socketTimeout: 30_000,
  dnsTimeout: 10_000,
} as const;

/** The library is loaded with the first mail: a service that sends none does without it. */
export function createSmtpSender(smtp: SmtpOptions, from: Mailbox): Sender {
  let opened: ReturnType<typeof open> | undefined;
  async function open() {
    const { createTransport } = await import('nodemailer');
    return createTransport({
      pool: true,
      maxConnections: connectionsMax,
      maxMessages: 100,
      ...{ host: smtp.host, port: smtp.port, secure: smtp.secure },
      ...(smtp.auth === undefined ? {} : { auth: { user: smtp.auth.user, pass: smtp.auth.pass } }),
      requireTLS: smtp.tls === 'required',
      ignoreTLS: smtp.tls === 'none',
      tls: { minVersion: 'TLSv1.2', rejectUnauthorized: smtp.tls === 'required' },
      ...timeouts,
    });
  }
  return {
    async send(message: Message, signal: AbortSignal): Promise<SendOutcome> {
      opened ??= open();
      const transport = await opened;
      try {
        await transport.sendMail({ ...composed(message, from), signal });
        return { kind: 'sent' };
      } catch (error) {
        return judge(error);
      }
    },
    close() {
      void opened?.then((transport) => transport.close({ force: true }));
      opened = undefined;
    },
  };
}

function judge(error: unknown): SendOutcome {
  const { code, responseCode, command } = error as { code?: unknown; responseCode?: unknown; command?: unknown };
  const told = [code, responseCode].filter((part) => typeof part === 'string' || typeof part === 'number');
  const words = told.length === 0 ? (error instanceof Error ? error.name : 'failed') : told.join(' ');
  const aboutTheMail = command === 'RCPT TO' || command === 'DATA';
  const isFinal = typeof responseCode === 'number' && responseCode >= 500 && aboutTheMail;
  return { kind: isFinal ? 'never' : 'later', error: words };
}
