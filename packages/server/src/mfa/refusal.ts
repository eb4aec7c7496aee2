/** How a refusal of this room is answered, and who asks. */
import { type Refusal, refusal } from '../platform/http/index.ts';
import { freshAuthenticationSeconds, originOf, type Principal, reauthenticationRequired } from '../sessions/index.ts';
import type { FactorRefusal } from './enrolment.ts';
import type { FactorOwner } from './factors.ts';

/** Changes of factors want an authentication that is not older. */
export const freshAccess = { kind: 'bearer', maxAgeSeconds: freshAuthenticationSeconds } as const;

export const ownerOf = (request: Parameters<typeof originOf>[0] & { readonly auth: Principal }): FactorOwner => ({
  userId: request.auth.userId,
  sessionId: request.auth.sessionId,
  acr: request.auth.claims.acr,
  origin: originOf(request),
});

export function refusalOf({ code, detail }: FactorRefusal): Refusal {
  if (code === 'step_up') return reauthenticationRequired(freshAuthenticationSeconds, 'aal2');
  return refusal(code, detail === undefined ? {} : { detail });
}
