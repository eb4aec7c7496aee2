/**
 * The headers of every answer: routes, errors, 404 and the raw answers to what never became a request. They are flat
 * lists made once, because setting them one by one costs a third of the throughput.
 */

/** HTML pages of ours bring their own policy; everything else is data and may load nothing. */
export const dataContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

const common: readonly string[] = [
  'X-Content-Type-Options',
  'nosniff',
  'X-Frame-Options',
  'DENY',
  'Referrer-Policy',
  'no-referrer',
  'Cross-Origin-Opener-Policy',
  'same-origin',
  'Cross-Origin-Resource-Policy',
  'same-site',
  'Permissions-Policy',
  'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
];

const policy: readonly string[] = ['Content-Security-Policy', dataContentSecurityPolicy];
const strictTransport: readonly string[] = ['Strict-Transport-Security', 'max-age=63072000; includeSubDomains'];

export interface BaseHeaders {
  /** For answers that bring a `Content-Security-Policy` of their own. */
  readonly withoutPolicy: readonly string[];
  readonly all: readonly string[];
}

/** `secure`: the client reached us by TLS, ours or a trusted proxy's. `extra`: e.g. `['Vary', 'Origin']`. */
export function makeBaseHeaders(secure: boolean, extra: readonly string[] = []): BaseHeaders {
  const withoutPolicy = [...common, ...(secure ? strictTransport : []), ...extra];
  return { withoutPolicy, all: [...policy, ...withoutPolicy] };
}

/** The name and value list that a raw answer starts with. */
export const baseHeaders = (secure: boolean): readonly string[] => makeBaseHeaders(secure).all;
