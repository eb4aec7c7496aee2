/** GET, PATCH and DELETE /api/admin/users/:id, and what is done to an account: /disable, /enable, /unlock, /revoke-sessions, /reset-mfa */
import {
  AdminUserAnswerSchema,
  ChangeUserBodySchema,
  ReceiptSchema,
  ReceiptWithSessionsSchema,
  Type,
} from '@auth-service/protocol';
import type { UserRow } from '../accounts/index.ts';
import { type Refusal, type RequestContext, type RouteAnswer, refusal, uuidPattern } from '../platform/http/index.ts';
import { defineRoute, type Principal } from '../sessions/index.ts';
import { actorOf, preconditionOf, refusalOf, userAnswer, userTag } from './answers.ts';
import type { Outcome, Users } from './users.ts';

const params = Type.Object({ id: Type.String({ pattern: uuidPattern }) });
const account = {
  description: 'The account as it is now.',
  schema: AdminUserAnswerSchema,
  headers: { ETag: 'Its version.' },
};
const common = { tags: ['administration'], limit: 'api', params, unknownFields: 'refuse' } as const;
const asRead = (request: RequestContext) => preconditionOf<UserRow>(request, userTag);

const answerUser = (outcome: Outcome<UserRow>): RouteAnswer | Refusal =>
  outcome.kind === 'refused' ? refusalOf(outcome) : userAnswer(outcome.value);

const answerReceipt = (outcome: Outcome<object>): RouteAnswer | Refusal =>
  outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };

type Asked = RequestContext & { readonly auth: Principal; readonly params: { readonly id: string } };

export const userRoutes = (users: Users) => [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/users/:id',
    summary: 'One account',
    access: { kind: 'bearer', permission: 'users:read' },
    unknownFields: 'ignore',
    answers: { 200: account },
    errors: [],
    async handle(request) {
      const user = await users.find(request.params.id);
      return user === undefined ? refusal('not_found') : userAnswer(user);
    },
  }),
  defineRoute({
    ...common,
    method: 'PATCH',
    path: '/api/admin/users/:id',
    summary: 'Change names of an account, or declare its address proven',
    description:
      'What is not sent stays as it is; `null` takes a name away. With `If-Match` only the version that was read is changed.',
    access: { kind: 'bearer', permission: 'users:write' },
    body: ChangeUserBodySchema,
    bodyExample: { first_name: 'Ada' },
    answers: { 200: account },
    errors: ['insufficient_permissions', 'precondition_failed'],
    async handle(request) {
      const { first_name: firstName, last_name: lastName, email_verified: emailVerified } = request.body;
      const changes = { firstName, lastName, emailVerified };
      return answerUser(await users.update(request.params.id, changes, actorOf(request), asRead(request)));
    },
  }),
  defineRoute({
    ...common,
    method: 'DELETE',
    path: '/api/admin/users/:id',
    summary: 'Delete an account: its sessions and tokens end with it',
    access: { kind: 'bearer', permission: 'users:delete' },
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['insufficient_permissions', 'reauthentication_required', 'precondition_failed', 'conflict'],
    handle: async (request: Asked) =>
      answerReceipt(await users.remove(request.params.id, actorOf(request), asRead(request))),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/users/:id/disable',
    summary: 'Disable an account: its sessions and tokens end at once',
    access: { kind: 'bearer', permission: 'users:write' },
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['insufficient_permissions', 'precondition_failed', 'conflict'],
    handle: async (request: Asked) =>
      answerReceipt(await users.disable(request.params.id, actorOf(request), asRead(request))),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/users/:id/enable',
    summary: 'Enable a disabled account; what ended stays ended',
    access: { kind: 'bearer', permission: 'users:write' },
    answers: { 200: account },
    errors: ['insufficient_permissions', 'precondition_failed'],
    handle: async (request: Asked) =>
      answerUser(await users.enable(request.params.id, actorOf(request), asRead(request))),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/users/:id/unlock',
    summary: 'Forget the failed attempts of an account, and with them its lock',
    access: { kind: 'bearer', permission: 'users:write' },
    answers: { 200: account },
    errors: ['insufficient_permissions'],
    handle: async (request: Asked) => answerUser(await users.unlock(request.params.id, actorOf(request))),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/users/:id/revoke-sessions',
    summary: 'End all sessions and tokens of an account',
    access: { kind: 'bearer', permission: 'sessions:revoke' },
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['insufficient_permissions'],
    handle: async (request: Asked) => answerReceipt(await users.revokeSessions(request.params.id, actorOf(request))),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/users/:id/reset-mfa',
    summary: 'Take every second factor of an account away',
    description:
      'For who has lost them all. Its sessions and tokens end, and its owner is told by mail. For the own account, as `DELETE`, it wants a fresh authentication, of `aal2` where there is a second factor.',
    access: { kind: 'bearer', permission: 'mfa:reset' },
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['insufficient_permissions', 'reauthentication_required', 'precondition_failed'],
    handle: async (request: Asked) =>
      answerReceipt(await users.resetMfa(request.params.id, actorOf(request), asRead(request))),
  }),
];
