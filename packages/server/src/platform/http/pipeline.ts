/**
 * What happens to a request, in this order, which is itself a guarantee:
 *
 *   the form of the request → route (404), method (405) → rate limit (429), before a byte of the body is read →
 *   whose page sends credentials that a browser holds (403) →
 *   who calls (401), may they (403), asked once the body is here → form of the path's parameters (404) →
 *   body: type (415), size (413), JSON (400) → fields (422) → the route's own code
 *
 * So a limit is taken before any expensive step, a caller without rights learns nothing of parameters, bodies and fields,
 * whoever sends a body slowly is judged by what holds at its end, and no answer but the route's own has seen its data. A
 * failure becomes 500 (503 where the store is away) with nothing of its text.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { DatabaseUnavailable } from '../database/index.ts';
import { RedisUnavailable } from '../redis/index.ts';
import { type BodyRead, bodyHeaders, isJsonContentType, readBody } from './body.ts';
import { certificateOf } from './client-certificate.ts';
import type { Exchange, Wire } from './exchange.ts';
import { parseJson } from './json.ts';
import type { Carried, HttpOptions } from './options.ts';
import {
  type Client,
  type FieldError,
  Overloaded,
  type Refusal,
  type RequestContext,
  type RouteAnswer,
  refusal,
} from './route.ts';
import type { CompiledRoute, PathEntry } from './route-table.ts';

/** Text of an answer by its schema; `undefined` where the status has no schema. */
export type Serialise = (status: number) => ((value: unknown) => string) | undefined;

export interface Pipeline {
  /** Answers `exchange` at `entry`; never throws. */
  run(exchange: Exchange, entry: PathEntry, serialise: Serialise): void;
  /** Answers what no route was found for. */
  notFound(exchange: Exchange, entries: readonly PathEntry[]): void;
}

type Step = RouteAnswer | Refusal | undefined;

/** What is known of a request whose route was found. */
interface Asked {
  readonly client: Client;
  readonly params: Readonly<Record<string, string>>;
  /** Where the query begins in the URL; -1 for none. */
  readonly queryAt: number;
}

