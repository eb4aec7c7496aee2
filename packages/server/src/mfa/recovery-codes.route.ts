/** POST /api/auth/mfa/recovery-codes */
import { RecoveryCodesAnswerSchema } from '@auth-service/protocol';
import { defineRoute, refusalOf } from '../sessions/index.ts';
import type { Enrolment } from './enrolment.ts';
import { freshAccess, ownerOf } from './owner.ts';

export const recoveryCodesRoute = (enrolment: Enrolment) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/mfa/recovery-codes',
    summary: 'Make new recovery codes',
    description: 'Shown once; the codes from before are worth nothing any more.',
    tags: ['mfa'],
    access: freshAccess,
    limit: 'mfa',
    unknownFields: 'refuse',
    answers: { 200: { description: 'The recovery codes.', schema: RecoveryCodesAnswerSchema } },
    errors: ['reauthentication_required', 'conflict'],
    async handle(request) {
      const outcome = await enrolment.renewRecoveryCodes(ownerOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: { recovery_codes: outcome.value } };
    },
  });
