/** GET /api/auth/webauthn/credentials, PATCH and DELETE /api/auth/webauthn/credentials/:id */
import {
  PasskeyAnswerSchema,
  PasskeysAnswerSchema,
  ReceiptWithSessionsSchema,
  RenamePasskeyBodySchema,
  Type,
} from '@auth-service/protocol';
import { ownerOf } from '../mfa/index.ts';
import { type RouteDefinition, uuidPattern } from '../platform/http/index.ts';
import { defineRoute, freshAuthenticationSeconds, refusalOf } from '../sessions/index.ts';
import type { Passkeys } from './passkeys.ts';

const params = Type.Object({ id: Type.String({ pattern: uuidPattern }) });

export const credentialRoutes = (passkeys: Passkeys): readonly RouteDefinition[] => [
  defineRoute({
    method: 'GET',
    path: '/api/auth/webauthn/credentials',
    summary: 'The passkeys of the caller',
    tags: ['passkeys'],
    access: { kind: 'bearer' },
    limit: 'api',
    unknownFields: 'ignore',
    answers: { 200: { description: 'The oldest first.', schema: PasskeysAnswerSchema } },
    errors: [],
    async handle(request) {
      return { status: 200, body: { credentials: await passkeys.list(request.auth.userId) } };
    },
  }),
  defineRoute({
    method: 'PATCH',
    path: '/api/auth/webauthn/credentials/:id',
    summary: 'Rename a passkey',
    description: "An unknown id and somebody else's are answered alike: 404.",
    tags: ['passkeys'],
    access: { kind: 'bearer' },
    limit: 'api',
    params,
    body: RenamePasskeyBodySchema,
    unknownFields: 'refuse',
    bodyExample: { name: 'My telephone' },
    answers: { 200: { description: 'The passkey.', schema: PasskeyAnswerSchema } },
    errors: ['not_found'],
    async handle(request) {
      const outcome = await passkeys.rename(ownerOf(request), request.params.id.toLowerCase(), request.body.name);
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: { credential: outcome.value } };
    },
  }),
  defineRoute({
    method: 'DELETE',
    path: '/api/auth/webauthn/credentials/:id',
    summary: 'Remove a passkey',
    description:
      'Ends every other session and every device token. Wants a fresh authentication of `aal2`. The last way into an account stays: 409.',
    tags: ['passkeys'],
    access: { kind: 'bearer', maxAgeSeconds: freshAuthenticationSeconds },
    limit: 'api',
    params,
    unknownFields: 'ignore',
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['not_found', 'conflict', 'token_revoked'],
    async handle(request) {
      const outcome = await passkeys.remove(ownerOf(request), request.params.id.toLowerCase());
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  }),
];
