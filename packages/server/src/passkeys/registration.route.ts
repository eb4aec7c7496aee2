/** POST /api/auth/webauthn/registration/options and /verify */
import { CreationOptionsAnswerSchema, PasskeyAnswerSchema, RegisterPasskeyBodySchema } from '@auth-service/protocol';
import { ownerOf } from '../mfa/index.ts';
import type { RouteDefinition } from '../platform/http/index.ts';
import { defineRoute, freshAuthenticationSeconds, refusalOf } from '../sessions/index.ts';
import type { Passkeys } from './passkeys.ts';

const fresh = { kind: 'bearer', maxAgeSeconds: freshAuthenticationSeconds } as const;

export const registrationRoutes = (passkeys: Passkeys): readonly RouteDefinition[] => [
  defineRoute({
    method: 'POST',
    path: '/api/auth/webauthn/registration/options',
    summary: 'Begin to add a passkey',
    description:
      'For `navigator.credentials.create()`. Wants a fresh authentication, of `aal2` where the account has a second factor.',
    tags: ['passkeys'],
    access: fresh,
    limit: 'api',
    unknownFields: 'refuse',
    answers: {
      200: { description: 'Options, good for five minutes and one try.', schema: CreationOptionsAnswerSchema },
    },
    errors: ['conflict', 'token_revoked'],
    async handle(request) {
      const outcome = await passkeys.creationOptions(ownerOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: { options: outcome.value } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/api/auth/webauthn/registration/verify',
    summary: 'Add a passkey',
    description: 'From now on a password alone does not log in. No session ends.',
    tags: ['passkeys'],
    access: fresh,
    limit: 'mfa',
    body: RegisterPasskeyBodySchema,
    unknownFields: 'refuse',
    answers: { 201: { description: 'The passkey.', schema: PasskeyAnswerSchema } },
    errors: ['webauthn_failed', 'conflict', 'token_revoked'],
    async handle(request) {
      const { response, name } = request.body;
      const outcome = await passkeys.add(ownerOf(request), response, name);
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 201, body: { credential: outcome.value } };
    },
  }),
];
