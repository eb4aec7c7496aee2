/**
 * Cross-origin reading (the Fetch standard's CORS protocol): an origin is allowed when it is, byte for byte, on the
 * list. No pattern, no `null`; credentials that the browser holds only where they are asked for, and never with `*`.
 */

const exposed = 'X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, ETag, WWW-Authenticate';
const allowedHeaders = 'Authorization, Content-Type, If-Match, If-None-Match, X-Request-Id, X-Token-Transport';

export interface Cors {
  /** Headers of every answer, so that no cache mixes origins up. */
  readonly vary: readonly string[];
  /** Flat headers for an actual answer to `origin`. */
  headersFor(origin: string | undefined): readonly string[];
  /** Flat headers for a preflight, on top of `headersFor`. */
  preflightFor(origin: string | undefined, methods: string): readonly string[];
}

const none: readonly string[] = [];

export function createCors(origins: readonly string[], credentials = false): Cors {
  const listed = new Set(origins.filter((origin) => origin !== 'null'));
  const any = listed.has('*');
  const allows = (origin: string | undefined): origin is string =>
    origin !== undefined && origin !== 'null' && (any || listed.has(origin));
  return {
    vary: listed.size === 0 || any ? none : ['Vary', 'Origin'],
    headersFor: (origin) =>
      allows(origin)
        ? [
            'Access-Control-Allow-Origin',
            any ? '*' : origin,
            'Access-Control-Expose-Headers',
            exposed,
            ...(credentials && !any ? ['Access-Control-Allow-Credentials', 'true'] : []),
          ]
        : none,
    preflightFor: (origin, methods) =>
      allows(origin)
        ? [
            'Access-Control-Allow-Methods',
            methods,
            'Access-Control-Allow-Headers',
            allowedHeaders,
            'Access-Control-Max-Age',
            '600',
          ]
        : none,
  };
}
