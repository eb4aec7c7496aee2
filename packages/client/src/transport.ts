/**
 * One call to the service: JSON in and out, a limit in time, problems as `AuthError`.
 *
 * - What may be said twice (reading, ending, refreshing) is said again after 429, 503 or no answer: a bounded number of times,
 *   never before the service's `Retry-After`. Anything else is sent once.
 * - No redirect is followed with a credential, nothing is cached.
 */
import { AuthError, errorOf, isTemporary } from './errors.ts';

/** One call of the API of the service, for `RawClient`. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Below `/api/auth`. */
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether it does no harm to send this twice; so for GET and DELETE. `unanswered`: not where the service has tried, because an
   * answer of any kind has had its effect.
   */
  readonly repeatable?: boolean | 'unanswered';
  /** Where one answer may take less time than elsewhere, milliseconds. */
  readonly timeoutMs?: number;
}

export type Send = (call: Call) => Promise<unknown>;

export interface TransportDeps {
  readonly baseUrl: string;
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly cookies: boolean;
  readonly retriesMax: number;
  readonly timeoutMs: number;
}

/** Whoever is told to come back later than this is told so, instead of waiting, milliseconds. */
const waitMsMax = 10_000;
const firstWaitMs = 500;
export const notOurs = 'this is no answer of the service';

export function createTransport(deps: TransportDeps): Send {
  const base = `${deps.baseUrl.replace(/\/+$/, '')}/api/auth`;

  async function once({ method, path, body, token, signal, timeoutMs = deps.timeoutMs }: Call): Promise<unknown> {
    const limit = AbortSignal.timeout(Math.min(timeoutMs, deps.timeoutMs));
    try {
      const response = await deps.fetch(base + path, {
        method,
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(deps.cookies ? { 'x-token-transport': 'cookie' } : {}),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        credentials: deps.cookies ? 'include' : 'omit',
        cache: 'no-store',
        redirect: 'error',
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      });
      const answer = await readJson(response);
      if (!response.ok) throw errorOf(response, answer ?? {}, deps.now());
      // Somebody's portal answers with 200 as well.
      if (answer === null && response.status !== 204)
        throw new AuthError('unexpected_answer', notOurs, { status: 200 });
      return answer ?? {};
    } catch (error) {
      if (error instanceof AuthError) throw error;
      signal?.throwIfAborted();
      if (limit.aborted) throw new AuthError('timeout', 'the service did not answer in time', { cause: error });
      throw new AuthError('network_error', `the service could not be reached at ${deps.baseUrl}`, {
        cause: error,
      });
    }
  }

  return async (call) => {
    const repeatable = call.repeatable ?? (call.method === 'GET' || call.method === 'DELETE');
    for (let attempt = 0; ; attempt += 1) {
      call.signal?.throwIfAborted();
      try {
        return await once(call);
      } catch (error) {
        if (!repeatable || attempt >= deps.retriesMax || !isTemporary(error) || error.status === 500) throw error;
        if (repeatable === 'unanswered' && error.status >= 500) throw error;
        const waitMs = error.retryAfter === null ? firstWaitMs * 2 ** attempt : error.retryAfter * 1_000;
        if (waitMs > waitMsMax) throw error;
        await deps.sleep(waitMs, call.signal);
      }
    }
  };
}

async function readJson(response: Response): Promise<Record<string, unknown> | null> {
  const text = await response.text();
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

/** As `setTimeout`, but ended by the signal. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    }, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end, { once: true });
  });
}
