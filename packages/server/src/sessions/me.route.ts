/** GET /api/auth/me */
import { MeAnswerSchema } from '@auth-service/protocol';
import { findUserById, toUser } from '../accounts/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import { refusal } from '../platform/http/index.ts';
import { defineRoute } from './principal.ts';
import { type Sessions, toSession } from './sessions.ts';

export const meRoute = (deps: { db: Queryable; sessions: Sessions }) =>
  defineRoute({
    method: 'GET',
    path: '/api/auth/me',
    summary: 'The caller and the session',
    tags: ['accounts'],
    access: { kind: 'bearer' },
    limit: 'api',
    unknownFields: 'ignore',
    answers: { 200: { description: 'The user and the session.', schema: MeAnswerSchema } },
    errors: ['overloaded'],
    async handle(request) {
      const { userId, sessionId } = request.auth;
      const [user, session] = await Promise.all([findUserById(deps.db, userId), deps.sessions.find(userId, sessionId)]);
      // The account or the session ended while this token still verified.
      if (user === undefined || session === undefined) return refusal('token_revoked');
      return { status: 200, body: { user: toUser(user), session: toSession(session, sessionId) } };
    },
  });
