/**
 * The client of the black-box suite. It sends what it is told to, however wrong, remembers every secret that goes either
 * way, and holds each answer against the service's own description: an answer that breaks a promise fails the test that
 * saw it, whatever the test was about.
 */
import assert from 'node:assert/strict';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest, Agent as SecureAgent } from 'node:https';
import { connect } from 'node:net';
import type { ErrorCode, Receipt, Session, TokenAnswer, User } from '../../packages/protocol/src/index.ts';
import { type ApiDocument, createAnswerCheck, type SeenAnswer } from '../service/support/answers.ts';
import type { Secrets } from '../service/support/secrets.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly text: string;
  /** Parsed where the answer is JSON. */
  readonly body: unknown;
  readonly milliseconds: number;
}

export interface SendOptions {
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is; the content type is then only what `headers` say, or JSON where they say nothing. */
  readonly raw?: string | Buffer;
  /** A connection of its own. */
  readonly fresh?: boolean;
  readonly timeoutMs?: number;
  /** Off where the service is known to be going away. */
  readonly unchecked?: boolean;
}

export interface Api {
  readonly url: string;
  send(method: string, path: string, body?: unknown, options?: SendOptions): Promise<Answer>;
  get(path: string, options?: SendOptions): Promise<Answer>;
  post(path: string, body?: unknown, options?: SendOptions): Promise<Answer>;
  delete(path: string, options?: SendOptions): Promise<Answer>;
  document(): Promise<ApiDocument>;
  close(): void;
}

const secretMembers = [
  'password',
  'token',
  'access_token',
  'refresh_token',
  'device_token',
  'current_password',
  'new_password',
  'mfa_token',
  'recovery_code',
  'secret',
  'otpauth_uri',
];

/** `ca`: the authority of a service that is reached by https. */
export function createApi(url: string, secrets: Secrets, ca?: string): Api {
  const how = { keepAlive: true, maxSockets: 256 };
  const agent = ca === undefined ? new Agent(how) : new SecureAgent({ ...how, ca });
  const requestBy = ca === undefined ? httpRequest : httpsRequest;
  const { hostname, port } = new URL(url);
  let check: Promise<ReturnType<typeof createAnswerCheck>> | undefined;
  let document: Promise<ApiDocument> | undefined;

  const readDocument = (): Promise<ApiDocument> => {
    document ??= exchange('GET', '/openapi.json', undefined, {}).then((answer) => {
      assert.equal(answer.status, 200);
      return answer.body as ApiDocument;
    });
    return document;
  };

  function exchange(method: string, path: string, body: unknown, options: SendOptions): Promise<Answer> {
    const started = performance.now();
    const headers: Record<string, string> = { ...options.headers };
    const payload = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
    if (payload !== undefined) {
      const isTyped = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
      if (!isTyped) headers['Content-Type'] = 'application/json';
      headers['Content-Length'] ??= String(Buffer.byteLength(payload));
    } else if (method === 'POST') headers['Content-Length'] ??= '0';
    if (options.token !== undefined) headers['Authorization'] = `Bearer ${options.token}`;
    noteSecrets(secrets, body);
    if (options.token !== undefined) secrets.add(options.token);

    return new Promise((resolve, reject) => {
      const request = requestBy(
        {
          hostname,
          port,
          method,
          path,
          headers,
          agent: options.fresh === true ? false : agent,
          ...(ca === undefined ? {} : { ca }),
          timeout: options.timeoutMs ?? 15_000,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            const type = response.headers['content-type'] ?? '';
            const isJson = /[/+]json/.test(type) && text !== '';
            // Lines of JSON are one text.
            const parsed: unknown = isJson ? JSON.parse(text) : /x-ndjson/.test(type) ? text : undefined;
            noteSecrets(secrets, parsed);
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              rawHeaders: response.rawHeaders,
              text,
              body: parsed,
              milliseconds: performance.now() - started,
            });
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer in time`)));
      request.on('error', reject);
      request.end(payload);
    });
  }

  async function send(method: string, path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> {
    const answer = await exchange(method, path, body, options);
    if (options.unchecked === true) return answer;
    check ??= readDocument().then(createAnswerCheck);
    const seen: SeenAnswer = {
      method,
      path: path.split('?', 1)[0] ?? '',
      sentHeaders: options.headers ?? {},
      status: answer.status,
      headers: answer.headers,
      text: answer.text,
      body: answer.body,
    };
    const wrong = (await check)(seen);
    assert.deepEqual(
      wrong,
      [],
      `${method} ${path.slice(0, 200)} answered ${answer.status} ${answer.text.slice(0, 500)}`,
    );
    return answer;
  }

  return {
    url,
    send,
    get: (path, options) => send('GET', path, undefined, options),
    post: (path, body, options) => send('POST', path, body, options),
    delete: (path, options) => send('DELETE', path, undefined, options),
    document: readDocument,
    close: () => agent.destroy(),
  };
}

function noteSecrets(secrets: Secrets, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === 'string' && secretMembers.includes(name)) secrets.add(member);
    else noteSecrets(secrets, member);
  }
}

/** Bytes as they are on a connection of their own; all that comes back until the service closes or falls silent. */
export function sendBytes(
  url: string,
  bytes: string | Buffer,
  options: { readonly silentMs?: number } = {},
): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setTimeout(options.silentMs ?? 400, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve(text));
  });
}

export function problemCode(answer: Answer): ErrorCode | undefined {
  return (answer.body as { code?: ErrorCode } | undefined)?.code;
}

/** The answer is this refusal, and nothing else. */
export function assertProblem(answer: Answer, status: number, code: ErrorCode): void {
  assert.deepEqual([answer.status, problemCode(answer)], [status, code], answer.text.slice(0, 500));
}

export function tokensOf(answer: Answer, status = 200): TokenAnswer {
  assert.equal(answer.status, status, answer.text.slice(0, 500));
  return answer.body as TokenAnswer;
}

export function receiptOf(answer: Answer): Receipt & { readonly revoked_sessions?: number } {
  assert.equal(answer.status, 200, answer.text.slice(0, 500));
  return answer.body as Receipt;
}

export function meOf(answer: Answer): { readonly user: User; readonly session: Session } {
  assert.equal(answer.status, 200, answer.text.slice(0, 500));
  return answer.body as { user: User; session: Session };
}

export function sessionsOf(answer: Answer): readonly Session[] {
  assert.equal(answer.status, 200, answer.text.slice(0, 500));
  return (answer.body as { sessions: Session[] }).sessions;
}

export interface Verdict {
  readonly valid: boolean;
  readonly reason?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly user_id?: string;
  readonly session_id?: string;
  readonly expires_at?: string;
}

export function verdictOf(answer: Answer): Verdict {
  assert.equal(answer.status, 200, answer.text.slice(0, 500));
  return answer.body as Verdict;
}
