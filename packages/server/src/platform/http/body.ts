/**
 * Reading a request's body: one exact media type, no encoding, never more than the limit. The form of the headers is
 * judged before a byte is read, and bytes past the limit are not kept.
 */
import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

const jsonType = /^application\/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?$/i;

/** Whether the header is `application/json`, with no parameter but `charset=utf-8`. */
export const isJsonContentType = (value: string | undefined): boolean =>
  value === 'application/json' || (value !== undefined && value.length < 64 && jsonType.test(value));

export interface BodyHeaders {
  /** By its headers: `none` has no body at all, `unknown` is chunked and may turn out empty. */
  readonly presence: 'none' | 'some' | 'unknown';
  readonly declaredBytes: number | undefined;
}

export function bodyHeaders(request: IncomingMessage): BodyHeaders {
  if (request.headers['transfer-encoding'] !== undefined) return { presence: 'unknown', declaredBytes: undefined };
  const length = request.headers['content-length'];
  if (length === undefined || length === '0') return { presence: 'none', declaredBytes: 0 };
  return { presence: 'some', declaredBytes: Number(length) };
}

/** `gone`: the client left, or its connection broke, before the body was whole. */
export type BodyRead =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'gone' };

const nothing = Buffer.alloc(0);

const preRead = Symbol('a body that a fast path has read');

interface PreRead {
  [preRead]?: Buffer;
}

/** Hands a body that was read already back to whoever calls `readBody` next. */
export function giveBack(request: IncomingMessage, bytes: Buffer): void {
  (request as PreRead)[preRead] = bytes;
}

/** Calls `done` exactly once, in a later turn of the loop. */
export function readBody(request: IncomingMessage, limitBytes: number, done: (read: BodyRead) => void): void {
  const early = (request as PreRead)[preRead];
  if (early !== undefined) {
    setImmediate(done, { kind: 'whole', bytes: early });
    return;
  }
  if (request.readableEnded) {
    throw new Error('the body was read before it came here: mount the service before any body parser');
  }
  const chunks: Buffer[] = [];
  let size = 0;
  let settled = false;
  const settle = (read: BodyRead): void => {
    if (settled) return;
    settled = true;
    request.off('data', onData);
    done(read);
  };
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > limitBytes) {
      request.pause();
      settle({ kind: 'too_large' });
    } else {
      chunks.push(chunk);
    }
  };
  request.on('data', onData);
  // `on` and the settled guard: a wrapper a listener would cost more than it saves.
  request.on('end', () => {
    const [first] = chunks;
    settle({
      kind: 'whole',
      bytes: first === undefined ? nothing : chunks.length === 1 ? first : Buffer.concat(chunks),
    });
  });
  // A connection that breaks ends in `close`; its error is told to listeners only, and nobody needs it.
  request.on('close', () => settle({ kind: 'gone' }));
}