export function createPipeline(options: HttpOptions, wire: Wire): Pipeline {
  const run: Pipeline['run'] = (exchange, entry, serialise) => {
    answer(exchange, entry).then(
      (result) => {
        try {
          conclude(exchange, entry, serialise, result);
        } catch (error) {
          fail(exchange, error);
        }
      },
      (error: unknown) => fail(exchange, error),
    );
  };

  const answer = async (exchange: Exchange, entry: PathEntry): Promise<Step> => {
    const { request } = exchange;
    const malformed = formOf(request, wire);
    if (malformed !== undefined) return malformed;
    const url = request.url ?? '';
    const queryAt = url.indexOf('?');
    const params = entry.match(queryAt === -1 ? url : url.slice(0, queryAt));
    if (params === undefined) return refusal('not_found');
    exchange.route = entry.path;
    const compiled = entry.byMethod.get(request.method ?? '');
    if (compiled === undefined) return otherMethod(exchange, entry);
    const { definition } = compiled;

    const client = wire.client(exchange);
    if (definition.limit !== null) {
      const limited = await takeLimit(exchange, definition.limit, client.bucket);
      if (limited !== undefined) return limited;
    }
    const carried = options.carrier?.receive(request.headers, definition);
    if (carried === undefined) return carryOut(exchange, compiled, { client, params, queryAt }, undefined);
    if ('kind' in carried) return carried;
    const plain = await carryOut(exchange, compiled, { client, params, queryAt }, carried).catch((error: unknown) => {
      exchange.extra = [...exchange.extra, ...carried.failed];
      throw error;
    });
    if (plain === undefined) return undefined;
    const { result, headers } = carried.answer(plain);
    exchange.extra = [...exchange.extra, ...headers];
    return result;
  };

  const carryOut = async (
    exchange: Exchange,
    compiled: CompiledRoute,
    { client, params, queryAt }: Asked,
    carried: Carried | undefined,
  ): Promise<Step> => {
    const { request } = exchange;
    const { definition } = compiled;
    const received = await receiveBody(exchange, compiled);
    if (received === undefined) return undefined;
    const body = received.kind === 'body' ? (carried?.body(received.value) ?? received) : received;

    const context: RequestContext = {
      method: definition.method,
      route: definition.path,
      headers: carried?.headers ?? request.headers,
      requestId: exchange.requestId,
      client,
      peer: exchange.peer,
      userAgent: printable(request.headers['user-agent']),
      certificate: certificateOf(request.socket),
      log: options.log,
    };
    let auth: unknown;
    if (definition.access.kind !== 'public') {
      const outcome = await options.hooks.authenticate(context, definition.access);
      if (outcome.kind === 'refused') return outcome;
      auth = outcome.auth;
    }
    if (compiled.checkParams?.(params) !== undefined) return refusal('not_found');
    if (body.kind === 'refused') return body;
    const query = compiled.readQuery?.(queryAt === -1 ? '' : (request.url ?? '').slice(queryAt + 1));
    const invalid = invalidFields(compiled, body.value, query);
    if (invalid !== undefined) return invalid;
    const result = definition.handle({ ...context, body: body.value, params, query: query?.value, auth });
    return result instanceof Promise
      ? withDeadline(result, definition.deadlineMs ?? wire.limits.handlerDeadlineMs)
      : result;
  };

  const otherMethod = (exchange: Exchange, entry: PathEntry): Step => {
    const { method, headers } = exchange.request;
    if (method !== 'OPTIONS') return refusal('method_not_allowed', { headers: { Allow: entry.allow } });
    if (headers['access-control-request-method'] !== undefined) {
      exchange.extra = [...exchange.extra, ...wire.cors.preflightFor(headers.origin, entry.allow)];
    }
    return { status: 204, headers: { Allow: entry.allow } };
  };

  const takeLimit = async (exchange: Exchange, policy: string, bucket: string): Promise<Refusal | undefined> => {
    const taking = options.hooks.rateLimit(policy, bucket);
    const verdict = taking instanceof Promise ? await taking : taking;
    if (verdict === undefined) return undefined;
    exchange.extra = [...exchange.extra, ...flatten(verdict.headers)];
    return verdict.allowed ? undefined : refusal('rate_limited', { retryAfterSeconds: verdict.retryAfterSeconds });
  };

  const receiveBody = async (
    exchange: Exchange,
    compiled: CompiledRoute,
  ): Promise<{ kind: 'body'; value: unknown } | Refusal | undefined> => {
    const { request } = exchange;
    const { presence, declaredBytes } = bodyHeaders(request);
    const absent = compiled.checkBody === undefined ? undefined : {};
    if (presence === 'none') {
      return compiled.bodyMayBeAbsent ? { kind: 'body', value: absent } : refusal('malformed_json', emptyBody);
    }
    if (compiled.definition.method === 'GET') return { kind: 'body', value: undefined };
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined) return refusal('unsupported_media_type', { detail: 'The body must not be encoded.' });
    const isJson = isJsonContentType(request.headers['content-type']);
    // A client that streams may send a chunked body of no bytes, and then has no type to name.
    const mayBeEmpty = presence === 'unknown' && compiled.bodyMayBeAbsent && !('content-type' in request.headers);
    if (!isJson && !mayBeEmpty) return refusal('unsupported_media_type');
    if ((declaredBytes ?? 0) > wire.limits.bodyBytes) return refusal('payload_too_large');

    if (exchange.expectsContinue) exchange.response.writeContinue();
    const read = await new Promise<BodyRead>((done) => readBody(request, wire.limits.bodyBytes, done));
    if (read.kind === 'gone') return undefined;
    if (compiled.definition.onlyForThePresent === true && (await hasHungUp(request.socket))) return undefined;
    if (read.kind === 'too_large') return refusal('payload_too_large');
    if (read.bytes.length === 0 && compiled.bodyMayBeAbsent) return { kind: 'body', value: absent };
    if (!isJson) return refusal('unsupported_media_type');
    const parsed = parseJson(read.bytes);
    return parsed.ok ? { kind: 'body', value: parsed.value } : refusal('malformed_json', { detail: parsed.detail });
  };

  const conclude = (exchange: Exchange, entry: PathEntry, serialise: Serialise, result: Step): void => {
    if (result === undefined) wire.drop(exchange);
    else if ('kind' in result) wire.refuse(exchange, result);
    else if (exchange.request.method === 'OPTIONS') wire.send(exchange, 204, flatten(result.headers), undefined);
    else sendAnswer(exchange, entry, serialise, result);
  };

  const sendAnswer = (exchange: Exchange, entry: PathEntry, serialise: Serialise, result: RouteAnswer): void => {
    const declared = entry.byMethod.get(exchange.request.method ?? '')?.definition.answers[result.status];
    if (declared === undefined) throw new Error(`${entry.path} answers ${result.status}, which it does not declare`);
    const headers: string[] = [];
    if (result.noStore !== false) headers.push('Cache-Control', 'no-store');
    let body: string | Uint8Array | undefined;
    if (result.stream !== undefined) {
      headers.push('Content-Type', result.contentType ?? 'application/octet-stream', ...flatten(result.headers));
      wire.stream(exchange, result.status, headers, result.stream);
      return;
    }
    if (result.contentType !== undefined) {
      headers.push('Content-Type', result.contentType);
      if (typeof result.body !== 'string' && !(result.body instanceof Uint8Array)) {
        throw new Error(`${entry.path} answers a content type of its own with neither text nor bytes`);
      }
      body = result.body;
    } else if (result.body !== undefined) {
      headers.push('Content-Type', 'application/json; charset=utf-8');
      body = (serialise(result.status) ?? JSON.stringify)(result.body);
    }
    if (result.headers !== undefined) headers.push(...flatten(result.headers));
    wire.send(exchange, result.status, headers, body);
  };

  const fail = (exchange: Exchange, error: unknown): void => {
    const fields = { request_id: exchange.requestId, route: exchange.route, method: exchange.request.method, error };
    if (exchange.answered || exchange.response.headersSent) {
      options.log.error(fields, 'an answer could not be written');
      exchange.response.destroy();
    } else if (error instanceof DatabaseUnavailable || error instanceof RedisUnavailable) {
      options.log.warn({ ...fields, reason: error.reason }, 'refused a request: the store is unavailable');
      wire.refuse(exchange, refusal('overloaded', { retryAfterSeconds: 1 }));
    } else if (error instanceof DeadlinePassed || error instanceof Overloaded) {
      options.log.warn(fields, 'refused a request: its deadline passed, or what it needs is not there for a moment');
      wire.refuse(exchange, refusal('overloaded', { retryAfterSeconds: 1 }));
    } else {
      options.log.error(fields, 'a request failed');
      wire.refuse(exchange, refusal('internal_error'));
    }
  };

  return {
    run,
    notFound: (exchange, entries) => {
      const path = (exchange.request.url ?? '').split('?', 1)[0] ?? '';
      const entry = entries.find((one) => one.match(path) !== undefined);
      const malformed = formOf(exchange.request, wire);
      if (malformed !== undefined) wire.refuse(exchange, malformed);
      else if (entry === undefined) wire.refuse(exchange, refusal('not_found'));
      else wire.refuse(exchange, refusal('method_not_allowed', { headers: { Allow: entry.allow } }));
    },
  };
}

