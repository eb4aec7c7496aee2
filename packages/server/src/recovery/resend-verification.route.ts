/** POST /api/auth/resend-verification */
import { EmailBodySchema, VerificationSentSchema } from '@auth-service/protocol';
import { defineRoute, originOf, refusalOf } from '../sessions/index.ts';
import type { Recovery } from './recovery.ts';

export const resendVerificationRoute = (recovery: Recovery) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/resend-verification',
    summary: 'Ask for the mail that confirms an address again',
    description:
      'Answered alike, in the same time, for every address. A newer mail ends the older; an address gets five an hour.',
    tags: ['recovery'],
    access: { kind: 'public' },
    limit: 'recovery',
    body: EmailBodySchema,
    unknownFields: 'refuse',
    bodyExample: { email: 'ada@example.org' },
    answers: {
      202: {
        description: 'If the address waits to be confirmed, a mail is on its way.',
        schema: VerificationSentSchema,
      },
    },
    errors: ['validation_failed'],
    async handle(request) {
      const outcome = await recovery.resendVerification(request.body.email, originOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 202, body: { status: 'verification_sent' } };
    },
  });
