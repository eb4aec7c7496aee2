/** A mail server of the test's own: takes, refuses, delays and forgets as it is told, and keeps what it took. */
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** As it came. */
  readonly raw: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly subject: string;
  /** The parts, decoded. */
  readonly text: string;
  readonly html: string;
}

export interface TestSmtp {
  readonly url: string;
  readonly port: number;
  readonly received: readonly ReceivedMail[];
  /** Messages whose data has begun to arrive, taken or not. */
  readonly attempts: () => number;
  /** Connections so far. */
  readonly connections: () => number;
  /** How the following messages are answered. `hang`: never. */
  answer: (how: 'take' | 'hang' | { readonly code: number; readonly at: 'rcpt' | 'data' }) => void;
  stop(): Promise<void>;
}

export async function startSmtp(options: { readonly port?: number } = {}): Promise<TestSmtp> {
  const received: ReceivedMail[] = [];
  let how: Parameters<TestSmtp['answer']>[0] = 'take';
  let attempts = 0;
  let connections = 0;
  const refusal = (code: number): Error => Object.assign(new Error('as the test wants it'), { responseCode: code });
  const server = new SMTPServer({
    authOptional: true,
    logger: false,
    closeTimeout: 100,
    onConnect(_session, callback) {
      connections += 1;
      callback();
    },
    onRcptTo(_address, _session, callback) {
      if (typeof how === 'object' && how.at === 'rcpt') {
        attempts += 1;
        callback(refusal(how.code));
      } else callback();
    },
    onData(stream, session, callback) {
      attempts += 1;
      const now = how;
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (now === 'hang') return;
        if (typeof now === 'object') return callback(refusal(now.code));
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? '' : mailFrom.address;
        const to = rcptTo.map(({ address }) => address);
        received.push({ from, to, ...parseMail(Buffer.concat(chunks).toString('latin1')) });
        callback();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', () => resolve()));
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    port,
    received,
    attempts: () => attempts,
    connections: () => connections,
    answer: (next) => {
      how = next;
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Of a message of `multipart/alternative`, text first. */
export function parseMail(raw: string): Omit<ReceivedMail, 'from' | 'to'> {
  const [head = '', ...rest] = raw.split('\r\n\r\n');
  const headers = headersOf(head);
  const boundary = /boundary="?([^";]+)"?/.exec(headers.get('content-type') ?? '')?.[1] ?? '\0';
  const parts = rest.join('\r\n\r\n').split(`--${boundary}`).map(partOf);
  const partOfType = (type: string): string => parts.find((part) => part.type.startsWith(type))?.text ?? '';
  const subject = decodeWords(headers.get('subject') ?? '');
  return { raw, headers, subject, text: partOfType('text/plain'), html: partOfType('text/html') };
}

function headersOf(head: string): ReadonlyMap<string, string> {
  const lines = head.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n');
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
}

function partOf(part: string): { type: string; text: string } {
  const [head = '', ...rest] = part.replace(/^\r\n/, '').split('\r\n\r\n');
  const headers = headersOf(head);
  const body = rest.join('\r\n\r\n').replace(/\r\n$/, '');
  const coding = headers.get('content-transfer-encoding') ?? '7bit';
  const bytes =
    coding === 'base64'
      ? Buffer.from(body, 'base64')
      : Buffer.from(coding === 'quoted-printable' ? unquote(body) : body, 'latin1');
  return { type: headers.get('content-type') ?? '', text: bytes.toString('utf8').replaceAll('\r\n', '\n') };
}

const unquote = (text: string): string =>
  text
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

const decodeWords = (text: string): string =>
  text.replaceAll(/=\?utf-8\?Q\?([^?]*)\?=/gi, (_, words: string) =>
    Buffer.from(unquote(words.replaceAll('_', ' ')), 'latin1').toString('utf8'),
  );

/** The secret that a mail holds for typing by hand. */
export function codeOf(mail: Pick<ReceivedMail, 'text'>): string {
  const found = /^[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}$/m.exec(mail.text);
  if (found === null) throw new Error(`no code in this mail:\n${mail.text}`);
  return found[0];
}

export function linkOf(mail: Pick<ReceivedMail, 'text'>): string {
  const found = /^https?:\/\/\S+$/m.exec(mail.text);
  if (found === null) throw new Error(`no link in this mail:\n${mail.text}`);
  return found[0];
}
