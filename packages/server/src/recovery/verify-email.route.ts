/** POST /api/auth/verify-email */
import { EmailProvenSchema, VerifyEmailBodySchema } from '@auth-service/protocol';
import { defineRoute, originOf, refusalOf } from '../sessions/index.ts';
import type { Recovery } from './recovery.ts';

export const verifyEmailRoute = (recovery: Recovery) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/verify-email',
    summary: 'Prove an address with the code that was mailed to it',
    description:
      'Of a new account, or the new address of one: that takes effect now, and ends every other session. A code works once. Whoever asks by a link, which may come to somebody who never registered, sends `password`, the one that was registered with, or `new_password`, which takes its place and ends everything that was set before. The code alone proves the account as it was registered: for pages on which somebody registers and types it.',
    tags: ['recovery'],
    access: { kind: 'public' },
    limit: 'login',
    body: VerifyEmailBodySchema,
    unknownFields: 'refuse',
    bodyExample: { token: 'ABCD-EFGH-JKMN-PQRS' },
    answers: { 200: { description: 'The address is proven.', schema: EmailProvenSchema } },
    errors: ['invalid_mail_token', 'email_taken', 'invalid_credentials', 'account_locked', 'overloaded'],
    async handle(request) {
      const { token, password, new_password: newPassword } = request.body;
      const outcome = await recovery.verifyEmail(token, originOf(request), { password, newPassword });
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
