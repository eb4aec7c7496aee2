/** The shapes of bodies and answers (CONTRACT of the HTTP API), from which validation, serialisation and OpenAPI are made. */
import { type Static, Type } from './json-schema.ts';

/** Control characters, NUL included, have no place in a text field; passwords are the exception. */
const printable = '^[^\\u0000-\\u001f\\u007f]*$';

/** A text without control characters; lengths are counted in characters. */
export const Text = (options: { maxLength: number; minLength?: number; description?: string }) =>
  Type.String({ pattern: printable, ...options });

/** An id: a UUIDv7. */
export const Id = Type.String({ format: 'uuid', description: 'UUIDv7' });
/** A time: RFC 3339, UTC, milliseconds. */
export const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });

/** The members of a `User`. */
export const userMembers = {
  id: Id,
  email: Type.String(),
  email_verified: Type.Boolean(),
  first_name: Type.Union([Type.String(), Type.Null()]),
  last_name: Type.Union([Type.String(), Type.Null()]),
  roles: Type.Array(Type.String()),
  permissions: Type.Array(Type.String()),
  mfa_enabled: Type.Boolean(),
  created_at: Time,
  updated_at: Time,
  last_login_at: Type.Union([Time, Type.Null()]),
};

/** An account, as its owner sees it. */
export const UserSchema = Type.Object(userMembers, { title: 'User', additionalProperties: false });
/** An account, as its owner sees it. Never a hash or a secret. */
export type User = Static<typeof UserSchema>;

/** What begins or renews a session answers: register, login, refresh, `mfa/verify`. */
export const TokenAnswerSchema = Type.Object(
  {
    access_token: Type.String({ description: 'JWT, RFC 9068' }),
    token_type: Type.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'Seconds until the access token expires' }),
    refresh_token: Type.String({ description: 'Opaque' }),
    refresh_expires_in: Type.Integer({ description: 'Seconds until the refresh token expires if it is not used' }),
    session_id: Id,
    user: UserSchema,
    device_token: Type.Optional(
      Type.String({ description: 'Send it with the next login from this device: strangers then cannot lock it out' }),
    ),
  },
  { title: 'TokenAnswer', additionalProperties: false },
);
/** The tokens of a session that has begun or was renewed; lifetimes are seconds. */
export type TokenAnswer = Static<typeof TokenAnswerSchema>;

/** What becomes of it in cookie mode: the tokens are in `Set-Cookie`. */
export const CookieAnswerSchema = Type.Object(
  {
    expires_in: Type.Integer({ description: 'Seconds until the access cookie expires' }),
    refresh_expires_in: Type.Integer({ description: 'Seconds until the refresh cookie expires if it is not used' }),
    session_id: Id,
    user: UserSchema,
    device_token: Type.Optional(Type.String()),
  },
  { title: 'CookieAnswer', additionalProperties: false },
);

/** The members of a `Session`. */
export const sessionMembers = {
  id: Id,
  current: Type.Boolean(),
  created_at: Time,
  last_seen_at: Time,
  expires_at: Time,
  ip: Type.Union([Type.String(), Type.Null()]),
  user_agent: Type.Union([Type.String(), Type.Null()]),
  device: Type.Object(
    {
      browser: Type.Union([Type.String(), Type.Null()]),
      os: Type.Union([Type.String(), Type.Null()]),
      type: Type.Union([Type.String(), Type.Null()]),
    },
    { additionalProperties: false },
  ),
  amr: Type.Array(Type.String()),
};

/** A session, as its owner sees it. */
export const SessionSchema = Type.Object(sessionMembers, { title: 'Session', additionalProperties: false });
/** A session: when and from where it was used, and how it was authenticated (`amr`, RFC 8176). */
export type Session = Static<typeof SessionSchema>;

const receiptMembers = {
  revoked: Type.Literal(true),
  position: Type.String({ description: 'Opaque place in the ledger; GET /api/auth/revocations/:position asks again' }),
  effective_everywhere: Type.Boolean({ description: 'From this moment no node accepts what was revoked' }),
  acknowledged_nodes: Type.Integer(),
  pending_nodes: Type.Array(Type.String(), { description: 'Names of nodes that have not confirmed yet' }),
  effective_by: Type.String({
    format: 'date-time',
    description: 'When the last pending node stops vouching, at the latest',
  }),
};

/** What every revocation answers. */
export const ReceiptSchema = Type.Object(receiptMembers, { title: 'RevocationReceipt', additionalProperties: false });
/** The receipt of a revocation: whether it is in force on every node, and if not, where not yet and by when. */
export type Receipt = Static<typeof ReceiptSchema>;

/** A receipt that tells how many sessions were ended. */
export const ReceiptWithSessionsSchema = Type.Object(
  {
    ...receiptMembers,
    revoked_sessions: Type.Integer({
      description: 'How many sessions were ended',
    }),
  },
  { title: 'RevocationReceiptWithSessions', additionalProperties: false },
);

