/** POST /api/auth/reset-password */
import { ReceiptWithSessionsSchema, ResetPasswordBodySchema } from '@auth-service/protocol';
import { defineRoute, originOf, refusalOf } from '../sessions/index.ts';
import type { Recovery } from './recovery.ts';

export const resetPasswordRoute = (recovery: Recovery) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/reset-password',
    summary: 'Choose a new password with the code that was mailed',
    description:
      'Ends every session, access token, API key and device token of the account. Nobody is logged in by it, and a second factor is still asked for. A code works once; a refused password does not use it up.',
    tags: ['recovery'],
    access: { kind: 'public' },
    limit: 'login',
    body: ResetPasswordBodySchema,
    unknownFields: 'refuse',
    bodyExample: { token: 'ABCD-EFGH-JKMN-PQRS', new_password: 'a better staple altogether' },
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['invalid_mail_token', 'overloaded'],
    async handle(request) {
      const { token, new_password: password } = request.body;
      const outcome = await recovery.resetPassword(token, password, originOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
