/** GET and POST /api/admin/users */
import {
  AdminUserAnswerSchema,
  AdminUsersQuerySchema,
  AdminUsersSchema,
  CreateUserBodySchema,
} from '@auth-service/protocol';
import type { Once } from '../idempotency/index.ts';
import type { Cursors } from '../keys/index.ts';
import { defineRoute } from '../sessions/index.ts';
import { actorOf, answerPage, refusalOf, toAdminUser, userAnswer } from './answers.ts';
import type { Users } from './users.ts';
import { type PlacedUser, placeOf, type UsersPlace } from './users-list.ts';

export const usersRoutes = (deps: { readonly users: Users; readonly cursors: Cursors; readonly once: Once }) => [
  defineRoute({
    method: 'GET',
    path: '/api/admin/users',
    summary: 'Accounts, newest first, or those that a search finds',
    description:
      'A search finds addresses, last names and first names that begin with it, in this order; one that begins with `@` finds domains.',
    tags: ['administration'],
    access: { kind: 'bearer', permission: 'users:read' },
    limit: 'api',
    query: AdminUsersQuerySchema,
    unknownFields: 'ignore',
    answers: { 200: { description: 'A page of accounts.', schema: AdminUsersSchema } },
    errors: [],
    handle({ query }) {
      const filters = { search: query.search, status: query.status, role: query.role };
      return answerPage({
        ...{ cursors: deps.cursors, list: 'users', query, filters },
        fetch: (place, limit) => deps.users.page(filters, place === undefined ? undefined : toPlace(place), limit),
        placeOf(row: PlacedUser) {
          const { rank, place, id } = placeOf(row);
          return [rank, place, id];
        },
        show: toAdminUser,
      });
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/api/admin/users',
    summary: 'Create an account without a password',
    description:
      'Nobody but its owner sets the password: by the invitation that is mailed to the address, good for three days, or later by `POST /api/auth/forgot-password`. Roles besides `user` want `roles:grant`, and everything that they carry. With an `Idempotency-Key` a request that is sent again answers the same for 24 hours.',
    tags: ['administration'],
    access: { kind: 'bearer', permission: 'users:write' },
    limit: 'api',
    body: CreateUserBodySchema,
    unknownFields: 'refuse',
    bodyExample: { email: 'ada@example.org', first_name: 'Ada', roles: ['editor'] },
    answers: { 201: { description: 'The account.', schema: AdminUserAnswerSchema, headers: { ETag: 'Its version.' } } },
    errors: ['email_taken', 'conflict', 'insufficient_permissions'],
    handle(request) {
      const { body } = request;
      const account = {
        email: body.email,
        firstName: body.first_name ?? null,
        lastName: body.last_name ?? null,
        roles: body.roles ?? [],
        emailVerified: body.email_verified ?? false,
        invite: body.invite ?? true,
      };
      return deps.once(request, request.auth.userId, async (tx) => {
        const made = await deps.users.createIn(tx, account, actorOf(request));
        return made.kind === 'refused' ? refusalOf(made) : userAnswer(made.value, 201);
      });
    },
  }),
];

/** What a cursor of this list carries; nobody but this service writes one. */
const toPlace = ([rank, place, id]: readonly (string | number)[]): UsersPlace => ({
  rank: Number(rank),
  place: String(place),
  id: String(id),
});