const RevocationEntrySchema = Type.Object(
  {
    kind: Type.Union([Type.Literal('token'), Type.Literal('session'), Type.Literal('user'), Type.Literal('key')], {
      description: 'Refuses by `jti` (an API key by its id), `sid`, `sub` below `min_epoch`, or `kid`',
    }),
    subject: Type.String({ description: 'Opaque' }),
    min_epoch: Type.Integer(),
    expires_at: Type.Integer({ description: 'Seconds since 1970: to be kept until then, and a minute more' }),
  },
  { title: 'RevocationEntry', additionalProperties: false },
);

/** In the words of RFC 9770: a full query, a diff query, and the cursor that goes on. */
export const RevocationFeedSchema = Type.Object(
  {
    full_set: Type.Optional(
      Type.Array(RevocationEntrySchema, { description: 'A page of everything live: to be merged' }),
    ),
    diff_set: Type.Optional(Type.Array(RevocationEntrySchema, { description: 'What came since the cursor' })),
    cursor: Type.String({ description: 'Opaque; good on every node' }),
    more: Type.Boolean({ description: 'Ask again at once with this cursor' }),
    age_ms: Type.Integer({ description: 'How old the proof was, when this was answered, that nothing is missing' }),
  },
  { title: 'RevocationFeed', additionalProperties: false },
);

/** The query of `GET /api/auth/revocations/feed`. */
export const RevocationFeedQuerySchema = Type.Object({
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 4_096, description: 'Of the answer before' })),
  wait: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 30, description: 'Seconds to wait for news; 0 where not said' }),
  ),
});

/** A password in a body: any characters; the policy speaks of its length in characters. */
const Password = Type.String({ maxLength: 4096 });

/** The body of `POST /api/auth/register`. */
export const RegisterBodySchema = Type.Object(
  {
    user: Type.Object(
      {
        email: Type.String({ maxLength: 1024 }),
        password: Password,
        first_name: Type.Optional(Type.Union([Text({ maxLength: 100 }), Type.Null()])),
        last_name: Type.Optional(Type.Union([Text({ maxLength: 100 }), Type.Null()])),
      },
      { additionalProperties: false },
    ),
  },
  { title: 'RegisterBody', additionalProperties: false },
);

/** The body of `POST /api/auth/login`. */
export const LoginBodySchema = Type.Object(
  {
    email: Type.String({ maxLength: 1024 }),
    password: Password,
    device_token: Type.Optional(Type.String({ maxLength: 1024 })),
  },
  { title: 'LoginBody', additionalProperties: false },
);

/** The body of `PATCH /api/auth/me`; what is left out stays. */
export const ProfileBodySchema = Type.Object(
  {
    first_name: Type.Optional(Type.Union([Text({ maxLength: 100 }), Type.Null()])),
    last_name: Type.Optional(Type.Union([Text({ maxLength: 100 }), Type.Null()])),
  },
  { title: 'ProfileBody', additionalProperties: false },
);

/** The answer of `PATCH /api/auth/me`. */
export const UserAnswerSchema = Type.Object({ user: UserSchema }, { title: 'UserAnswer', additionalProperties: false });

/** The body of `POST /api/auth/change-password`. */
export const ChangePasswordBodySchema = Type.Object(
  { current_password: Password, new_password: Password },
  { title: 'ChangePasswordBody', additionalProperties: false },
);

/** The body of `DELETE /api/auth/me`; without a password after a fresh authentication. */
export const DeleteMeBodySchema = Type.Object(
  { password: Type.Optional(Password) },
  { title: 'DeleteMeBody', additionalProperties: false },
);

/** The body of `POST /api/auth/refresh-token`. */
export const RefreshBodySchema = Type.Object(
  { refresh_token: Type.String() },
  { title: 'RefreshBody', additionalProperties: false },
);

/** The body of `POST /api/auth/revoke-all-tokens`. */
export const RevokeAllBodySchema = Type.Object(
  { except_current: Type.Optional(Type.Boolean()) },
  { title: 'RevokeAllBody', additionalProperties: false },
);

/** The body of `POST /api/auth/validate-token`. */
export const ValidateBodySchema = Type.Object(
  {
    token: Type.String(),
    required_permissions: Type.Optional(
      Type.Array(Type.String({ minLength: 3, maxLength: 129 }), {
        maxItems: 100,
        description: 'Every one must be covered by the token, e.g. `["users:read"]`',
      }),
    ),
    required_acr: Type.Optional(Type.Union([Type.Literal('aal1'), Type.Literal('aal2')])),
    max_age: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 315_360_000, description: 'Seconds since the user last authenticated' }),
    ),
  },
  { title: 'ValidateBody', additionalProperties: false },
);
/** A question of `POST /api/auth/validate-token`: whether this token is valid now, and suffices. */
export type ValidateBody = Static<typeof ValidateBodySchema>;

/** The claims of an access token (RFC 9068); others may be added. */
export const ClaimsSchema = Type.Object(
  {
    iss: Type.String(),
    aud: Type.Union([Type.String(), Type.Array(Type.String())]),
    sub: Id,
    client_id: Type.String(),
    sid: Id,
    jti: Id,
    iat: Type.Integer(),
    exp: Type.Integer(),
    auth_time: Type.Integer(),
    amr: Type.Array(Type.String()),
    acr: Type.String(),
    roles: Type.Array(Type.String()),
    permissions: Type.Array(Type.String()),
    epoch: Type.Integer(),
  },
  { title: 'AccessTokenClaims', additionalProperties: true },
);

