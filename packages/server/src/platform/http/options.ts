/** What the service hands to the HTTP server: its hooks, its policies, and what would otherwise be ambient. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Client, GuardedAccess, HttpLog, Refusal, RequestContext, RouteAnswer, RouteDefinition } from './route.ts';

export type AuthenticationOutcome = { readonly kind: 'authenticated'; readonly auth: unknown } | Refusal;

export interface RateLimitVerdict {
  readonly allowed: boolean;
  /** `RateLimit`, `RateLimit-Policy`: sent with every answer of the route. */
  readonly headers: Readonly<Record<string, string>>;
  readonly retryAfterSeconds: number;
}

export interface HttpHooks {
  /**
   * Asked for every route that is not public, before its body is validated, so that 401 and 403 tell nothing of fields.
   * `missing_token` is the refusal for a request without credentials: its challenge then names no error.
   */
  authenticate(request: RequestContext, access: GuardedAccess): AuthenticationOutcome | Promise<AuthenticationOutcome>;
  /** Takes one from the bucket, before anything of the body is read. `undefined`: not limited. */
  rateLimit(policy: string, bucket: string): RateLimitVerdict | undefined | Promise<RateLimitVerdict | undefined>;
  /** Once an answer: for the log line and the metrics. `route` is a pattern of the table, or `unknown`; 499: the client left. */
  onResponse(
    route: string,
    method: string,
    status: number,
    seconds: number,
    requestId: string,
    /** The header as received (W3C Trace Context). */
    traceparent?: string,
  ): void;
}

/**
 * Another way for credentials between the wire and the routes than headers and bodies; the routes know nothing of it. Asked
 * after the rate limit and before a byte of the body is read. `undefined`: this request goes the usual way.
 */
export interface Carrier {
  receive(headers: IncomingHttpHeaders, route: RouteDefinition): Carried | Refusal | undefined;
}

export interface Carried {
  /** What the service's hook and the route see instead. */
  readonly headers: IncomingHttpHeaders;
  body(value: unknown): { readonly kind: 'body'; readonly value: unknown } | Refusal;
  /** Headers, flat, of the answer to a request that could not be carried out. */
  readonly failed: readonly string[];
  /** What is sent instead, and with which headers, flat. */
  answer(result: RouteAnswer | Refusal): {
    readonly result: RouteAnswer | Refusal;
    readonly headers: readonly string[];
  };
}

/**
 * A short way for one hot route, which may leave out what it does not need. It is offered well-formed requests of that
 * route only, and answers `true` when it has taken one. What it does not expect it leaves to the full path, byte for
 * byte: before reading by `false`, after reading by `fallBack`.
 */
export interface FastPath {
  readonly method: string;
  readonly path: string;
  take(exchange: FastExchange): boolean;
}

export interface FastExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The body is JSON by its type, not encoded, and so many bytes long. */
  readonly contentLength: number;
  /** Flat, in a list of its own; they hold the request id, and are sent with the answer, whatever that is. */
  headers(): string[];
  /** Counts the answer, once it is on its way. */
  answered(status: number): void;
  /** The full path goes on with the body that was read. */
  fallBack(bytes: Buffer): void;
}

export interface HttpLimits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  readonly headerCount: number;
  readonly urlBytes: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly checkIntervalMs: number;
  readonly keepAliveMs: number;
  /** A socket on which nothing moves, an answer that is not read included. */
  readonly idleSocketMs: number;
  readonly handlerDeadlineMs: number;
  readonly connections: number;
}

export const defaultLimits: HttpLimits = {
  bodyBytes: 64 * 1024,
  headerBytes: 16 * 1024,
  headerCount: 100,
  urlBytes: 8 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  checkIntervalMs: 1_000,
  keepAliveMs: 60_000,
  idleSocketMs: 30_000,
  handlerDeadlineMs: 10_000,
  connections: 10_000,
};

export interface HttpOptions {
  readonly routes: readonly RouteDefinition[];
  readonly hooks: HttpHooks;
  /** `forwardedFor` is the `X-Forwarded-For` header as received, one element a header line. */
  clientAddress(peer: string, forwardedFor: readonly string[] | undefined): Client;
  /** Whether a trusted proxy says that the client came by https. A TLS socket of ours is not asked about. */
  trustedHttps(peer: string, headers: IncomingHttpHeaders): boolean;
  /** Exact origins, or `*`. */
  readonly corsOrigins: readonly string[];
  readonly limits?: Partial<HttpLimits>;
  readonly log: HttpLog;
  /** The protection space that challenges name (RFC 9110 section 11.5). */
  readonly realm: string;
  newRequestId(): string;
  monotonicMs(): number;
  /** Milliseconds since 1970: how long a client's certificate is good. */
  wallMs(): number;
  readonly fastPath?: FastPath;
  /** With it, listed origins may send credentials that the browser holds. */
  readonly carrier?: Carrier | undefined;
}
