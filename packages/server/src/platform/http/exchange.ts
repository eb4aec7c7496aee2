/**
 * One request and its answer on the wire: the request id, the headers that every answer carries, and the one place
 * where answers are written. An exchange is answered once; what comes after is dropped.
 */
import { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bodyHeaders } from './body.ts';
import { answeredRaw, type TrackedResponse } from './client-errors.ts';
import { createCors } from './cors.ts';
import type { FastHeaders } from './fast-headers.ts';
import { defaultLimits, type HttpLimits, type HttpOptions } from './options.ts';
import { makeProblem } from './problem.ts';
import type { AnswerStream, Client, Refusal } from './route.ts';
import { type BaseHeaders, makeBaseHeaders } from './security-headers.ts';

const saneRequestId = /^[A-Za-z0-9._-]{1,128}$/;
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** An answer's unread remainder is discarded up to here, so that the client gets to read the answer. */
const lingerBytesMax = 256 * 1024;
const lingerMsMax = 1_000;
/** A stream whose client has so much still to read is cut. */
const unreadBytesMax = 1024 * 1024;

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly peer: string;
  readonly base: BaseHeaders;
  readonly startedMs: number;
  /** Pattern of the route, once it is known; the label of metrics. */
  route: string;
  /** Flat headers that this answer carries whatever it will be: cross-origin and rate-limit ones. */
  extra: readonly string[];
  answered: boolean;
  /** The trace that the client's request belongs to, as sent. */
  readonly traceparent: string | undefined;
  /** The client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean;
}

export interface Wire {
  readonly limits: HttpLimits;
  readonly cors: ReturnType<typeof createCors>;
  open(request: IncomingMessage, response: ServerResponse): Exchange;
  /** The same for a fast path, of what one pass over the raw headers has found. */
  openFast(request: IncomingMessage, response: ServerResponse, sent: FastHeaders): Exchange;
  /** The base headers with the request id, flat, for a fast path. */
  fastHeaders(exchange: Exchange): string[];
  client(exchange: Exchange): Client;
  send(exchange: Exchange, status: number, headers: readonly string[], body: string | Uint8Array | undefined): void;
  /** An answer that goes on: its headers are sent now, and counted. */
  stream(exchange: Exchange, status: number, headers: readonly string[], begin: (stream: AnswerStream) => void): void;
  refuse(exchange: Exchange, refused: Refusal): void;
  /** An answer that a fast path has written itself. */
  count(exchange: Exchange, status: number): void;
  /** The client left before there was anything to answer. */
  drop(exchange: Exchange): void;
}

const clientOfSocket = Symbol('client of a socket that no header speaks for');
export const expectsContinue = Symbol('expects 100 Continue');

interface MarkedSocket {
  [clientOfSocket]?: Client;
}

interface MarkedRequest {
  [expectsContinue]?: boolean;
}

