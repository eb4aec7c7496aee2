/** POST /api/auth/mfa/totp/confirm */
import { ConfirmTotpBodySchema, RecoveryCodesAnswerSchema } from '@auth-service/protocol';
import { defineRoute, refusalOf } from '../sessions/index.ts';
import type { Enrolment } from './enrolment.ts';
import { freshAccess, ownerOf } from './owner.ts';

export const confirmTotpRoute = (enrolment: Enrolment) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/mfa/totp/confirm',
    summary: 'Confirm the authenticator app with a code of it',
    description:
      'From now on a login asks for a second factor. Answers recovery codes, shown once. An app that was there before is replaced, and every other session ends with it.',
    tags: ['mfa'],
    access: freshAccess,
    limit: 'mfa',
    body: ConfirmTotpBodySchema,
    unknownFields: 'refuse',
    bodyExample: { code: '123456' },
    answers: { 200: { description: 'The recovery codes.', schema: RecoveryCodesAnswerSchema } },
    errors: ['mfa_invalid', 'reauthentication_required', 'conflict'],
    async handle(request) {
      const outcome = await enrolment.confirmTotp(ownerOf(request), request.body.code);
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: { recovery_codes: outcome.value } };
    },
  });
