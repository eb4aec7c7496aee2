/**
 * Refusals as answers that clients of the service know already: problem documents (RFC 9457) with the service's codes, and
 * challenges after RFC 6750 and RFC 9470. Nothing in them comes from the request but a sane `X-Request-Id`.
 */
import { type ErrorCode, errorTable, problemType } from '@auth-service/protocol';
import type { Requirement } from './requirement.ts';

/** The answer of a refusal, whole, for a framework without a door of its own. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The codes that a door refuses with. */
export type DoorCode = Extract<
  ErrorCode,
  | 'ambiguous_credentials'
  | 'missing_token'
  | 'invalid_token'
  | 'token_expired'
  | 'token_revoked'
  | 'insufficient_permissions'
  | 'reauthentication_required'
  | 'revocation_state_stale'
>;

/** What a challenge says, RFC 6750 section 3.1: nothing where nothing was sent. */
const challengeErrors: Readonly<Record<DoorCode, string | undefined>> = {
  ambiguous_credentials: undefined,
  missing_token: undefined,
  invalid_token: 'invalid_token',
  token_expired: 'invalid_token',
  token_revoked: 'invalid_token',
  insufficient_permissions: 'insufficient_scope',
  reauthentication_required: 'insufficient_user_authentication',
  revocation_state_stale: undefined,
};

const sane = /^[\w.:-]{1,128}$/;

/** The request's own id where it has a sane one. */
export const requestIdOf = (sent: string | undefined, newId: () => string): string =>
  sent !== undefined && sane.test(sent) ? sent : newId();

export function makeAnswer(code: DoorCode, requirement: Requirement, realm: string, requestId: string): Answer {
  const { status, title } = errorTable[code];
  const body = { type: problemType(code), title, status, detail: `${title}.`, code, request_id: requestId };
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Request-Id': requestId,
      ...(status === 401 || status === 403 ? { 'WWW-Authenticate': challenge(code, requirement, realm) } : {}),
      ...(status === 503 ? { 'Retry-After': '1' } : {}),
    },
    body: JSON.stringify(body),
  };
}

function challenge(code: DoorCode, { acr, maxAge }: Requirement, realm: string): string {
  const error = challengeErrors[code];
  const parts = [`realm="${realm}"`];
  if (error !== undefined) parts.push(`error="${error}"`);
  if (code === 'reauthentication_required') {
    if (acr !== undefined) parts.push(`acr_values="${acr}"`);
    if (maxAge !== undefined) parts.push(`max_age=${maxAge}`);
  }
  return `Bearer ${parts.join(', ')}`;
}
