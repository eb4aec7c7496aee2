/** POST /api/auth/verify-email */
import { EmailProvenSchema, MailTokenBodySchema } from '@auth-service/protocol';
import { defineRoute, originOf, refusalOf } from '../sessions/index.ts';
import type { Recovery } from './recovery.ts';

export const verifyEmailRoute = (recovery: Recovery) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/verify-email',
    summary: 'Prove an address with the code that was mailed to it',
    description:
      'Of a new account, or the new address of one: that takes effect now, and ends every other session. A code works once.',
    tags: ['recovery'],
    access: { kind: 'public' },
    limit: 'login',
    body: MailTokenBodySchema,
    unknownFields: 'refuse',
    bodyExample: { token: 'ABCD-EFGH-JKMN-PQRS' },
    answers: { 200: { description: 'The address is proven.', schema: EmailProvenSchema } },
    errors: ['invalid_mail_token', 'email_taken'],
    async handle(request) {
      const outcome = await recovery.verifyEmail(request.body.token, originOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
