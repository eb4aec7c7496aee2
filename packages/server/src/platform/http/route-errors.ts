/** Which codes a route can answer: its own, and those of the steps before it. The reference and the tests hold to this. */
import { type ErrorCode, errorTable } from '@auth-service/protocol';
import type { RouteDefinition } from './route.ts';

const always: readonly ErrorCode[] = [
  'bad_request',
  'ambiguous_credentials',
  'csrf',
  'request_timeout',
  'uri_too_long',
  'headers_too_large',
  'internal_error',
  'overloaded',
];
const onBodies: readonly ErrorCode[] = ['malformed_json', 'payload_too_large', 'unsupported_media_type'];

/** What any route can answer to a request that is wrong in form; the reference page tells it once. */
export const generalErrors: ReadonlySet<ErrorCode> = new Set(
  [...always, ...onBodies].filter((code) => code !== 'overloaded'),
);

const onBearer: readonly ErrorCode[] = [
  'missing_token',
  'invalid_token',
  'token_expired',
  'token_revoked',
  'revocation_state_stale',
  // Where no permission is asked for: an API key, which is no person.
  'insufficient_permissions',
];
const onOperations: readonly ErrorCode[] = ['missing_token', 'invalid_token', 'insufficient_permissions'];

/** In the order of the error table. */
export function routeErrors(route: RouteDefinition): readonly ErrorCode[] {
  const codes = new Set<ErrorCode>([...always, ...route.errors]);
  const add = (more: readonly ErrorCode[]): void => {
    for (const code of more) codes.add(code);
  };
  if (route.limit !== null) add(['rate_limited']);
  if (route.params !== undefined) add(['not_found']);
  if (route.method !== 'GET') {
    // A route without a body takes none or `{}`, and refuses anything else.
    add([...onBodies, 'validation_failed']);
    if (route.unknownFields === 'refuse') add(['unknown_field']);
  }
  if (route.query !== undefined) add(['validation_failed']);
  if (route.access.kind === 'bearer') {
    add(onBearer);
    if (route.access.maxAgeSeconds !== undefined) add(['reauthentication_required']);
  } else if (route.access.kind === 'operations') add(onOperations);
  return (Object.keys(errorTable) as ErrorCode[]).filter((code) => codes.has(code));
}

export function errorsByStatus(route: RouteDefinition): ReadonlyMap<number, readonly ErrorCode[]> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of routeErrors(route)) {
    const { status } = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return new Map([...byStatus].sort(([a], [b]) => a - b));
}
