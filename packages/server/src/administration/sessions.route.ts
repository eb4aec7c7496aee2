/** GET /api/admin/sessions, DELETE /api/admin/sessions/:id and GET /api/admin/users/:id/sessions */
import { AdminSessionsSchema, PageQuerySchema, ReceiptSchema, Type } from '@auth-service/protocol';
import type { Cursors } from '../keys/index.ts';
import { refusal, uuidPattern } from '../platform/http/index.ts';
import { defineRoute, type OwnedSession, toSession } from '../sessions/index.ts';
import { actorOf, answerPage, notACursor, refusalOf } from './answers.ts';
import type { SessionAdministration } from './sessions.ts';

const params = Type.Object({ id: Type.String({ pattern: uuidPattern }) });
const page = { 200: { description: 'A page of sessions, newest first.', schema: AdminSessionsSchema } };
const common = { tags: ['administration'], limit: 'api' } as const;
const limitDefault = 50;

export const adminSessionsRoutes = (deps: { readonly sessions: SessionAdministration; readonly cursors: Cursors }) => [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/sessions',
    summary: 'Live sessions of everybody, newest first',
    description: 'A page may hold fewer than asked for, and is the last only when `next_cursor` is `null`.',
    access: { kind: 'bearer', permission: 'sessions:read' },
    query: PageQuerySchema,
    unknownFields: 'ignore',
    answers: page,
    errors: [],
    async handle({ query, auth }) {
      const { cursor, limit = limitDefault } = query;
      const place = cursor === undefined ? undefined : deps.cursors.read('sessions', {}, cursor);
      if (cursor !== undefined && place === undefined) return notACursor;
      const found = await deps.sessions.page(place === undefined ? undefined : String(place[0]), limit);
      const next = found.last === null ? null : deps.cursors.write('sessions', {}, [found.last]);
      const items = found.sessions.map((row) => show(row, auth.sessionId));
      return { status: 200, body: { items, next_cursor: next } };
    },
  }),
  defineRoute({
    ...common,
    method: 'DELETE',
    path: '/api/admin/sessions/:id',
    summary: 'End one session of anybody',
    access: { kind: 'bearer', permission: 'sessions:revoke' },
    params,
    unknownFields: 'refuse',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['insufficient_permissions'],
    async handle(request) {
      const outcome = await deps.sessions.end(request.params.id.toLowerCase(), actorOf(request));
      return outcome.kind === 'refused' ? refusalOf(outcome) : { status: 200, body: outcome.value };
    },
  }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/users/:id/sessions',
    summary: 'Live sessions of one account, newest first',
    access: { kind: 'bearer', permission: 'sessions:read' },
    params,
    query: PageQuerySchema,
    unknownFields: 'ignore',
    answers: page,
    errors: [],
    async handle({ params: { id }, query, auth }) {
      const userId = id.toLowerCase();
      const all = await deps.sessions.listOf(userId);
      if (all === undefined) return refusal('not_found');
      return answerPage({
        ...{ cursors: deps.cursors, list: 'sessions of a user', query, filters: userId },
        fetch: async (place, limit) =>
          all.filter((row) => place === undefined || row.id < String(place[0])).slice(0, limit),
        placeOf: (row) => [row.id],
        show: (row) => show({ ...row, user_id: userId }, auth.sessionId),
      });
    },
  }),
];

const show = (row: OwnedSession, currentId: string): object => ({ ...toSession(row, currentId), user_id: row.user_id });
