/** /api/admin/roles, /api/admin/permissions and PUT /api/admin/users/:id/roles */
import {
  AdminUserAnswerSchema,
  ChangeRoleBodySchema,
  CreateRoleBodySchema,
  ownPermissions,
  PageQuerySchema,
  PermissionsSchema,
  ReceiptSchema,
  RoleAnswerSchema,
  RolesSchema,
  Type,
  UserRolesBodySchema,
} from '@auth-service/protocol';
import type { Access, RoleRow } from '../access/index.ts';
import type { UserRow } from '../accounts/index.ts';
import type { Once } from '../idempotency/index.ts';
import type { Cursors } from '../keys/index.ts';
import { refusal, uuidPattern } from '../platform/http/index.ts';
import type { Revocation } from '../revocation/index.ts';
import { defineRoute } from '../sessions/index.ts';
import {
  actorOf,
  answerPage,
  preconditionOf,
  refusalOf,
  roleAnswer,
  roleTag,
  toRole,
  userAnswer,
  userTag,
  wholePage,
} from './answers.ts';
import type { Users } from './users.ts';

export interface RolesDeps {
  readonly access: Access;
  readonly users: Pick<Users, 'find'>;
  readonly revocation: Pick<Revocation, 'settle'>;
  readonly cursors: Cursors;
  readonly once: Once;
}

const params = Type.Object({ name: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$' }) });
const role = { description: 'The role.', schema: RoleAnswerSchema, headers: { ETag: 'Its version.' } };
const common = { tags: ['administration'], limit: 'api' } as const;

export const rolesRoutes = ({ access, users, revocation, cursors, once }: RolesDeps) => [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/roles',
    summary: 'Roles, by name',
    access: { kind: 'bearer', permission: 'roles:read' },
    query: PageQuerySchema,
    unknownFields: 'ignore',
    answers: { 200: { description: 'A page of roles.', schema: RolesSchema } },
    errors: [],
    handle: ({ query }) =>
      answerPage({
        ...{ cursors, list: 'roles', query },
        fetch: (place, limit) => access.page({ after: String(place?.[0] ?? ''), limit }),
        placeOf: (row) => [row.name],
        show: toRole,
      }),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/roles',
    summary: 'Create a role',
    description:
      'Of permissions that the caller holds. With an `Idempotency-Key` a request that is sent again answers the same.',
    access: { kind: 'bearer', permission: 'roles:write' },
    body: CreateRoleBodySchema,
    unknownFields: 'refuse',
    bodyExample: { name: 'editor', permissions: ['articles:write'] },
    answers: { 201: role },
    errors: ['conflict', 'insufficient_permissions'],
    handle(request) {
      const { name, description = null, permissions } = request.body;
      return once(request, request.auth.userId, async (tx) => {
        const made = await access.createIn(tx, { name, description, permissions }, actorOf(request));
        return made.kind === 'refused' ? refusalOf(made) : roleAnswer(made.value, 201);
      });
    },
  }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/roles/:name',
    summary: 'One role',
    access: { kind: 'bearer', permission: 'roles:read' },
    params,
    unknownFields: 'ignore',
    answers: { 200: role },
    errors: [],
    async handle(request) {
      const found = await access.find(request.params.name);
      return found === undefined ? refusal('not_found') : roleAnswer(found);
    },
  }),
  defineRoute({
    ...common,
    method: 'PATCH',
    path: '/api/admin/roles/:name',
    summary: 'Change a role',
    description:
      'With other permissions the access tokens of all who have it end at once; their refresh tokens bring the new set. The caller must hold what the role carries, before and after.',
    access: { kind: 'bearer', permission: 'roles:write' },
    params,
    body: ChangeRoleBodySchema,
    unknownFields: 'refuse',
    bodyExample: { permissions: ['articles:read', 'articles:write'] },
    answers: { 200: role },
    errors: ['conflict', 'insufficient_permissions', 'precondition_failed'],
    async handle(request) {
      const as = preconditionOf<RoleRow>(request, roleTag);
      const changed = await access.change(request.params.name, request.body, actorOf(request), as);
      if (changed.kind === 'refused') return refusalOf(changed);
      if (changed.pending !== null) await revocation.settle(changed.pending, request.auth.userId);
      return roleAnswer(changed.value);
    },
  }),
  defineRoute({
    ...common,
    method: 'DELETE',
    path: '/api/admin/roles/:name',
    summary: 'Delete a role: all who have it lose it at once',
    access: { kind: 'bearer', permission: 'roles:write' },
    params,
    unknownFields: 'refuse',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['conflict', 'insufficient_permissions', 'precondition_failed'],
    async handle(request) {
      const as = preconditionOf<RoleRow>(request, roleTag);
      const removed = await access.remove(request.params.name, actorOf(request), as);
      if (removed.kind === 'refused') return refusalOf(removed);
      return { status: 200, body: await revocation.settle(removed.pending, request.auth.userId) };
    },
  }),
  defineRoute({
    ...common,
    method: 'PUT',
    path: '/api/admin/users/:id/roles',
    summary: 'Replace the roles of an account',
    description:
      'Its access tokens end at once, its refresh tokens bring the new set. The caller must hold what the account carries, before and after.',
    access: { kind: 'bearer', permission: 'roles:grant' },
    params: Type.Object({ id: Type.String({ pattern: uuidPattern }) }),
    body: UserRolesBodySchema,
    unknownFields: 'refuse',
    bodyExample: { roles: ['user', 'editor'] },
    answers: {
      200: { description: 'The account.', schema: AdminUserAnswerSchema, headers: { ETag: 'Its version.' } },
    },
    errors: ['conflict', 'insufficient_permissions', 'precondition_failed'],
    async handle(request) {
      const id = request.params.id.toLowerCase();
      const as = preconditionOf<UserRow>(request, userTag);
      const changed = await access.setUserRoles(id, () => request.body.roles, actorOf(request), as);
      if (changed.kind === 'refused') {
        const isUser = changed.code !== 'not_found' || (await users.find(id)) === undefined;
        return refusalOf(isUser ? changed : { ...changed, code: 'validation_failed', pointer: '/roles' });
      }
      if (changed.pending !== null) await revocation.settle(changed.pending, id);
      const user = await users.find(id);
      return user === undefined ? refusal('not_found') : userAnswer(user);
    },
  }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/permissions',
    summary: 'The permissions that this service asks for, and those that roles name',
    access: { kind: 'bearer', permission: 'roles:read' },
    unknownFields: 'ignore',
    answers: { 200: { description: 'All of them.', schema: PermissionsSchema } },
    errors: [],
    async handle() {
      const roles = await access.list();
      const own: Readonly<Record<string, string>> = ownPermissions;
      const names = new Set([...Object.keys(own), ...roles.flatMap((one) => one.permissions)]);
      const items = [...names].toSorted().map((name) => ({
        name,
        description: Object.hasOwn(own, name) ? own[name] : null,
        roles: roles.filter((one) => one.permissions.includes(name)).map((one) => one.name),
      }));
      return wholePage(items);
    },
  }),
];
