/** POST /api/auth/logout */
import { ReceiptSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import type { Revocation } from '../revocation/index.ts';
import { originOf } from './origin.ts';
import { defineRoute } from './principal.ts';
import type { Sessions } from './sessions.ts';

export const logoutRoute = (deps: { sessions: Sessions; revocation: Revocation }) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/logout',
    summary: 'End the session of the access token',
    description: 'Its access tokens and its refresh token are dead; the receipt says where, and by when everywhere.',
    tags: ['sessions'],
    access: { kind: 'bearer' },
    limit: 'api',
    unknownFields: 'ignore',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['overloaded'],
    async handle(request) {
      const { userId, sessionId } = request.auth;
      const pending = await deps.sessions.end(userId, sessionId, 'logout', originOf(request));
      // No session, and the token still verified: it was ended this moment, or expired.
      if (pending === undefined) return refusal('token_revoked');
      return { status: 200, body: await deps.revocation.settle(pending, userId) };
    },
  });
