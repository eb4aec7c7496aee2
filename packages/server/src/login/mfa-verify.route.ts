/** POST /api/auth/mfa/verify */
import { MfaVerifyBodySchema, TokenAnswerSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute, originOf } from '../sessions/index.ts';
import type { LoginOutcome } from './login.ts';
import { oneProofOf, proofsOf } from './proof.ts';
import type { SecondStep } from './second-step.ts';

export const mfaVerifyRoute = (deps: { secondStep: SecondStep; onOutcome: (outcome: LoginOutcome) => void }) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/mfa/verify',
    summary: 'Finish a login with a second factor',
    description:
      'With the `mfa_token` of a `mfa_required` answer and one of `code`, `recovery_code`, `webauthn`. A recovery code ends every other session. Five wrong tries end the token; more than ten wrong codes within 15 minutes lock second factors for the account.',
    tags: ['mfa'],
    access: { kind: 'public' },
    limit: 'mfa',
    body: MfaVerifyBodySchema,
    unknownFields: 'refuse',
    bodyExample: { mfa_token: 'mfa_…', code: '123456' },
    answers: { 200: { description: 'Tokens.', schema: TokenAnswerSchema } },
    errors: ['mfa_token_invalid', 'mfa_invalid', 'account_locked', 'overloaded'],
    async handle(request) {
      const [proof, another] = proofsOf(request.body);
      if (proof === undefined || proof.kind === 'password' || another !== undefined) {
        return oneProofOf('code, recovery_code and webauthn');
      }
      const { mfa_token: token } = request.body;
      const outcome = await deps.secondStep.verify({ token, proof, origin: originOf(request) });
      if (outcome.kind === 'logged_in') {
        if (outcome.purpose === 'login') deps.onOutcome(outcome);
        return { status: 200, body: outcome.answer };
      }
      const { code, ...rest } = outcome;
      return refusal(code, 'retryAfterSeconds' in rest ? { retryAfterSeconds: rest.retryAfterSeconds } : {});
    },
  });
