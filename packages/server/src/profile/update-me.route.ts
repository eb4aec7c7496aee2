/** PATCH /api/auth/me */
import { ProfileBodySchema, UserAnswerSchema } from '@auth-service/protocol';
import { toUser } from '../accounts/index.ts';
import { refusal } from '../platform/http/index.ts';
import { defineRoute, originOf } from '../sessions/index.ts';
import type { Profile } from './profile.ts';

export const updateMeRoute = (profile: Profile) =>
  defineRoute({
    method: 'PATCH',
    path: '/api/auth/me',
    summary: 'Change the names of the account',
    description: 'What is not sent stays as it is; `null` takes a name away.',
    tags: ['accounts'],
    access: { kind: 'bearer' },
    limit: 'api',
    body: ProfileBodySchema,
    unknownFields: 'refuse',
    bodyExample: { first_name: 'Ada' },
    answers: { 200: { description: 'The account as it is now.', schema: UserAnswerSchema } },
    errors: [],
    async handle(request) {
      const { first_name: firstName, last_name: lastName } = request.body;
      const { userId, sessionId } = request.auth;
      const outcome = await profile.rename({ userId, sessionId, origin: originOf(request) }, { firstName, lastName });
      if (outcome.kind === 'refused') return refusal(outcome.code);
      return { status: 200, body: { user: toUser(outcome.value) } };
    },
  });
