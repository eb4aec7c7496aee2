/** GET and POST /api/admin/api-keys, DELETE /api/admin/api-keys/:id */
import {
  ApiKeysQuerySchema,
  ApiKeysSchema,
  CreateApiKeyBodySchema,
  NewApiKeyAnswerSchema,
  ReceiptSchema,
  Type,
} from '@auth-service/protocol';
import type { Cursors } from '../keys/index.ts';
import { type RouteDefinition, uuidPattern } from '../platform/http/index.ts';
import { defineRoute, freshAuthenticationSeconds, originOf } from '../sessions/index.ts';
import type { ApiKeys } from './api-keys.ts';
import { pageById, toApiKey } from './shown.ts';

const common = { tags: ['api keys'], limit: 'api' } as const;

export const apiKeyRoutes = (deps: {
  readonly apiKeys: ApiKeys;
  readonly cursors: Cursors;
  readonly nowMs: () => number;
}): readonly RouteDefinition[] => [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/api-keys',
    summary: 'List API keys',
    description: 'Newest first; those that were revoked or have expired are told for 90 days. Never the secret.',
    access: { kind: 'bearer', permission: 'api-keys:read' },
    query: ApiKeysQuerySchema,
    unknownFields: 'ignore',
    answers: { 200: { description: 'A page of keys.', schema: ApiKeysSchema } },
    errors: ['validation_failed'],
    async handle({ query }) {
      const ownerId = query.owner ?? null;
      const page = await pageById({
        ...{ cursors: deps.cursors, list: 'api-keys', filters: { ownerId }, query },
        read: (where) => deps.apiKeys.list({ ...where, ownerId }),
        show: (row) => toApiKey(row, deps.nowMs()),
      });
      return 'kind' in page ? page : { status: 200, body: page };
    },
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/api-keys',
    summary: 'Make an API key',
    description:
      'For the caller, or for a service account. It may do nothing that its maker, or who owns it, may not do. The secret is told this once. Wants a fresh authentication, of `aal2` where the account has a second factor; every node knows the key when the answer arrives.',
    access: { kind: 'bearer', permission: 'api-keys:write', maxAgeSeconds: freshAuthenticationSeconds },
    body: CreateApiKeyBodySchema,
    unknownFields: 'refuse',
    bodyExample: { name: 'deploy', permissions: ['users:read'], expires_at: '2027-06-30T00:00:00.000Z' },
    answers: { 201: { description: 'The key and its secret.', schema: NewApiKeyAnswerSchema } },
    errors: ['conflict', 'token_revoked'],
    async handle(request) {
      const { name, permissions, expires_at: expiry, service_account_id: account } = request.body;
      const expiresAt = typeof expiry === 'string' ? new Date(expiry) : expiry;
      const key = { name, permissions, expiresAt, serviceAccountId: account };
      const made = await deps.apiKeys.create(key, { principal: request.auth, origin: originOf(request) });
      if (made.kind === 'refused') return made;
      const { row, secret } = made.value;
      return { status: 201, body: { api_key: toApiKey(row, deps.nowMs()), secret } };
    },
  }),
  defineRoute({
    ...common,
    method: 'DELETE',
    path: '/api/admin/api-keys/:id',
    summary: 'Revoke an API key',
    description:
      'It is dead on every node when the answer says so. One that was revoked before is answered as an unknown one. Whoever does not own it must hold its whole scope.',
    access: { kind: 'bearer', permission: 'api-keys:write' },
    params: Type.Object({ id: Type.String({ pattern: uuidPattern }) }),
    unknownFields: 'ignore',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['not_found', 'insufficient_permissions'],
    async handle(request) {
      const caller = { principal: request.auth, origin: originOf(request) };
      const revoked = await deps.apiKeys.revoke(request.params.id.toLowerCase(), caller);
      return revoked.kind === 'refused' ? revoked : { status: 200, body: revoked.value };
    },
  }),
];
