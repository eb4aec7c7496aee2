/** The shapes of API keys and service accounts. */
import { type Schema, type Static, Type } from './json-schema.ts';
import { Text } from './schemas.ts';

const Id = Type.String({ format: 'uuid', description: 'UUIDv7' });
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });
const nullable = <S extends Schema>(schema: S) => Type.Union([schema, Type.Null()]);
const Permissions = Type.Array(Type.String({ minLength: 3, maxLength: 129 }), { minItems: 1, maxItems: 50 });

const page = <S extends Schema>(item: S, title: string) =>
  Type.Object(
    { items: Type.Array(item), next_cursor: nullable(Type.String()) },
    { title, additionalProperties: false },
  );

const pageMembers = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: 'At most so many; 50 where not said' })),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 4_096, description: '`next_cursor` of the page before' }),
  ),
};

const apiKeyMembers = {
  id: Id,
  name: Type.String(),
  prefix: Type.String({ description: 'The part that may be shown: `ask_` and twelve hexadecimal digits' }),
  permissions: Type.Array(Type.String(), { description: 'Its scope; it may do of this what its owner holds' }),
  owner: Type.Object(
    { kind: Type.Union([Type.Literal('user'), Type.Literal('service_account')]), id: Id },
    { additionalProperties: false },
  ),
  created_by: Id,
  created_at: Time,
  expires_at: nullable(Time),
  last_used_at: nullable(Time),
  status: Type.Union([Type.Literal('active'), Type.Literal('expired'), Type.Literal('revoked')]),
  revoked_at: nullable(Time),
  revoked_reason: nullable(Type.String()),
};

const ApiKeySchema = Type.Object(apiKeyMembers, { title: 'ApiKey', additionalProperties: false });
/** An API key, as its owner sees it; the key itself is told once, when it is made. */
export type ApiKey = Static<typeof ApiKeySchema>;

/** The answer of `POST /api/admin/api-keys`, with the secret. */
export const NewApiKeyAnswerSchema = Type.Object(
  { api_key: ApiKeySchema, secret: Type.String({ description: 'The key itself: told this once' }) },
  { title: 'NewApiKey', additionalProperties: false },
);

/** The answer of `GET /api/admin/api-keys`: one page of keys. */
export const ApiKeysSchema = page(ApiKeySchema, 'ApiKeys');

/** The query of `GET /api/admin/api-keys`. */
export const ApiKeysQuerySchema = Type.Object({
  ...pageMembers,
  owner: Type.Optional(Type.String({ format: 'uuid', description: 'Only the keys of this user or service account' })),
});

/** The body of `POST /api/admin/api-keys`. */
export const CreateApiKeyBodySchema = Type.Object(
  {
    name: Text({ minLength: 1, maxLength: 100 }),
    permissions: Permissions,
    expires_at: Type.Optional(
      nullable(Type.String({ format: 'date-time', description: 'In 90 days where not said; null for never' })),
    ),
    service_account_id: Type.Optional(
      Type.String({ format: 'uuid', description: 'The service account that is to own it; the caller where not said' }),
    ),
  },
  { title: 'CreateApiKeyBody', additionalProperties: false },
);

const Status = Type.Union([Type.Literal('active'), Type.Literal('disabled')]);

const ServiceAccountSchema = Type.Object(
  {
    id: Id,
    name: Type.String(),
    description: nullable(Type.String()),
    permissions: Type.Array(Type.String()),
    status: Status,
    created_by: nullable(Id),
    created_at: Time,
    updated_at: Time,
  },
  { title: 'ServiceAccount', additionalProperties: false },
);
/** An account of a program: it owns API keys and has no password. */
export type ServiceAccount = Static<typeof ServiceAccountSchema>;

/** What the routes of one service account answer. */
export const ServiceAccountAnswerSchema = Type.Object(
  { service_account: ServiceAccountSchema },
  { title: 'ServiceAccountAnswer', additionalProperties: false },
);

/** The answer of `GET /api/admin/service-accounts`: one page. */
export const ServiceAccountsSchema = page(ServiceAccountSchema, 'ServiceAccounts');

/** The query of `GET /api/admin/service-accounts`. */
export const ServiceAccountsQuerySchema = Type.Object(pageMembers);

const Description = nullable(Text({ maxLength: 500 }));

/** The body of `POST /api/admin/service-accounts`. */
export const CreateServiceAccountBodySchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$' }),
    description: Type.Optional(Description),
    permissions: Permissions,
  },
  { title: 'CreateServiceAccountBody', additionalProperties: false },
);

/** The body of `PATCH /api/admin/service-accounts/:id`; what is left out stays. */
export const ChangeServiceAccountBodySchema = Type.Object(
  {
    description: Type.Optional(Description),
    permissions: Type.Optional(Permissions),
    status: Type.Optional(Status),
  },
  { title: 'ChangeServiceAccountBody', additionalProperties: false },
);
