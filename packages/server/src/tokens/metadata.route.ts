/** GET /.well-known/oauth-authorization-server */
import { MetadataSchema, type ServiceMetadata } from '@auth-service/protocol';
import { jwksMaxAgeSeconds } from '../keys/index.ts';
import { defineRoute } from '../sessions/index.ts';

export const metadataRoute = (deps: { readonly issuer: string; readonly audience: string }) =>
  defineRoute({
    method: 'GET',
    path: '/.well-known/oauth-authorization-server',
    summary: 'Where to find what verifies access tokens (RFC 8414)',
    tags: ['tokens'],
    access: { kind: 'public' },
    limit: null,
    unknownFields: 'ignore',
    answers: {
      200: {
        description: 'The addresses.',
        schema: MetadataSchema,
        headers: { 'Cache-Control': 'How long to keep it.' },
      },
    },
    errors: [],
    handle: () => ({
      status: 200,
      body: metadataOf(deps.issuer, deps.audience),
      headers: { 'Cache-Control': `public, max-age=${jwksMaxAgeSeconds}` },
      noStore: false,
    }),
  });

const metadataOf = (issuer: string, audience: string): ServiceMetadata => ({
  issuer,
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  response_types_supported: [],
  token_validation_endpoint: `${issuer}/api/auth/validate-token`,
  revocation_feed_endpoint: `${issuer}/api/auth/revocations/feed`,
  access_token_audience: audience,
});
