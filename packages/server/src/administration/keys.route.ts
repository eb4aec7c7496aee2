/** GET /api/admin/keys, POST /api/admin/keys/rotate and POST /api/admin/keys/:kid/revoke */
import {
  ReceiptSchema,
  RotateKeysBodySchema,
  SigningKeyAnswerSchema,
  SigningKeysSchema,
  Type,
} from '@auth-service/protocol';
import { defineRoute } from '../sessions/index.ts';
import { actorOf, refusalOf, wholePage } from './answers.ts';
import type { KeyAdministration } from './keys.ts';

const common = { tags: ['administration'], limit: 'api' } as const;

export const keysRoutes = (keys: KeyAdministration) => [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/keys',
    summary: 'The signing keys and their states, newest first',
    access: { kind: 'bearer', permission: 'keys:read' },
    unknownFields: 'ignore',
    answers: { 200: { description: 'All of them; never a private part.', schema: SigningKeysSchema } },
    errors: [],
    handle: async () => wholePage(await keys.list()),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/keys/rotate',
    summary: 'Publish a new signing key; it signs once verifiers have had time to fetch it',
    description: 'At most 16 are published at a time: 409 says when the first of them retires.',
    access: { kind: 'bearer', permission: 'keys:rotate' },
    body: RotateKeysBodySchema,
    unknownFields: 'refuse',
    bodyExample: { immediately: false },
    answers: { 201: { description: 'The new key.', schema: SigningKeyAnswerSchema } },
    errors: ['conflict'],
    async handle(request) {
      const outcome = await keys.rotate({ immediately: request.body?.immediately === true }, actorOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 201, body: { key: outcome.value } };
    },
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/keys/:kid/revoke',
    summary: 'End a compromised key: every token that it signed is refused at once',
    description: 'Sessions and refresh tokens go on. The token of this request may be among those that end.',
    access: { kind: 'bearer', permission: 'keys:revoke' },
    params: Type.Object({ kid: Type.String({ pattern: '^[A-Za-z0-9_-]{1,128}$' }) }),
    unknownFields: 'refuse',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: [],
    async handle(request) {
      const outcome = await keys.revoke(request.params.kid, actorOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  }),
];
