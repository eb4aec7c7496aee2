/** What the audit log may know of where a request came from. */
import type { Origin } from '../audit/index.ts';
import type { RequestContext } from '../platform/http/index.ts';

export function originOf(request: RequestContext & { readonly auth?: unknown }): Origin {
  // What a bearer route was called with, see principal.ts.
  const auth = request.auth as { readonly apiKeyId?: string | null } | undefined;
  const origin = { ip: request.client.address, userAgent: request.userAgent, requestId: request.requestId };
  return typeof auth?.apiKeyId === 'string' ? { ...origin, apiKeyId: auth.apiKeyId } : origin;
}