const ApiKeyClaimsSchema = Type.Object(
  {
    iss: Type.String(),
    aud: Type.String(),
    sub: Id,
    client_id: Id,
    jti: Id,
    iat: Type.Integer(),
    exp: Type.Optional(Type.Integer()),
    permissions: Type.Array(Type.String()),
  },
  { title: 'ApiKeyClaims', additionalProperties: false },
);

/** The answer of `POST /api/auth/validate-token`: a valid token, a valid API key, or why it is not. */
export const ValidateAnswerSchema = Type.Union(
  [
    Type.Object(
      {
        valid: Type.Literal(true),
        claims: ClaimsSchema,
        user_id: Id,
        session_id: Id,
        expires_at: Time,
      },
      { title: 'ValidToken', additionalProperties: false },
    ),
    Type.Object(
      {
        valid: Type.Literal(true),
        claims: ApiKeyClaimsSchema,
        user_id: Type.Union([Id, Type.Null()], { description: 'The owner; null for a service account' }),
        session_id: Type.Null(),
        expires_at: Type.Union([Time, Type.Null()]),
      },
      { title: 'ValidApiKey', additionalProperties: false },
    ),
    Type.Object(
      {
        valid: Type.Literal(false),
        reason: Type.Union([
          Type.Literal('invalid'),
          Type.Literal('expired'),
          Type.Literal('revoked'),
          Type.Literal('insufficient_permissions'),
          Type.Literal('insufficient_authentication'),
        ]),
      },
      { title: 'InvalidToken', additionalProperties: false },
    ),
  ],
  { title: 'ValidateAnswer' },
);

/** The answer of `GET /api/auth/me`. */
export const MeAnswerSchema = Type.Object(
  { user: UserSchema, session: SessionSchema },
  { title: 'MeAnswer', additionalProperties: false },
);

/** The answer of `GET /api/auth/sessions`, newest first. */
export const SessionsAnswerSchema = Type.Object(
  { sessions: Type.Array(SessionSchema) },
  { title: 'SessionsAnswer', additionalProperties: false },
);

/** The answer where an address must be verified first; the same for one that is known. */
export const VerificationSentSchema = Type.Object(
  { status: Type.Literal('verification_sent') },
  { title: 'VerificationSent', additionalProperties: false },
);

/** The answer of `GET /health`; `uptime_s` is seconds. */
export const HealthSchema = Type.Object(
  {
    status: Type.Union([Type.Literal('ok'), Type.Literal('degraded'), Type.Literal('unavailable')]),
    checks: Type.Record(Type.String(), Type.Unknown()),
    node: Type.String(),
    version: Type.String(),
    uptime_s: Type.Number(),
  },
  { title: 'Health', additionalProperties: false },
);

/** A JSON Web Key Set (RFC 7517) of public signing keys. */
export const JwksSchema = Type.Object(
  { keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) },
  { title: 'Jwks', additionalProperties: false },
);

const ClusterNodeSchema = Type.Object(
  {
    name: Type.String(),
    address: Type.Union([Type.String(), Type.Null()]),
    version: Type.String(),
    started_at: Type.String(),
    /** Milliseconds since its latest beat. */
    last_seen_ms: Type.Integer(),
    status: Type.Union([Type.Literal('up'), Type.Literal('suspect'), Type.Literal('down')]),
    revocation_position: Type.Union([Type.String(), Type.Null()]),
    lag_ms: Type.Integer(),
    workers: Type.Integer(),
    load: Type.Record(Type.String(), Type.Number()),
  },
  { title: 'ClusterNode', additionalProperties: false },
);

const ClusterSingletonSchema = Type.Object(
  {
    name: Type.String(),
    /** `null` while it is between two nodes. */
    node: Type.Union([Type.String(), Type.Null()]),
    since: Type.Union([Type.String(), Type.Null()]),
    last_run: Type.Union([Type.String(), Type.Null()]),
    last_result: Type.Union([Type.String(), Type.Null()]),
  },
  { title: 'ClusterSingleton', additionalProperties: false },
);

/** The answer of `GET /cluster/status`. */
export const ClusterStatusSchema = Type.Object(
  {
    node: Type.String(),
    clustering: Type.Boolean(),
    strategy: Type.Union([Type.String(), Type.Null()]),
    size: Type.Integer(),
    nodes: Type.Array(ClusterNodeSchema),
    singletons: Type.Array(ClusterSingletonSchema),
    revocations: Type.Object({
      live: Type.Integer(),
      position: Type.Union([Type.String(), Type.Null()]),
      stale: Type.Boolean(),
    }),
    stores: Type.Object({ database: Type.String(), sessions: Type.String(), state: Type.String() }),
  },
  { title: 'ClusterStatus', additionalProperties: false },
);
