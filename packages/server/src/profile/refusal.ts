/** How a refusal of this room is answered. */
import { type Refusal, refusal } from '../platform/http/index.ts';
import { freshAuthenticationSeconds, reauthenticationRequired } from '../sessions/index.ts';
import type { ProfileRefusal } from './profile.ts';

export function refusalOf(refused: ProfileRefusal): Refusal {
  switch (refused.code) {
    case 'reauthentication_required':
      return reauthenticationRequired(freshAuthenticationSeconds, 'aal2');
    case 'account_locked':
    case 'overloaded':
      return refusal(refused.code, { retryAfterSeconds: refused.retryAfterSeconds });
    case 'conflict':
      return refusal(refused.code, { detail: refused.detail });
    case 'validation_failed':
      return refusal(refused.code, { errors: refused.errors });
    default:
      return refusal(refused.code);
  }
}
