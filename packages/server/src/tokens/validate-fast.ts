/**
 * The short way of `validate-token`, for the one body that nearly everybody sends: `{"token":"…"}`.
 *
 * It leaves out the parser, the validator and the serialiser, and nothing else: the token goes through the same `verify`,
 * and the answer of a token that verified before is kept as bytes beside it in guard's cache, which checks expiry, key,
 * revocation and freshness each time. Any other body goes on to the full path.
 */
import type { Verifier } from '@auth-service/guard';
import type { FastExchange, FastPath } from '../platform/http/index.ts';
import { readBody } from '../platform/http/index.ts';
import { validAnswer } from './validate.ts';

const bodyBytesMax = 16 * 1024;
const prefix = '{"token":"';
const suffix = '"}';
/** Nothing that JSON would have to unescape. */
const plain = /^[A-Za-z0-9_.-]+$/;

const ownHeaders = ['Cache-Control', 'no-store', 'Content-Type', 'application/json; charset=utf-8', 'Content-Length'];

const negative = {
  invalid: Buffer.from('{"valid":false,"reason":"invalid"}'),
  expired: Buffer.from('{"valid":false,"reason":"expired"}'),
  revoked: Buffer.from('{"valid":false,"reason":"revoked"}'),
};

export function createValidateFast(verifier: Verifier): FastPath {
  return {
    method: 'POST',
    path: '/api/auth/validate-token',
    take(exchange) {
      const { headers } = exchange.request;
      const length = headers['content-length'];
      if (headers['content-type'] !== 'application/json' || length === undefined || length === '0') return false;
      if (headers['content-encoding'] !== undefined || headers['transfer-encoding'] !== undefined) return false;
      if (!(Number(length) <= bodyBytesMax)) return false;
      readBody(exchange.request, bodyBytesMax, (read) => {
        if (read.kind === 'whole') answer(verifier, exchange, read.bytes);
      });
      return true;
    },
  };
}

function answer(verifier: Verifier, exchange: FastExchange, bytes: Buffer): void {
  const token = tokenOf(bytes);
  if (token === undefined) return exchange.fallBack(bytes);
  const verified = verifier.verify(token);
  if (verified.kind === 'valid') {
    const { entry } = verified;
    entry.memo ??= Buffer.from(JSON.stringify(validAnswer(verified.claims)));
    return send(exchange, entry.memo as Buffer);
  }
  switch (verified.reason) {
    case 'stale':
      return exchange.fallBack(bytes);
    case 'expired':
      return send(exchange, negative.expired);
    case 'revoked':
      return send(exchange, negative.revoked);
    default:
      return send(exchange, negative.invalid);
  }
}

/** The token of a body that is exactly `{"token":"…"}`; any other spelling of the same JSON is not worth a short way. */
function tokenOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1');
  if (!text.startsWith(prefix) || !text.endsWith(suffix)) return undefined;
  const token = text.slice(prefix.length, -suffix.length);
  return plain.test(token) ? token : undefined;
}

function send(exchange: FastExchange, body: Buffer): void {
  exchange.response.writeHead(200, [...exchange.headers, ...ownHeaders, String(body.length)]);
  exchange.response.end(body);
  exchange.answered(200);
}
