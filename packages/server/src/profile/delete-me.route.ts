/** DELETE /api/auth/me */
import { DeleteMeBodySchema, ReceiptWithSessionsSchema } from '@auth-service/protocol';
import {
  defineRoute,
  freshAuthenticationSeconds,
  isFreshlyAuthenticated,
  originOf,
  reauthenticationRequired,
  refusalOf,
} from '../sessions/index.ts';
import type { Profile } from './profile.ts';

export const deleteMeRoute = (deps: { readonly profile: Profile; readonly now: () => number }) =>
  defineRoute({
    method: 'DELETE',
    path: '/api/auth/me',
    summary: 'Delete the account',
    description:
      'With the password, or without one within ten minutes of an authentication (with the second factor, where the account has one). Sessions and tokens end with the account.',
    tags: ['accounts'],
    access: { kind: 'bearer' },
    limit: 'login',
    body: DeleteMeBodySchema,
    unknownFields: 'refuse',
    bodyExample: { password: 'correct horse battery' },
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['invalid_credentials', 'account_locked', 'reauthentication_required', 'conflict'],
    async handle(request) {
      const { userId, sessionId, claims } = request.auth;
      const password = request.body?.password;
      if (password === undefined && !isFreshlyAuthenticated(claims, freshAuthenticationSeconds, deps.now())) {
        return reauthenticationRequired(freshAuthenticationSeconds);
      }
      const outcome = await deps.profile.remove(
        { userId, sessionId, acr: claims.acr, origin: originOf(request) },
        password,
      );
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  });
