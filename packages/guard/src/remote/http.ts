/**
 * Requests to the service, and to it alone: every address is under its own, no redirect is followed, no answer is read past its
 * bound, and none is waited for past its time. What goes wrong is a throw; its text names no secret.
 */
export interface ServiceAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** `undefined` where the answer has no JSON. */
  readonly json: unknown;
}

export interface SendOptions {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
  readonly bytesMax?: number;
  readonly signal?: AbortSignal;
}

/** Of `fetch` what a guard needs of it. */
export type ServiceFetch = (url: string, init: RequestInit) => Promise<Response>;

export interface ServiceHttp {
  send(path: string, options?: SendOptions): Promise<ServiceAnswer>;
  /** The answer as it begins; its body is for the caller to read, and to bound. */
  open(
    path: string,
    options: { readonly headers: Readonly<Record<string, string>>; signal: AbortSignal },
  ): Promise<Response>;
}

const timeoutMsDefault = 5_000;
const bytesMaxDefault = 256 * 1_024;

/** `baseUrl`: scheme, host and perhaps a path, without a slash at the end. */
export function createServiceHttp(deps: { readonly fetch: ServiceFetch; readonly baseUrl: string }): ServiceHttp {
  const { baseUrl } = deps;
  const common = { redirect: 'error', credentials: 'omit', cache: 'no-store' } as const;
  return {
    async send(path, options = {}) {
      const { method = 'GET', headers = {}, body, timeoutMs = timeoutMsDefault, bytesMax = bytesMaxDefault } = options;
      const late = AbortSignal.timeout(timeoutMs);
      const signal = options.signal === undefined ? late : AbortSignal.any([late, options.signal]);
      const response = await deps.fetch(baseUrl + path, {
        ...common,
        method,
        signal,
        headers: { Accept: 'application/json', ...headers, ...(body === undefined ? {} : jsonType) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await readBounded(response, bytesMax);
      return { status: response.status, headers: response.headers, json: parse(text) };
    },
    open: (path, { headers, signal }) => deps.fetch(baseUrl + path, { ...common, headers, signal }),
  };
}

const jsonType = { 'Content-Type': 'application/json' };

async function readBounded(response: Response, bytesMax: number): Promise<string> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let bytes = 0;
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > bytesMax) {
      await reader.cancel();
      throw new Error(`the service answered with more than ${bytesMax} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whole seconds of `Retry-After`, `undefined` for anything else. */
export function retryAfterMs(headers: Headers): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isSafeInteger(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}
