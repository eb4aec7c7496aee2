/** What the audit log may know of where a request came from. */
import type { Origin } from '../audit/index.ts';
import type { RequestContext } from '../platform/http/index.ts';

export const originOf = (request: RequestContext): Origin => ({
  ip: request.client.address,
  userAgent: request.userAgent,
  requestId: request.requestId,
});