export function createWire(options: HttpOptions, isClosing: () => boolean): Wire {
  const limits: HttpLimits = { ...defaultLimits, ...options.limits };
  const cors = createCors(options.corsOrigins, options.carrier !== undefined);
  const plain = makeBaseHeaders(false, cors.vary);
  const secure = makeBaseHeaders(true, cors.vary);

  const open: Wire['open'] = (request, response) => {
    const { socket, headers } = request;
    const peer = socket.remoteAddress ?? '';
    const isSecure = 'encrypted' in socket || options.trustedHttps(peer, headers);
    const sent = headers['x-request-id'];
    return {
      request,
      response,
      requestId: typeof sent === 'string' && saneRequestId.test(sent) ? sent : options.newRequestId(),
      peer,
      base: isSecure ? secure : plain,
      startedMs: options.monotonicMs(),
      route: 'unknown',
      extra: cors.headersFor(headers.origin),
      answered: false,
      traceparent: headers['traceparent']?.toString(),
      expectsContinue: (request as MarkedRequest)[expectsContinue] === true,
    };
  };

  const openFast: Wire['openFast'] = (request, response, sent) => {
    const { socket } = request;
    const peer = socket.remoteAddress ?? '';
    const isSecure = 'encrypted' in socket || (sent.isForwarded && options.trustedHttps(peer, request.headers));
    const id = sent.requestId;
    return {
      request,
      response,
      requestId: id !== undefined && saneRequestId.test(id) ? id : options.newRequestId(),
      peer,
      base: isSecure ? secure : plain,
      startedMs: options.monotonicMs(),
      route: 'unknown',
      extra: [],
      answered: false,
      traceparent: sent.traceparent,
      expectsContinue: false,
    };
  };

  const client: Wire['client'] = ({ request, peer }) => {
    const forwarded = request.headers['x-forwarded-for'];
    if (forwarded !== undefined) return options.clientAddress(peer, [forwarded].flat());
    const socket = request.socket as MarkedSocket;
    socket[clientOfSocket] ??= options.clientAddress(peer, undefined);
    return socket[clientOfSocket];
  };

  const record = (exchange: Exchange, status: number): void => {
    const method = exchange.request.method ?? '';
    const seconds = (options.monotonicMs() - exchange.startedMs) / 1000;
    options.hooks.onResponse(
      exchange.route,
      knownMethods.has(method) ? method : 'other',
      status,
      seconds,
      exchange.requestId,
      exchange.traceparent,
    );
  };

  const send: Wire['send'] = (exchange, status, headers, body) => {
    if (exchange.answered) return;
    exchange.answered = true;
    const { request, response } = exchange;
    const own = headers.includes('Content-Security-Policy') ? exchange.base.withoutPolicy : exchange.base.all;
    const all = [...own, 'X-Request-Id', exchange.requestId, ...exchange.extra, ...headers];
    if (body !== undefined) all.push('Content-Length', String(Buffer.byteLength(body)));
    else if (status !== 204 && status !== 304) all.push('Content-Length', '0');
    const unread = !request.complete && mayBeLong(request, limits.bodyBytes);
    if (isClosing() || unread) response.shouldKeepAlive = false;
    response.writeHead(status, all);
    if (unread) sendThenLinger(exchange, body);
    else if (body === undefined) response.end();
    else response.end(body);
    record(exchange, status);
  };

  return {
    limits,
    cors,
    open,
    openFast,
    client,
    send,
    stream(exchange, status, headers, begin) {
      if (exchange.answered) return;
      exchange.answered = true;
      const { request, response, base } = exchange;
      response.shouldKeepAlive = false;
      response.writeHead(status, [...base.all, 'X-Request-Id', exchange.requestId, ...exchange.extra, ...headers]);
      response.flushHeaders();
      record(exchange, status);
      if (request.method === 'HEAD') response.end();
      else begin(streamOf(response, isClosing));
    },
    fastHeaders: (exchange) => [...exchange.base.all, 'X-Request-Id', exchange.requestId],
    refuse: (exchange, refused) => {
      const problem = makeProblem(refused, exchange.requestId, options.realm);
      send(exchange, problem.status, problem.headers, problem.body);
    },
    count: record,
    drop: (exchange) => {
      if (exchange.answered) return;
      exchange.answered = true;
      if ((exchange.response as TrackedResponse)[answeredRaw] === undefined) record(exchange, 499);
    },
  };
}

/** A client that is waited for and reads nothing for so long is gone. */
const readMsMax = 30_000;

function streamOf(response: ServerResponse, isClosing: () => boolean): AnswerStream {
  const isOver = (): boolean => response.destroyed || response.writableEnded;
  return {
    write(text) {
      if (isOver()) return false;
      response.write(text);
      if (response.writableLength <= unreadBytesMax) return true;
      response.destroy();
      return false;
    },
    async read() {
      if (isOver()) return false;
      if (!response.writableNeedDrain) return true;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => response.destroy(), readMsMax);
        const done = (): void => {
          clearTimeout(timer);
          response.off('drain', done);
          response.off('close', done);
          resolve();
        };
        response.on('drain', done);
        response.on('close', done);
      });
      return !isOver();
    },
    end: () => {
      response.end();
    },
    cut: () => {
      response.destroy();
    },
    isOver,
    isClosing,
    onOver: (listener) => {
      response.once('close', listener);
    },
  };
}

function mayBeLong(request: IncomingMessage, limitBytes: number): boolean {
  const { presence, declaredBytes } = bodyHeaders(request);
  return presence === 'unknown' || (presence === 'some' && !((declaredBytes ?? 0) <= limitBytes));
}

/**
 * The answer is whole by its length, but the connection stays open a moment while what the client is still sending is
 * thrown away: closing at once would reset the connection, and the client could lose the answer.
 */
function sendThenLinger(
  { request, response, expectsContinue: waits }: Exchange,
  body: string | Uint8Array | undefined,
): void {
  if (body !== undefined) response.write(body);
  else response.flushHeaders();
  if (waits) {
    response.end();
    return;
  }
  let bytes = 0;
  const finish = (): void => {
    clearTimeout(timer);
    request.off('data', count);
    request.pause();
    response.end();
  };
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > lingerBytesMax) finish();
  };
  const timer = setTimeout(finish, lingerMsMax);
  request.on('data', count);
  request.once('end', finish);
  request.once('close', finish);
  request.resume();
}
