/** DELETE /api/auth/sessions/:session_id */
import { ReceiptSchema, Type } from '@auth-service/protocol';
import { refusal, uuidPattern } from '../platform/http/index.ts';
import type { Revocation } from '../revocation/index.ts';
import { originOf } from './origin.ts';
import { defineRoute } from './principal.ts';
import type { Sessions } from './sessions.ts';

export const deleteSessionRoute = (deps: { sessions: Sessions; revocation: Revocation }) =>
  defineRoute({
    method: 'DELETE',
    path: '/api/auth/sessions/:session_id',
    summary: 'End one session of the caller',
    description: "An unknown id and somebody else's are answered alike: 404.",
    tags: ['sessions'],
    access: { kind: 'bearer' },
    limit: 'api',
    params: Type.Object({ session_id: Type.String({ pattern: uuidPattern }) }),
    unknownFields: 'ignore',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['not_found', 'overloaded'],
    async handle(request) {
      const { userId } = request.auth;
      const id = request.params.session_id.toLowerCase();
      const pending = await deps.sessions.end(userId, id, 'revoked', originOf(request));
      if (pending === undefined) return refusal('not_found');
      return { status: 200, body: await deps.revocation.settle(pending, userId) };
    },
  });
