/** DELETE /api/auth/mfa/totp */
import { ReceiptWithSessionsSchema } from '@auth-service/protocol';
import { defineRoute, refusalOf } from '../sessions/index.ts';
import type { Enrolment } from './enrolment.ts';
import { freshAccess, ownerOf } from './owner.ts';

export const removeTotpRoute = (enrolment: Enrolment) =>
  defineRoute({
    method: 'DELETE',
    path: '/api/auth/mfa/totp',
    summary: 'Remove the authenticator app',
    description: 'Ends every other session and every device token. Recovery codes go with the last factor.',
    tags: ['mfa'],
    access: freshAccess,
    limit: 'mfa',
    unknownFields: 'refuse',
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['reauthentication_required', 'not_found'],
    async handle(request) {
      const outcome = await enrolment.removeTotp(ownerOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
