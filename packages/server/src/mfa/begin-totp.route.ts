/** POST /api/auth/mfa/totp */
import { TotpAnswerSchema } from '@auth-service/protocol';
import { defineRoute, refusalOf } from '../sessions/index.ts';
import type { Enrolment } from './enrolment.ts';
import { freshAccess, ownerOf } from './owner.ts';

export const beginTotpRoute = (enrolment: Enrolment) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/mfa/totp',
    summary: 'Set up an authenticator app',
    description:
      'The secret is shown once, and counts for nothing before a code of it is confirmed, within ten minutes.',
    tags: ['mfa'],
    access: freshAccess,
    limit: 'mfa',
    unknownFields: 'refuse',
    answers: { 200: { description: 'The secret, for an app.', schema: TotpAnswerSchema } },
    errors: ['reauthentication_required'],
    async handle(request) {
      const outcome = await enrolment.beginTotp(ownerOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
