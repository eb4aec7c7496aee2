/** Who changes the factors of an account, of a request. */
import { freshAuthenticationSeconds, originOf, type Principal } from '../sessions/index.ts';
import type { FactorOwner } from './factors.ts';

/** Changes of factors want an authentication that is not older. */
export const freshAccess = { kind: 'bearer', maxAgeSeconds: freshAuthenticationSeconds } as const;

export const ownerOf = (request: Parameters<typeof originOf>[0] & { readonly auth: Principal }): FactorOwner => ({
  userId: request.auth.userId,
  sessionId: request.auth.sessionId,
  acr: request.auth.claims.acr,
  origin: originOf(request),
});
