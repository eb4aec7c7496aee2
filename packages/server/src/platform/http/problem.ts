/**
 * Refusals and failures as `application/problem+json` (RFC 9457). Every 401 carries a Bearer challenge (RFC 6750), every
 * 429 and 503 a `Retry-After`. Nothing in here comes from a library, the store, or the request, but what a refusal says.
 */
import { type ErrorCode, errorTable, problemType } from '@auth-service/protocol';
import type { Refusal } from './route.ts';

export const problemContentType = 'application/problem+json; charset=utf-8';

/** RFC 6750 section 3.1, RFC 9470 section 3. Other 401s name the scheme only: no access token was judged. */
const challengeErrors: Partial<Record<ErrorCode, string>> = {
  invalid_token: 'invalid_token',
  token_expired: 'invalid_token',
  token_revoked: 'invalid_token',
  reauthentication_required: 'insufficient_user_authentication',
};

export interface Problem {
  readonly status: number;
  readonly body: string;
  /** Flat name and value list, without the security headers. */
  readonly headers: readonly string[];
}

export function makeProblem(refused: Refusal, requestId: string, realm: string): Problem {
  const { status, title } = errorTable[refused.code];
  const body = JSON.stringify({
    ...refused.members,
    type: problemType(refused.code),
    title,
    status,
    detail: refused.detail ?? `${title}.`,
    code: refused.code,
    request_id: requestId,
    ...(refused.errors === undefined ? {} : { errors: refused.errors }),
  });
  return { status, body, headers: problemHeaders(refused, status, realm) };
}

function problemHeaders(refused: Refusal, status: number, realm: string): readonly string[] {
  const headers = ['Content-Type', problemContentType, 'Cache-Control', 'no-store'];
  const own = refused.headers ?? {};
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  if (status === 401 && !names.has('www-authenticate')) {
    headers.push('WWW-Authenticate', challenge(realm, challengeErrors[refused.code]));
  }
  if (refused.code === 'insufficient_permissions' && !names.has('www-authenticate')) {
    headers.push('WWW-Authenticate', challenge(realm, 'insufficient_scope'));
  }
  if ((status === 429 || status === 503) && !names.has('retry-after')) {
    headers.push('Retry-After', String(Math.max(1, Math.ceil(refused.retryAfterSeconds ?? 1))));
  }
  for (const [name, value] of Object.entries(own)) headers.push(name, value);
  return headers;
}

const challenge = (realm: string, error: string | undefined): string =>
  error === undefined ? `Bearer realm="${realm}"` : `Bearer realm="${realm}", error="${error}"`;
