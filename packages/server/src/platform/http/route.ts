/**
 * What one endpoint is. Every `.route.ts` file of the rooms exports one `defineRoute({…})`; routing, validation,
 * serialisation, the OpenAPI document and the reference page are all made from it, so that they cannot disagree.
 *
 * A route answers, or refuses by value (`refusal(code)`); what it throws is a failure and becomes a 500 without details.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ErrorCode, Static, TSchema } from '@auth-service/protocol';
import type { ClientCertificate } from './client-certificate.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

/** Who may call. Every route declares one; the hook that enforces it is handed in by the service. */
export type Access =
  | { readonly kind: 'public' }
  | {
      readonly kind: 'bearer';
      readonly permission?: string;
      /** Only for who authenticated at most so many seconds ago (RFC 9470): 401 `reauthentication_required` otherwise. */
      readonly maxAgeSeconds?: number;
      /** API keys may call though no permission is asked for: the route looks at what they carry itself. */
      readonly apiKeys?: true;
      /** Without a credential a client certificate of the listener's authorities is enough; nobody is `auth` then: `null`. */
      readonly certificates?: true;
    }
  | { readonly kind: 'operations'; readonly guard: 'metrics' | 'cluster' };

export type GuardedAccess = Exclude<Access, { kind: 'public' }>;

/** Where a request came from: the canonical address, and the bucket that limits count by (IPv6 by /64). */
export interface Client {
  readonly address: string;
  readonly bucket: string;
}

/** The logger as this room needs it. One line a request is the service's business (`onResponse`). */
export interface HttpLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** What is known of a request before its body was looked at. */
export interface RequestContext {
  readonly method: string;
  /** The route's pattern, never the path as sent. */
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
  readonly requestId: string;
  readonly client: Client;
  /** The address of the socket's other end, whatever the headers say. */
  readonly peer: string;
  /** Bounded to 512 characters of printable ASCII. */
  readonly userAgent: string | null;
  /** What the client has shown to a listener of ours, good or not. */
  readonly certificate: ClientCertificate | null;
  readonly log: HttpLog;
}

export interface RouteRequest<Body = unknown, Params = unknown, Query = unknown, Auth = unknown>
  extends RequestContext {
  readonly body: Body;
  readonly params: Params;
  readonly query: Query;
  /** What the service's `authenticate` hook answered; `undefined` on public routes. */
  readonly auth: Auth;
}

export interface RouteAnswer {
  readonly status: number;
  /** Serialised by the schema of this status; with `contentType`, text or bytes that are sent as they are. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers are `Cache-Control: no-store` unless this says `false`. */
  readonly noStore?: boolean;
  /** In the place of a body: an answer that goes on, of the type that `contentType` says. */
  readonly stream?: (stream: AnswerStream) => void;
}

/** An answer without a length. Whoever writes it ends it, and before the service closes. */
export interface AnswerStream {
  /** False, and the connection is cut, when the client does not read what was written. */
  write(text: string): boolean;
  /** When what was written has been read, but for a little. False when the client is gone, or reads nothing for long. */
  read(): Promise<boolean>;
  end(): void;
  /** Ends in the middle: the client can tell that it has not everything. */
  cut(): void;
  /** The client is gone, or `end` was called. */
  readonly isOver: () => boolean;
  /** The service is closing: to be ended soon. */
  readonly isClosing: () => boolean;
  onOver(listener: () => void): void;
}

/** One entry of a 422's `errors`: where (RFC 6901), what, and a sentence. */
export interface FieldError {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/** A problem answer (RFC 9457), as a value. */
export interface Refusal {
  readonly kind: 'refused';
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Whole seconds, at least 1; set to 1 on 429 and 503 that do not say. */
  readonly retryAfterSeconds?: number;
  /** Further members of the problem, e.g. `mfa_token`. */
  readonly members?: Readonly<Record<string, unknown>>;
}

export type RefusalOptions = Omit<Refusal, 'kind' | 'code'>;

/** A uuid in a path, in either case: the schema of a parameter. */
export const uuidPattern = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';

export const refusal = (code: ErrorCode, options: RefusalOptions = {}): Refusal => ({
  kind: 'refused',
  code,
  ...options,
});

/** Thrown by what cannot work for a moment, before it has changed anything: answered as 503 `overloaded`. */
export class Overloaded extends Error {
  override readonly name: string = 'Overloaded';
}

/** One kind of answer, for the serialiser and the reference. */
export interface AnswerSpec {
  readonly description: string;
  readonly schema?: TSchema;
  /** `application/json` where not said. */
  readonly contentType?: string;
  /** Header names with what they mean. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly example?: unknown;
}

/** An endpoint with its types erased, as the table of routes holds it. */
export interface RouteDefinition<Body = unknown, Params = unknown, Query = unknown, Auth = unknown> {
  readonly method: Method;
  /** Literal segments and `:names`, e.g. `/api/auth/sessions/:session_id`. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly access: Access;
  /** Name of the rate-limit policy; `null` for none. */
  readonly limit: string | null;
  readonly body?: TSchema;
  /** A path whose parameters do not match names nothing: 404. */
  readonly params?: TSchema;
  /** Integers and booleans are read from their text; everything else is text. */
  readonly query?: TSchema;
  /** Body members that the schema does not name: 422 `unknown_field`, or taken no notice of. */
  readonly unknownFields: 'refuse' | 'ignore';
  readonly bodyExample?: unknown;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  /** What this route itself refuses with; the codes of the pipeline (limits, form, access) are added by it. */
  readonly errors: readonly ErrorCode[];
  /** For answers that are meant to take long (long polls); the default is the server's `handlerDeadlineMs`. */
  readonly deadlineMs?: number;
  /**
   * Not carried out for a client that has hung up before it began, as after this process was frozen: that client has asked
   * again elsewhere, and a late second use would be held against it.
   */
  readonly onlyForThePresent?: boolean;
  handle(request: RouteRequest<Body, Params, Query, Auth>): RouteAnswer | Refusal | Promise<RouteAnswer | Refusal>;
}

type StaticOf<S extends TSchema> = [S] extends [never] ? undefined : Static<S>;

type AuthOf<A, Auth> = A extends { kind: 'bearer' }
  ? A extends { certificates: true }
    ? Auth | null
    : Auth
  : undefined;

type Draft<A extends Access, B extends TSchema, P extends TSchema, Q extends TSchema, Auth> = Omit<
  RouteDefinition,
  'access' | 'body' | 'params' | 'query' | 'handle'
> & {
  readonly access: A;
  readonly body?: B;
  readonly params?: P;
  readonly query?: Q;
  handle(
    request: RouteRequest<StaticOf<B>, StaticOf<P>, StaticOf<Q>, AuthOf<A, Auth>>,
  ): RouteAnswer | Refusal | Promise<RouteAnswer | Refusal>;
};

/**
 * A `defineRoute` whose bearer routes see `request.auth` as `Auth`:
 * `export const defineRoute = routeDefiner<Principal>()` in the room that knows the principal.
 */
export const routeDefiner =
  <Auth>() =>
  <const A extends Access, B extends TSchema = never, P extends TSchema = never, Q extends TSchema = never>(
    draft: Draft<A, B, P, Q, Auth>,
  ): RouteDefinition =>
    // The pipeline hands `handle` only what the schemas accepted, so the erased type is kept true at run time.
    draft as unknown as RouteDefinition;

/** For routes that do not look at who calls. */
export const defineRoute = routeDefiner<unknown>();
