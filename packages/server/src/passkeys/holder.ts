/** Who acts, of a request; and how a refusal of this room is answered. */
import { type Refusal, type RequestContext, refusal } from '../platform/http/index.ts';
import { freshAuthenticationSeconds, originOf, type Principal, reauthenticationRequired } from '../sessions/index.ts';
import type { Holder, PasskeyRefusal } from './passkeys.ts';

export function holderOf(request: RequestContext & { readonly auth: Principal }): Holder {
  const { userId, sessionId, claims } = request.auth;
  return { userId, sessionId, acr: claims.acr, origin: originOf(request) };
}

export function refusalOf(refused: PasskeyRefusal): Refusal {
  switch (refused.code) {
    case 'reauthentication_required':
      return reauthenticationRequired(freshAuthenticationSeconds, 'aal2');
    case 'conflict':
      return refusal(refused.code, { detail: refused.detail });
    default:
      return refusal(refused.code);
  }
}
