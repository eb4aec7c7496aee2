/** GET and POST /api/admin/service-accounts, PATCH and DELETE /api/admin/service-accounts/:id */
import {
  ChangeServiceAccountBodySchema,
  CreateServiceAccountBodySchema,
  ReceiptSchema,
  ServiceAccountAnswerSchema,
  ServiceAccountsQuerySchema,
  ServiceAccountsSchema,
  Type,
} from '@auth-service/protocol';
import type { Cursors } from '../keys/index.ts';
import { type RouteDefinition, uuidPattern } from '../platform/http/index.ts';
import { defineRoute, freshAuthenticationSeconds, originOf } from '../sessions/index.ts';
import type { ServiceAccounts } from './service-accounts.ts';
import { pageById, toServiceAccount } from './shown.ts';

const params = Type.Object({ id: Type.String({ pattern: uuidPattern }) });
const common = { tags: ['api keys'], limit: 'api' } as const;
const write = {
  kind: 'bearer',
  permission: 'service-accounts:write',
  maxAgeSeconds: freshAuthenticationSeconds,
} as const;

export const serviceAccountRoutes = (deps: {
  readonly serviceAccounts: ServiceAccounts;
  readonly cursors: Cursors;
}): readonly RouteDefinition[] => [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/service-accounts',
    summary: 'List service accounts',
    description: 'Newest first.',
    access: { kind: 'bearer', permission: 'service-accounts:read' },
    query: ServiceAccountsQuerySchema,
    unknownFields: 'ignore',
    answers: { 200: { description: 'A page of service accounts.', schema: ServiceAccountsSchema } },
    errors: ['validation_failed'],
    async handle({ query }) {
      const page = await pageById({
        ...{ cursors: deps.cursors, list: 'service-accounts', filters: {}, query },
        read: deps.serviceAccounts.list,
        show: toServiceAccount,
      });
      return 'kind' in page ? page : { status: 200, body: page };
    },
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/service-accounts',
    summary: 'Make a service account',
    description:
      'A principal that owns API keys and cannot log in. Its permissions are the most that its keys may do, and nobody gives it what they do not hold; it keeps them when its maker is gone.',
    access: write,
    body: CreateServiceAccountBodySchema,
    unknownFields: 'refuse',
    bodyExample: { name: 'billing', permissions: ['users:read'] },
    answers: { 201: { description: 'The service account.', schema: ServiceAccountAnswerSchema } },
    errors: ['conflict'],
    async handle(request) {
      const { name, description, permissions } = request.body;
      const account = { name, description: description ?? null, permissions };
      const made = await deps.serviceAccounts.create(account, { principal: request.auth, origin: originOf(request) });
      if (made.kind === 'refused') return made;
      return { status: 201, body: { service_account: toServiceAccount(made.value) } };
    },
  }),
  defineRoute({
    ...common,
    method: 'PATCH',
    path: '/api/admin/service-accounts/:id',
    summary: 'Change a service account',
    description:
      'The caller must hold what it carries, before and after. Other permissions hold for its keys at once. To disable it ends its keys for good; once it is active again it gets new ones.',
    access: write,
    params,
    body: ChangeServiceAccountBodySchema,
    unknownFields: 'refuse',
    bodyExample: { status: 'disabled' },
    answers: { 200: { description: 'The service account.', schema: ServiceAccountAnswerSchema } },
    errors: ['not_found', 'insufficient_permissions'],
    async handle(request) {
      const caller = { principal: request.auth, origin: originOf(request) };
      const changed = await deps.serviceAccounts.change(request.params.id.toLowerCase(), request.body, caller);
      if (changed.kind === 'refused') return changed;
      return { status: 200, body: { service_account: toServiceAccount(changed.value) } };
    },
  }),
  defineRoute({
    ...common,
    method: 'DELETE',
    path: '/api/admin/service-accounts/:id',
    summary: 'Delete a service account',
    description: 'By who holds what it carries. Its keys are dead on every node when the answer says so.',
    access: { kind: 'bearer', permission: 'service-accounts:write' },
    params,
    unknownFields: 'ignore',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['not_found', 'insufficient_permissions'],
    async handle(request) {
      const caller = { principal: request.auth, origin: originOf(request) };
      const removed = await deps.serviceAccounts.remove(request.params.id.toLowerCase(), caller);
      return removed.kind === 'refused' ? removed : { status: 200, body: removed.value };
    },
  }),
];
