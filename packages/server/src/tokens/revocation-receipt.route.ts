/** GET /api/auth/revocations/:position */
import { coversAll, ReceiptSchema, Type } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import type { Revocation } from '../revocation/index.ts';
import { defineRoute } from '../sessions/index.ts';

export const revocationReceiptRoute = (revocation: Revocation) =>
  defineRoute({
    method: 'GET',
    path: '/api/auth/revocations/:position',
    summary: 'A revocation receipt as it stands now',
    description: 'For the user whose revocation it was, or with the permission `revocations:read`.',
    tags: ['sessions'],
    access: { kind: 'bearer', apiKeys: true },
    limit: 'api',
    params: Type.Object({ position: Type.String({ maxLength: 512 }) }),
    unknownFields: 'ignore',
    answers: { 200: { description: 'The receipt.', schema: ReceiptSchema } },
    errors: ['not_found'],
    async handle(request) {
      const found = await revocation.standing(request.params.position);
      const { userId, claims } = request.auth;
      const mayRead = found?.userId === userId || coversAll(claims.permissions, ['revocations:read']);
      return found === undefined || !mayRead ? refusal('not_found') : { status: 200, body: found.receipt };
    },
  });
