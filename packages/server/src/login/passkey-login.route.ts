/** POST /api/auth/webauthn/login/options and /verify */
import { PasskeyLoginBodySchema, RequestOptionsAnswerSchema, TokenAnswerSchema } from '@auth-service/protocol';
import { type RouteDefinition, refusal } from '../platform/http/index.ts';
import { defineRoute, originOf } from '../sessions/index.ts';
import type { PasskeyLogin, PasskeyLoginOutcome } from './passkey-login.ts';

export const passkeyLoginRoutes = (deps: {
  readonly passkeyLogin: PasskeyLogin;
  readonly onOutcome: (outcome: PasskeyLoginOutcome) => void;
}): readonly RouteDefinition[] => [
  defineRoute({
    method: 'POST',
    path: '/api/auth/webauthn/login/options',
    summary: 'Begin a login with a passkey',
    description:
      'For `navigator.credentials.get()`. Nobody is named: the authenticator offers the passkeys that it has for this service.',
    tags: ['passkeys'],
    access: { kind: 'public' },
    limit: 'api',
    unknownFields: 'refuse',
    answers: {
      200: { description: 'Options, good for five minutes and one try.', schema: RequestOptionsAnswerSchema },
    },
    errors: [],
    async handle() {
      return { status: 200, body: { options: await deps.passkeyLogin.options() } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/api/auth/webauthn/login/verify',
    summary: 'Log in with a passkey',
    description:
      'The authenticator has verified its user, so the session is `aal2`. Whatever is wrong is answered alike.',
    tags: ['passkeys'],
    access: { kind: 'public' },
    limit: 'login',
    body: PasskeyLoginBodySchema,
    unknownFields: 'refuse',
    answers: { 200: { description: 'Tokens.', schema: TokenAnswerSchema } },
    errors: ['webauthn_failed', 'account_disabled', 'email_not_verified'],
    async handle(request) {
      const outcome = await deps.passkeyLogin.verify(request.body.response, originOf(request));
      deps.onOutcome(outcome);
      if (outcome.kind === 'logged_in') return { status: 200, body: outcome.answer };
      return refusal(outcome.code, outcome.detail === undefined ? {} : { detail: outcome.detail });
    },
  }),
];
