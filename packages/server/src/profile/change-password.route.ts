/** POST /api/auth/change-password */
import { ChangePasswordBodySchema, ReceiptWithSessionsSchema } from '@auth-service/protocol';
import { defineRoute, originOf, refusalOf } from '../sessions/index.ts';
import type { Profile } from './profile.ts';

export const changePasswordRoute = (profile: Profile) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/change-password',
    summary: 'Change the password',
    description:
      'Ends every other session and every device token; the acting session goes on. Wrong passwords count as failed logins.',
    tags: ['accounts'],
    access: { kind: 'bearer' },
    limit: 'login',
    body: ChangePasswordBodySchema,
    unknownFields: 'refuse',
    bodyExample: { current_password: 'correct horse battery', new_password: 'a better staple altogether' },
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['invalid_credentials', 'account_locked'],
    async handle(request) {
      const { current_password: current, new_password: next } = request.body;
      const { userId, sessionId } = request.auth;
      const outcome = await profile.changePassword({ userId, sessionId, origin: originOf(request) }, { current, next });
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
