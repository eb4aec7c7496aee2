/** GET /.well-known/jwks.json */
import { JwksSchema } from '@auth-service/protocol';
import { jwksMaxAgeSeconds, type SigningKeys } from '../keys/index.ts';
import { defineRoute } from '../sessions/index.ts';

export const jwksRoute = (keys: Pick<SigningKeys, 'jwks'>) =>
  defineRoute({
    method: 'GET',
    path: '/.well-known/jwks.json',
    summary: 'The public keys that verify access tokens (RFC 7517)',
    tags: ['tokens'],
    access: { kind: 'public' },
    limit: null,
    unknownFields: 'ignore',
    answers: {
      200: {
        description: 'The key set.',
        schema: JwksSchema,
        headers: { ETag: 'Changes with the key set.', 'Cache-Control': 'How long to keep it.' },
      },
      304: { description: 'Not changed since the `ETag` that was sent as `If-None-Match`.' },
    },
    errors: [],
    handle(request) {
      const { body, etag } = keys.jwks();
      const headers = { ETag: etag, 'Cache-Control': `public, max-age=${jwksMaxAgeSeconds}` };
      const asked = request.headers['if-none-match'];
      const matches = asked?.split(',').some((one) => one.trim().replace(/^W\//, '') === etag || one.trim() === '*');
      if (matches === true) return { status: 304, headers, noStore: false };
      return { status: 200, body, contentType: 'application/json; charset=utf-8', headers, noStore: false };
    },
  });
