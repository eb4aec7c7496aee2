/** For the tests of this room: a server over a few routes that show each kind, and a client that sees every byte. */
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { Type } from '@auth-service/protocol';
import { DatabaseUnavailable } from '../database/database.ts';
import {
  createHttp,
  defineRoute,
  type HttpOptions,
  type HttpService,
  Overloaded,
  type RouteDefinition,
  refusal,
} from './index.ts';

const name = Type.String({ maxLength: 20, pattern: '^[^\\u0000-\\u001f\\u007f]*$' });

export const echoBody = Type.Object(
  {
    user: Type.Object({ name, nick: Type.Optional(Type.Union([name, Type.Null()])) }),
    secret: Type.Optional(Type.String()),
    tags: Type.Optional(Type.Array(Type.String())),
  },
  { title: 'EchoBody' },
);

const anything = { answers: { 200: { description: 'It is.' } }, errors: [], tags: ['test'] } as const;

export function sampleRoutes(calls: string[] = []): RouteDefinition[] {
  const open = { ...anything, access: { kind: 'public' }, limit: null, unknownFields: 'refuse' } as const;
  return [
    defineRoute({
      ...open,
      method: 'POST',
      path: '/api/echo',
      summary: 'Say it again',
      body: echoBody,
      bodyExample: { user: { name: 'Ada' } },
      answers: {
        200: {
          description: 'What was said.',
          schema: Type.Object({ name: Type.String() }, { title: 'Echo', additionalProperties: false }),
        },
      },
      handle: ({ body }) => {
        calls.push('echo');
        return { status: 200, body: { name: body.user.name, hash: 'not in the schema' } };
      },
    }),
    defineRoute({
      ...open,
      method: 'POST',
      path: '/api/lenient',
      summary: 'Takes no notice of what it does not know',
      unknownFields: 'ignore',
      body: Type.Object({ a: Type.Optional(Type.Integer()) }, { additionalProperties: false }),
      handle: ({ body }) => ({ status: 200, body }),
    }),
    defineRoute({ ...open, method: 'POST', path: '/api/bare', summary: 'No body', handle: () => ({ status: 200 }) }),
    defineRoute({
      ...open,
      method: 'GET',
      path: '/api/things/:thing_id',
      summary: 'One thing',
      access: { kind: 'bearer', permission: 'things:read' },
      limit: 'api',
      params: Type.Object({ thing_id: Type.String({ format: 'uuid' }) }),
      query: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })) }),
      handle: ({ params, query, auth }) => ({ status: 200, body: { id: params.thing_id, limit: query.limit, auth } }),
    }),
    defineRoute({
      ...open,
      method: 'DELETE',
      path: '/api/things/:thing_id',
      summary: 'Remove one thing',
      access: { kind: 'bearer' },
      limit: 'api',
      params: Type.Object({ thing_id: Type.String({ format: 'uuid' }) }),
      body: echoBody,
      handle: () => ({ status: 200, body: {} }),
    }),
    defineRoute({
      ...open,
      method: 'GET',
      path: '/fail/:how',
      summary: 'Fails',
      params: Type.Object({ how: Type.String() }),
      handle: async ({ params }) => {
        if (params.how === 'moment') throw new Overloaded('not for a moment');
        if (params.how === 'store') throw new DatabaseUnavailable('away');
        if (params.how === 'undeclared') return { status: 299 };
        if (params.how === 'hang') return new Promise(() => {});
        if (params.how === 'slow') await new Promise((resolve) => setTimeout(resolve, 150));
        if (params.how === 'throw') throw new Error('relation "users" does not exist at /srv/app.ts');
        return refusal('conflict', { members: { further: 1 } });
      },
    }),
  ];
}

export interface Seen {
  readonly route: string;
  readonly method: string;
  readonly status: number;
}

export interface TestServer {
  readonly http: HttpService;
  readonly url: string;
  readonly port: number;
  readonly seen: Seen[];
  readonly logged: { fields: Readonly<Record<string, unknown>>; message: string }[];
  readonly steps: string[];
  stop(): Promise<void>;
}

/** Tokens: `Bearer good` may, `Bearer weak` may not, everything else is invalid. The limit `api` refuses while `blocked`. */
export async function startTestServer(
  overrides: Partial<HttpOptions> & { blocked?: () => boolean } = {},
): Promise<TestServer> {
  const seen: Seen[] = [];
  const logged: TestServer['logged'] = [];
  const steps: string[] = [];
  const log = (fields: Readonly<Record<string, unknown>>, message: string) => void logged.push({ fields, message });
  const options: HttpOptions = {
    routes: sampleRoutes(steps),
    hooks: {
      authenticate: ({ headers }) => {
        steps.push('authenticate');
        if (headers.authorization === undefined) return refusal('missing_token');
        if (headers.authorization === 'Bearer weak') return refusal('insufficient_permissions');
        return headers.authorization === 'Bearer good'
          ? { kind: 'authenticated', auth: 'ada' }
          : refusal('invalid_token');
      },
      rateLimit: () => {
        steps.push('limit');
        const allowed = overrides.blocked?.() !== true;
        return { allowed, headers: { 'RateLimit-Policy': '"api";q=1;w=60' }, retryAfterSeconds: 7 };
      },
      onResponse: (route, method, status) => void seen.push({ route, method, status }),
    },
    clientAddress: (peer) => ({ address: peer, bucket: peer }),
    trustedHttps: (_peer, headers) => headers['x-forwarded-proto'] === 'https',
    corsOrigins: ['https://app.example.org'],
    log: { warn: log, error: log },
    realm: 'auth-service',
    newRequestId: randomUUID,
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    ...overrides,
  };
  const http = createHttp(options);
  const { url, port } = await http.listen({ host: '127.0.0.1', port: 0 });
  return { http, url, port, seen, logged, steps, stop: () => http.close({ timeoutMs: 1_000 }) };
}

export const post = (
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  contentType = 'application/json',
): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': contentType },
  body,
});

export interface Problem {
  readonly code: string;
  readonly status: number;
  readonly request_id: string;
  readonly detail: string;
  readonly errors?: readonly { pointer: string; code: string }[];
}

export const problemOf = async (response: Response): Promise<Problem> => (await response.json()) as Problem;

/** Sends `bytes`, and answers everything that came until the connection ended (or `until` was seen). */
export function exchangeRaw(port: number, bytes: string | Buffer, until?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      received += text;
      if (until !== undefined && received.includes(until)) {
        socket.destroy();
        resolve(received);
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(received) : reject(error),
    );
    socket.on('close', () => resolve(received));
    socket.setTimeout(5_000, () => reject(new Error(`the connection stayed open after: ${received}`)));
    socket.once('close', () => socket.setTimeout(0));
  });
}

export const countAnswers = (received: string): number => received.split('HTTP/1.1 ').length - 1;
