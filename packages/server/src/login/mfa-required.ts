/** How the demand for a second factor is answered. */
import { type Refusal, refusal } from '../platform/http/index.ts';
import type { MfaRequired } from './second-step.ts';

export const refusalForFactor = ({ token, methods, expiresIn }: MfaRequired): Refusal =>
  refusal('mfa_required', { members: { mfa_token: token, methods, expires_in: expiresIn } });
