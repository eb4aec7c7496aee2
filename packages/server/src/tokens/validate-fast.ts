/**
 * The short way of `validate-token`, for the one body that nearly everybody sends: `{"token":"…"}`.
 *
 * It leaves out the parser, the validator and the serialiser, and nothing else: the token goes through the same `verify`,
 * and the answer of a token that verified before is kept ready beside it in guard's cache, which checks expiry, key,
 * revocation and freshness each time. Any other body goes on to the full path.
 */
import { looksLikeApiKey, type Refused, type Verifier } from '@auth-service/guard';
import type { FastExchange, FastPath } from '../platform/http/index.ts';
import { readBody } from '../platform/http/index.ts';
import { validAnswer } from './validate.ts';

const bodyBytesMax = 16 * 1024;
const prefix = Buffer.from('{"token":"');
const suffix = Buffer.from('"}');
/** Nothing that JSON would have to unescape. */
const plain = /^[A-Za-z0-9_.-]+$/;

const ownHeaders = ['Cache-Control', 'no-store', 'Content-Type', 'application/json; charset=utf-8', 'Content-Length'];

/**
 * Kept as text, not as bytes: Node joins a text with the headers and writes once, where bytes are a second write of their
 * own and cost a quarter of the throughput.
 */
interface Ready {
  readonly text: string;
  readonly length: string;
  readonly encoding: 'latin1' | 'utf8';
}

const asciiOnly = /^[ -~]*$/;

const makeReady = (text: string): Ready => ({
  text,
  length: String(Buffer.byteLength(text)),
  // The same bytes, and the cheaper way to them.
  encoding: asciiOnly.test(text) ? 'latin1' : 'utf8',
});

const negative = {
  invalid: makeReady('{"valid":false,"reason":"invalid"}'),
  expired: makeReady('{"valid":false,"reason":"expired"}'),
  revoked: makeReady('{"valid":false,"reason":"revoked"}'),
};

export function createValidateFast(verifier: Verifier): FastPath {
  return {
    method: 'POST',
    path: '/api/auth/validate-token',
    take(exchange) {
      if (exchange.contentLength > bodyBytesMax) return false;
      readBody(exchange.request, bodyBytesMax, (read) => {
        if (read.kind === 'whole') answerOrFallBack(verifier, exchange, read.bytes);
      });
      return true;
    },
  };
}

/** What fails here fails on the full path as well, and is answered there. */
function answerOrFallBack(verifier: Verifier, exchange: FastExchange, bytes: Buffer): void {
  try {
    answer(verifier, exchange, bytes);
  } catch (error) {
    if (exchange.response.headersSent) throw error;
    exchange.fallBack(bytes);
  }
}

function answer(verifier: Verifier, exchange: FastExchange, bytes: Buffer): void {
  const token = tokenOf(bytes);
  // An API key goes the full way.
  const verified = token === undefined || looksLikeApiKey(token) ? undefined : verifier.verify(token);
  if (token === undefined || verified === undefined || (verified.kind === 'refused' && mustFallBack(verified, token))) {
    exchange.fallBack(bytes);
    return;
  }
  if (verified.kind === 'valid') {
    const { entry } = verified;
    entry.memo ??= makeReady(JSON.stringify(validAnswer(verified.claims)));
    send(exchange, entry.memo as Ready);
  } else if (verified.reason === 'expired') send(exchange, negative.expired);
  else if (verified.reason === 'revoked') send(exchange, negative.revoked);
  else send(exchange, negative.invalid);
}

/**
 * What is between the quotes is the token only if JSON would not read it otherwise. A token that verified is plain by its form,
 * so only refused ones are looked through.
 */
const mustFallBack = (refused: Refused, token: string): boolean => refused.reason === 'stale' || !plain.test(token);

/**
 * What is quoted in a body of exactly one member, the token; any other spelling of the same JSON is not worth a short way. Taken
 * out of the bytes and not out of their text: a slice of a text is slow to compare with what was verified before.
 */
function tokenOf(bytes: Buffer): string | undefined {
  const end = bytes.length - suffix.length;
  if (end < prefix.length || !holds(bytes, 0, prefix) || !holds(bytes, end, suffix)) return undefined;
  const token = bytes.toString('latin1', prefix.length, end);
  return token.indexOf('"') === -1 ? token : undefined;
}

/** A loop, because so few bytes are compared sooner than a call is made. */
function holds(bytes: Buffer, at: number, part: Buffer): boolean {
  for (let index = 0; index < part.length; index += 1) if (bytes[at + index] !== part[index]) return false;
  return true;
}

function send(exchange: FastExchange, { text, length, encoding }: Ready): void {
  const headers = exchange.headers();
  headers.push(...ownHeaders, length);
  exchange.response.writeHead(200, headers);
  exchange.response.end(text, encoding);
  exchange.answered(200);
}
