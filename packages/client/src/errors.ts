/** What goes wrong, as one class with a code: the service's own word (RFC 9457), or that there was none. */
import type { ErrorCode } from '@auth-service/protocol';

/** Codes of this client, beside those of the service. */
export type ClientCode =
  /** The service could not be reached, or the answer did not arrive. */
  | 'network_error'
  /** It did not answer in time. */
  | 'timeout'
  /** What answered does not speak like the service: a proxy, a portal. */
  | 'unexpected_answer'
  /** Nobody is signed in here. */
  | 'signed_out';

/** One entry of a 422: where (RFC 6901), what, and a sentence. */
export interface FieldProblem {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/** What a sensitive call asks for before it is carried out (RFC 9470). */
export interface Challenge {
  /** How old the authentication may be, seconds. */
  readonly maxAge: number | null;
  readonly acr: string | null;
}

/** Every failure of the service or on the way to it; its `code` is the service's word, or one of `ClientCode`. */
export class AuthError extends Error {
  override readonly name = 'AuthError';
  readonly code: ErrorCode | ClientCode;
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly requestId: string | null;
  /** Which fields were wrong, with status 422. */
  readonly errors: readonly FieldProblem[];
  /** When to try again at the earliest, seconds. */
  readonly retryAfter: number | null;
  /** With `reauthentication_required`: what `reauthenticate()` must prove. */
  readonly challenge: Challenge | null;
  /** The whole problem body. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode | ClientCode, message: string, more: AuthErrorDetails = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    const { body = {} } = more;
    this.code = code;
    this.status = more.status ?? 0;
    this.body = body;
    this.requestId = typeof body['request_id'] === 'string' ? body['request_id'] : null;
    this.errors = Array.isArray(body['errors']) ? body['errors'] : [];
    this.retryAfter = more.retryAfter ?? null;
    this.challenge = more.challenge ?? null;
  }
}

interface AuthErrorDetails {
  readonly status?: number;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly retryAfter?: number | null;
  readonly challenge?: Challenge | null;
  readonly cause?: unknown;
}

/** The error that a refusing answer tells of. */
export function errorOf(response: Response, body: Readonly<Record<string, unknown>>, nowMs: number): AuthError {
  const { status, headers } = response;
  const known = typeof body['code'] === 'string';
  return new AuthError(
    known ? (body['code'] as ErrorCode) : 'unexpected_answer',
    typeof body['detail'] === 'string' ? body['detail'] : `the service answered ${status}`,
    {
      status,
      body,
      retryAfter: retryAfterOf(headers, nowMs),
      challenge: body['code'] === 'reauthentication_required' ? challengeOf(headers.get('www-authenticate')) : null,
    },
  );
}

/** RFC 9110 section 10.2.3: seconds, or a date, which is read beside the answer's own where this machine's clock need not be right. */
function retryAfterOf(headers: Headers, nowMs: number): number | null {
  const text = headers.get('retry-after');
  if (text === null) return null;
  if (/^\d+$/.test(text)) return Number(text);
  const sent = Date.parse(headers.get('date') ?? '');
  const seconds = Math.ceil((Date.parse(text) - (Number.isNaN(sent) ? nowMs : sent)) / 1_000);
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

function challengeOf(header: string | null): Challenge {
  const maxAge = /\bmax_age="?(\d+)/.exec(header ?? '')?.[1];
  const acr = /\bacr_values="([^"]+)"/.exec(header ?? '')?.[1];
  return { maxAge: maxAge === undefined ? null : Number(maxAge), acr: acr ?? null };
}

/** Whether the same call may work in a while: nothing is known to be wrong with it. */
export const isTemporary = (error: unknown): error is AuthError =>
  error instanceof AuthError && (error.status === 0 || error.status === 429 || error.status >= 500);
