/**
 * The service as a guard sees it, in process and over HTTP: metadata, keys, feed, `validate-token`. Tests make it say what a
 * broken or hostile one would.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { RevocationEntry } from '@auth-service/protocol';
import { createForge, type Forge } from '../support/forge.ts';

export interface FakeService {
  readonly url: string;
  readonly forge: Forge;
  /** How often each path was asked. */
  readonly asked: Map<string, number>;
  /** In the place of the answer of a path. */
  readonly instead: Map<string, (request: IncomingMessage, response: ServerResponse) => void>;
  readonly verdicts: Map<string, unknown>;
  /** Keys that are published, besides or without the forge's. */
  keys: readonly object[];
  /** Into the ledger, and to who listens. */
  revoke(entry: Pick<RevocationEntry, 'kind' | 'subject'>): void;
  /** Ends every stream, and answers no request until `back`. */
  cut(): void;
  back(): void;
  /** Another history: old cursors are refused. */
  forgetCursors(): void;
  streams(): number;
  close(): Promise<void>;
}

export const feedPath = '/api/auth/revocations/feed';
export const jwksPath = '/.well-known/jwks.json';
export const validatePath = '/api/auth/validate-token';
export const metadataPath = '/.well-known/oauth-authorization-server';
export const apiKey = `ask_${'0'.repeat(12)}_${'k'.repeat(43)}`;

const pageMax = 2;

export async function startFakeService(): Promise<FakeService> {
  const ledger: RevocationEntry[] = [];
  const asked = new Map<string, number>();
  const instead: FakeService['instead'] = new Map();
  const verdicts = new Map<string, unknown>();
  const streams = new Set<ServerResponse>();
  const waiting = new Set<() => void>();
  let history = 1;
  let isCut = false;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const forge = createForge({ issuer: url, audience: 'orders' });
  const jwk = { ...forge.publicKey.export({ format: 'jwk' }), kid: forge.kid, alg: 'EdDSA', use: 'sig' };
  const fake: FakeService = {
    ...{ url, forge, asked, instead, verdicts, keys: [jwk], streams: () => streams.size },
    revoke({ kind, subject }) {
      const entry = { kind, subject, min_epoch: 0, expires_at: forge.nowSeconds() + 3_600 };
      ledger.push(entry);
      for (const stream of streams) stream.write(`event: early\ndata: ${JSON.stringify({ diff_set: [entry] })}\n\n`);
      for (const wake of [...waiting]) wake();
    },
    cut() {
      isCut = true;
      for (const stream of streams) stream.destroy();
      server.closeAllConnections();
    },
    back() {
      isCut = false;
    },
    forgetCursors() {
      history += 1;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
  }

  function page(cursor: string | null): object | undefined {
    const [epoch, from = '', more] = (cursor ?? `${history}.0.more`).split('.');
    if (Number(epoch) !== history) return undefined;
    const at = Number(from);
    if (more === undefined)
      return { diff_set: ledger.slice(at), cursor: `${history}.${ledger.length}`, more: false, age_ms: 5 };
    const end = Math.min(at + pageMax, ledger.length);
    const last = end === ledger.length;
    const next = `${history}.${end}${last ? '' : '.more'}`;
    return { full_set: ledger.slice(at, end), cursor: next, more: !last, age_ms: 0 };
  }

  async function feed(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<void> {
    if (request.headers.authorization !== `Bearer ${apiKey}`) return json(response, 401, {});
    const cursor = query.get('cursor');
    if (request.headers.accept === 'text/event-stream') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('retry: 1000\n\n');
      streams.add(response);
      response.on('close', () => streams.delete(response));
      return;
    }
    const now = page(cursor) as { diff_set?: readonly unknown[] } | undefined;
    if (now === undefined) return json(response, 422, {});
    if (now.diff_set?.length === 0) await news(Number(query.get('wait')) * 1_000);
    json(response, 200, page(cursor) ?? {});
  }

  function news(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, withinMs);
      waiting.add(end);
    });
  }

  function validate(request: IncomingMessage, response: ServerResponse): void {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      const { token } = JSON.parse(text) as { token: string };
      json(response, 200, verdicts.get(token) ?? { valid: false, reason: 'invalid' });
    });
  }

  server.on('request', (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', url);
    asked.set(pathname, (asked.get(pathname) ?? 0) + 1);
    if (isCut) return void request.socket.destroy();
    const other = instead.get(pathname);
    if (other !== undefined) return other(request, response);
    if (pathname === metadataPath) {
      return json(response, 200, {
        issuer: url,
        jwks_uri: url + jwksPath,
        revocation_feed_endpoint: url + feedPath,
        token_validation_endpoint: url + validatePath,
      });
    }
    if (pathname === jwksPath) {
      const etag = `"${fake.keys.length}"`;
      if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { ETag: etag }).end();
      return json(response, 200, { keys: fake.keys }, { ETag: etag, 'Cache-Control': 'public, max-age=300' });
    }
    if (pathname === validatePath) return validate(request, response);
    if (pathname === feedPath) return void feed(request, response, searchParams);
    json(response, 404, {});
  });
  return fake;
}
