/** POST /api/auth/revoke-all-tokens */
import { ReceiptWithSessionsSchema, RevokeAllBodySchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute, originOf } from '../sessions/index.ts';
import type { RevokeAll } from './revoke-all.ts';

export const revokeAllTokensRoute = (revokeAll: RevokeAll) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/revoke-all-tokens',
    summary: 'End all sessions of the caller',
    tags: ['sessions'],
    access: { kind: 'bearer' },
    limit: 'api',
    body: RevokeAllBodySchema,
    unknownFields: 'refuse',
    bodyExample: { except_current: true },
    answers: { 200: { description: 'The receipt.', schema: ReceiptWithSessionsSchema } },
    errors: ['overloaded'],
    async handle(request) {
      const { userId, sessionId } = request.auth;
      const keep = request.body?.except_current === true ? sessionId : null;
      const receipt = await revokeAll(userId, { keep, reason: 'logout_all', actor: userId, origin: originOf(request) });
      return receipt === undefined ? refusal('token_revoked') : { status: 200, body: receipt };
    },
  });
