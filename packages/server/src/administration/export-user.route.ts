/** GET /api/admin/users/:id/export */
import { Type } from '@auth-service/protocol';
import { ndjson, refusal, streamLines, uuidPattern } from '../platform/http/index.ts';
import type { ExportUser } from '../profile/index.ts';
import { defineRoute } from '../sessions/index.ts';
import { actorOf } from './answers.ts';

export const exportUserRoute = (exportUser: ExportUser) =>
  defineRoute({
    method: 'GET',
    path: '/api/admin/users/:id/export',
    summary: 'All that is kept about an account, as NDJSON',
    tags: ['administration'],
    access: { kind: 'bearer', permission: 'users:export' },
    limit: 'api',
    params: Type.Object({ id: Type.String({ pattern: uuidPattern }) }),
    unknownFields: 'ignore',
    answers: { 200: { description: 'A line for each thing.', contentType: ndjson } },
    errors: [],
    async handle(request) {
      const lines = await exportUser(request.params.id.toLowerCase(), actorOf(request));
      if (lines === undefined) return refusal('not_found');
      return { status: 200, contentType: ndjson, stream: (stream) => void streamLines(lines, stream) };
    },
  });
