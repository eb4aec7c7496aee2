/** POST /api/auth/change-email */
import { ChangeEmailBodySchema, VerificationSentSchema } from '@auth-service/protocol';
import {
  defineRoute,
  freshAuthenticationSeconds,
  isFreshlyAuthenticated,
  originOf,
  reauthenticationRequired,
  refusalOf,
} from '../sessions/index.ts';
import type { Recovery } from './recovery.ts';

export const changeEmailRoute = (deps: { readonly recovery: Recovery; readonly now: () => number }) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/change-email',
    summary: 'Change the address of the account',
    description:
      'With the password, or without one within ten minutes of an authentication. Takes effect when the code that is mailed to the new address is proven, within an hour; the present address is told. Answered alike whether the new address has an account or not.',
    tags: ['recovery'],
    access: { kind: 'bearer' },
    limit: 'recovery',
    body: ChangeEmailBodySchema,
    unknownFields: 'refuse',
    bodyExample: { new_email: 'ada@example.net', password: 'correct horse battery' },
    answers: { 202: { description: 'A mail is on its way.', schema: VerificationSentSchema } },
    errors: ['invalid_credentials', 'account_locked', 'reauthentication_required', 'conflict', 'overloaded'],
    async handle(request) {
      const { userId, sessionId, claims } = request.auth;
      const { new_email: email, password } = request.body;
      if (password === undefined && !isFreshlyAuthenticated(claims, freshAuthenticationSeconds, deps.now())) {
        return reauthenticationRequired(freshAuthenticationSeconds);
      }
      const by = { userId, sessionId, acr: claims.acr, origin: originOf(request) };
      const outcome = await deps.recovery.changeEmail(by, email, password);
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 202, body: { status: 'verification_sent' } };
    },
  });
