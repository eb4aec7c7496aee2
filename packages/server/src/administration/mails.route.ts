/** GET /api/admin/mails and POST /api/admin/mails/:id/retry */
import { DeadMailsSchema, MailQueuedSchema, PageQuerySchema, Type } from '@auth-service/protocol';
import type { Cursors } from '../keys/index.ts';
import { refusal, uuidPattern } from '../platform/http/index.ts';
import { defineRoute } from '../sessions/index.ts';
import { actorOf, answerPage } from './answers.ts';
import type { MailAdministration } from './mails.ts';

const common = { tags: ['administration'], limit: 'api' } as const;

export const mailsRoutes = (deps: { readonly mails: MailAdministration; readonly cursors: Cursors }) => [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/api/admin/mails',
    summary: 'Mails that were given up, newest first',
    description: 'Never to whom, nor what they say. They are kept for thirty days.',
    access: { kind: 'bearer', permission: 'mails:read' },
    query: PageQuerySchema,
    unknownFields: 'ignore',
    answers: { 200: { description: 'A page of dead letters.', schema: DeadMailsSchema } },
    errors: [],
    handle: ({ query }) =>
      answerPage({
        ...{ cursors: deps.cursors, list: 'mails', query },
        fetch: (place, limit) =>
          deps.mails.listDead({ beforeId: place === undefined ? null : String(place[0]), limit }),
        placeOf: ({ id }) => [id],
        show: (row) => ({
          ...{ id: row.id, kind: row.kind, attempts: row.attempts, reason: row.last_error },
          created_at: row.created_at.toISOString(),
          given_up_at: row.dead_at.toISOString(),
        }),
      }),
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/api/admin/mails/:id/retry',
    summary: 'Try a mail that was given up again',
    description: 'A link in it may be over; then its owner asks for another.',
    access: { kind: 'bearer', permission: 'mails:retry' },
    params: Type.Object({ id: Type.String({ pattern: uuidPattern }) }),
    unknownFields: 'refuse',
    answers: { 202: { description: 'It is on its way again.', schema: MailQueuedSchema } },
    errors: ['not_found'],
    async handle(request) {
      const isQueued = await deps.mails.retry(request.params.id.toLowerCase(), actorOf(request));
      return isQueued ? { status: 202, body: { status: 'queued' } } : refusal('not_found');
    },
  }),
];
