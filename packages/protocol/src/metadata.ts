/** What the service says about itself to those who verify its tokens (RFC 8414), with what is its own. */
import { type Static, Type } from './json-schema.ts';

/** The answer of `GET /.well-known/oauth-authorization-server`. */
export const MetadataSchema = Type.Object(
  {
    issuer: Type.String({ description: 'The `iss` of every access token' }),
    jwks_uri: Type.String(),
    response_types_supported: Type.Array(Type.String(), { description: 'None: it is no authorization endpoint' }),
    token_validation_endpoint: Type.String({ description: '`POST` of a token: whether it is valid now' }),
    revocation_feed_endpoint: Type.String({ description: 'To follow the revocations, with `revocations:read`' }),
    access_token_audience: Type.String({ description: 'The `aud` of access tokens' }),
  },
  { title: 'ServiceMetadata', additionalProperties: false },
);
/** What the service tells those who verify its tokens: its addresses (RFC 8414), and the audience of its tokens. */
export type ServiceMetadata = Static<typeof MetadataSchema>;