/** The end of a connection is read one turn of the loop after the last bytes that came with it. */
async function hasHungUp(socket: Socket): Promise<boolean> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return socket.destroyed || socket.readableEnded || socket.writableEnded;
}

const emptyBody = { detail: 'The body is empty.' };

function flatten(headers: Readonly<Record<string, string>> | undefined): string[] {
  const flat: string[] = [];
  for (const name in headers) flat.push(name, headers[name] ?? '');
  return flat;
}

/** Headers that may come once: of two, one reader takes the first and another the last. */
function formOf(request: IncomingMessage, wire: Wire): Refusal | undefined {
  const { rawHeaders } = request;
  if ((request.url ?? '').length > wire.limits.urlBytes) return refusal('uri_too_long');
  if (rawHeaders.length > wire.limits.headerCount * 2) return refusal('headers_too_large');
  let hosts = 0;
  let types = 0;
  let credentials = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === 4) hosts += name.toLowerCase() === 'host' ? 1 : 0;
    else if (name.length === 12) types += name.toLowerCase() === 'content-type' ? 1 : 0;
    else if (name.length === 13) credentials += name.toLowerCase() === 'authorization' ? 1 : 0;
  }
  if (hosts > 1 || (hosts === 0 && request.httpVersion === '1.1')) return refusal('bad_request');
  if (credentials > 1) return refusal('ambiguous_credentials');
  if (types > 1) return refusal('unsupported_media_type');
  return undefined;
}

function invalidFields(
  compiled: CompiledRoute,
  body: unknown,
  query: { readonly value: unknown; readonly errors: readonly FieldError[] } | undefined,
): Refusal | undefined {
  const errors = [
    ...(query?.errors ?? []),
    ...(query === undefined ? [] : (compiled.checkQuery?.(query.value) ?? [])),
    ...(compiled.checkBody?.(body) ?? []),
  ];
  const { checkBody, definition } = compiled;
  if (checkBody === undefined && body !== undefined && definition.method !== 'GET') {
    errors.push(...membersOfEmptyBody(body, definition.unknownFields));
  }
  if (errors.length === 0) return undefined;
  const onlyUnknown = errors.every((error) => error.code === 'unknown_field');
  return refusal(onlyUnknown ? 'unknown_field' : 'validation_failed', { errors });
}

/** A route without a body takes `{}` for none. */
function membersOfEmptyBody(body: unknown, unknownFields: 'refuse' | 'ignore'): FieldError[] {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return [{ pointer: '', code: 'wrong_type', detail: 'This must be of type object.' }];
  }
  if (unknownFields === 'ignore') return [];
  return Object.keys(body)
    .slice(0, 20)
    .map((name) => ({
      pointer: `/${name.slice(0, 64).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`,
      code: 'unknown_field',
      detail: 'This member is not known here.',
    }));
}

function printable(value: string | undefined): string | null {
  if (value === undefined) return null;
  const cut = value.length > 512 ? value.slice(0, 512) : value;
  return /[^\x20-\x7e]/.test(cut) ? cut.replaceAll(/[^\x20-\x7e]/g, '?') : cut;
}

class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed';
}

/** The work goes on; its late outcome is dropped. */
function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlinePassed(`no answer after ${deadlineMs} ms`)), deadlineMs);
    timer.unref();
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
