/** POST /api/auth/forgot-password */
import { EmailBodySchema, ResetSentSchema } from '@auth-service/protocol';
import { defineRoute, originOf, refusalOf } from '../sessions/index.ts';
import type { Recovery } from './recovery.ts';

export const forgotPasswordRoute = (recovery: Recovery) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/forgot-password',
    summary: 'Ask for a mail to choose a new password',
    description:
      'Answered alike, in the same time, whether the address has an account or not. A newer mail ends the older; an address gets five an hour.',
    tags: ['recovery'],
    access: { kind: 'public' },
    limit: 'recovery',
    body: EmailBodySchema,
    unknownFields: 'refuse',
    bodyExample: { email: 'ada@example.org' },
    answers: { 202: { description: 'If the address has an account, a mail is on its way.', schema: ResetSentSchema } },
    errors: ['validation_failed'],
    async handle(request) {
      const outcome = await recovery.forgotPassword(request.body.email, originOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 202, body: { status: 'reset_sent' } };
    },
  });
