/**
 * Who may read the operations routes: the bearer of the configured token; where none is configured, loopback and private
 * peers, and never a request that was forwarded by somebody who is not trusted.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import {
  isPrivateOrLoopback,
  type ReadClientAddress,
  type Refusal,
  type RequestContext,
  refusal,
} from '../platform/http/index.ts';

const forwardingHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'];
const bearer = /^bearer +(\S+)$/i;

/** `null` when the request may pass. */
export type OperationsGuard = (request: RequestContext, token: string | undefined) => Refusal | null;

export function createOperationsGuard(clientAddress: ReadClientAddress): OperationsGuard {
  return (request, token) => {
    if (token !== undefined) {
      const header = request.headers.authorization;
      if (header === undefined) return refusal('missing_token');
      const sent = bearer.exec(header)?.[1];
      return sent !== undefined && isSame(sent, token) ? null : refusal('invalid_token');
    }
    const isForwarded = forwardingHeaders.some((name) => request.headers[name] !== undefined);
    const direct = clientAddress(request.peer, undefined).address;
    // A trusted proxy's word has moved the client's address away from the peer's.
    if (isForwarded && request.client.address === direct) return refusal('insufficient_permissions');
    return isPrivateOrLoopback(request.client.address) ? null : refusal('insufficient_permissions');
  };
}

/** In constant time: equal-length digests are compared. */
function isSame(sent: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(sent), digest(token));
}
