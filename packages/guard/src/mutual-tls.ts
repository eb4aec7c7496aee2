/**
 * Mutual TLS: in the place of an API key a guard shows a certificate, on every connection to the service.
 *
 * - `createGuard({ issuer, audience, mutualTls: createMutualTls({ certFile, keyFile, caFile }) })`
 * - The files are read anew when they have changed, looked at before a request, so that a renewal needs no restart: connections that
 *   are made from then on show what is new. Files that cannot be read, or do not fit together, leave those in use as they are.
 * - The service proves who it is as ever, by its name and an authority: without `caFile` one of those that Node trusts.
 * - Redirects are not followed, and nothing but https is spoken.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeStream } from 'node:stream/web';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { ServiceFetch } from './remote/http.ts';

export type { ServiceFetch } from './remote/http.ts';

/** Where the certificate is, and who the service must prove to be. */
export interface MutualTlsOptions {
  /** Certificate of this service, PEM, with those between it and the authority. */
  readonly certFile: string;
  /** Its private key, PEM. */
  readonly keyFile: string;
  /** Authorities of the service's own certificate, PEM, where Node does not know them. */
  readonly caFile?: string;
  /** How long the files are taken for unchanged, seconds; 10 where nothing is said. */
  readonly checkSeconds?: number;
  /** Changed files that are of no use: told once a change, and at each look while they cannot be read. */
  readonly onRefused?: (error: unknown) => void;
}

/** For `mutualTls` of `createGuard`; one for each guard. */
export interface MutualTls {
  /** Requests on which the certificate is shown. */
  readonly fetch: ServiceFetch;
  /** Lets go of every connection. A guard does so when it is closed. */
  close(): void;
}

interface Material {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
}

/** Throws when the files cannot be read, or do not fit together. */
export function createMutualTls(options: MutualTlsOptions): MutualTls {
  const { checkSeconds = 10 } = options;
  const agent = new Agent({ keepAlive: true, scheduling: 'lifo' });
  let inUse = sound(read(options));
  let seen = inUse;
  let isDue = false;
  const rest = (): void => {
    isDue = checkSeconds === 0;
    if (!isDue) setTimeout(() => (isDue = true), checkSeconds * 1_000).unref();
  };
  rest();

  function current(): SecureContextOptions {
    if (!isDue) return contextOf(inUse);
    rest();
    try {
      const next = read(options);
      if (isSame(next, seen)) return contextOf(inUse);
      seen = next;
      inUse = sound(next);
    } catch (error) {
      options.onRefused?.(error);
    }
    return contextOf(inUse);
  }

  return {
    // The agent keeps connections of one certificate apart from those of another.
    fetch: async (url, init) => send(new URL(url), init, { ...current(), agent, minVersion: 'TLSv1.2' }),
    close: () => agent.destroy(),
  };
}

const read = ({ certFile, keyFile, caFile }: MutualTlsOptions): Material => ({
  cert: readFileSync(certFile, 'utf8'),
  key: readFileSync(keyFile, 'utf8'),
  ca: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'),
});

const isSame = (one: Material, other: Material): boolean =>
  one.cert === other.cert && one.key === other.key && one.ca === other.ca;

const contextOf = ({ cert, key, ca }: Material): SecureContextOptions => ({
  cert,
  key,
  ...(ca === undefined ? {} : { ca }),
});

function sound(material: Material): Material {
  if (material.ca !== undefined && !material.ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw new Error('caFile holds no certificate');
  }
  createSecureContext(contextOf(material));
  return material;
}

function send(url: URL, init: RequestInit, tls: RequestOptions): Promise<Response> {
  if (url.protocol !== 'https:') return Promise.reject(new TypeError('a certificate is shown by https alone'));
  const { signal, body } = init;
  if (signal?.aborted === true) return Promise.reject(asError(signal.reason));
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = Object.fromEntries(new Headers(init.headers));
    if (typeof body === 'string') headers['content-length'] = String(Buffer.byteLength(body));
    const request = httpsRequest(url, { ...tls, method: init.method ?? 'GET', headers });
    const abort = (): void => void request.destroy(asError(signal?.reason));
    signal?.addEventListener('abort', abort);
    request.on('close', () => signal?.removeEventListener('abort', abort));
    request.on('error', reject);
    request.on('response', (response) => {
      const { statusCode: status = 0 } = response;
      if (status >= 300 && status < 400 && response.headers.location !== undefined) {
        request.destroy();
        reject(new TypeError('the service answered with a redirect'));
        return;
      }
      try {
        resolve(new Response(bodyOf(response, status), { status, headers: headersOf(response) }));
      } catch (error) {
        // Of no status that a `Response` may have. Thrown from here it would end the process.
        request.destroy();
        reject(asError(error));
      }
    });
    request.end(typeof body === 'string' ? body : undefined);
  });
}

/** Statuses without a body may not be given one. */
function bodyOf(response: IncomingMessage, status: number): ReadableStream<Uint8Array> | null {
  if (status !== 204 && status !== 205 && status !== 304) {
    return Readable.toWeb(response) as NodeStream<Uint8Array> as ReadableStream<Uint8Array>;
  }
  response.resume();
  return null;
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  return headers;
}

const asError = (reason: unknown): Error =>
  reason instanceof Error ? reason : new Error('the request was given up', { cause: reason });
