/** GET /api/auth/me/export */
import { ndjson, refusal, streamLines } from '../platform/http/index.ts';
import { defineRoute, freshAuthenticationSeconds, originOf } from '../sessions/index.ts';
import type { ExportUser } from './export.ts';

export const exportMeRoute = (exportUser: ExportUser) =>
  defineRoute({
    method: 'GET',
    path: '/api/auth/me/export',
    summary: 'All that is kept about the account, as NDJSON',
    description: 'A line for the account, each session, passkey, API key and audit event; `kind` says which.',
    tags: ['accounts'],
    access: { kind: 'bearer', maxAgeSeconds: freshAuthenticationSeconds },
    limit: 'api',
    unknownFields: 'ignore',
    answers: { 200: { description: 'A line for each thing.', contentType: ndjson } },
    errors: [],
    async handle(request) {
      const { userId } = request.auth;
      const lines = await exportUser(userId, { actor: userId, origin: originOf(request) });
      if (lines === undefined) return refusal('not_found');
      return { status: 200, contentType: ndjson, stream: (stream) => void streamLines(lines, stream) };
    },
  });
