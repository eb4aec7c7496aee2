/** GET /api/auth/mfa */
import { MfaAnswerSchema } from '@auth-service/protocol';
import { defineRoute, refusalOf } from '../sessions/index.ts';
import type { Enrolment } from './enrolment.ts';

export const getMfaRoute = (enrolment: Enrolment) =>
  defineRoute({
    method: 'GET',
    path: '/api/auth/mfa',
    summary: 'Which second factors the account has',
    tags: ['mfa'],
    access: { kind: 'bearer' },
    limit: 'api',
    unknownFields: 'refuse',
    answers: { 200: { description: 'The factors.', schema: MfaAnswerSchema } },
    errors: [],
    async handle(request) {
      const outcome = await enrolment.describe(request.auth.userId);
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
