/** GET /api/auth/sessions */
import { SessionsAnswerSchema } from '@auth-service/protocol';
import { defineRoute } from './principal.ts';
import { type Sessions, toSession } from './sessions.ts';

export const listSessionsRoute = (sessions: Sessions) =>
  defineRoute({
    method: 'GET',
    path: '/api/auth/sessions',
    summary: "The caller's live sessions, newest first",
    tags: ['sessions'],
    access: { kind: 'bearer' },
    limit: 'api',
    unknownFields: 'ignore',
    answers: { 200: { description: 'The sessions.', schema: SessionsAnswerSchema } },
    errors: ['overloaded'],
    async handle(request) {
      const rows = await sessions.list(request.auth.userId);
      return { status: 200, body: { sessions: rows.map((row) => toSession(row, request.auth.sessionId)) } };
    },
  });
