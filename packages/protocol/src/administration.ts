/** The shapes of the administration's bodies and answers, and the permissions that its routes ask for. */
import { type Schema, type Static, Type } from './json-schema.ts';
import { Id, sessionMembers, Text, Time, userMembers } from './schemas.ts';

/** What the service's own routes ask for, with what each allows; roles may name others, for other services. */
export const ownPermissions = {
  'users:read': 'List accounts and look at them.',
  'users:write': 'Create accounts, change their names, disable, enable and unlock them.',
  'users:delete': 'Delete accounts.',
  'users:export': 'Export all that is kept about an account.',
  'roles:read': 'List roles and permissions.',
  'roles:write': 'Create, change and delete roles.',
  'roles:grant': 'Give roles to accounts and take them away.',
  'sessions:read': 'List the sessions of everybody.',
  'sessions:revoke': 'End sessions of everybody.',
  'mfa:reset': 'Take the second factors of accounts away.',
  'api-keys:read': 'List API keys.',
  'api-keys:write': 'Make and revoke API keys.',
  'service-accounts:read': 'List service accounts.',
  'service-accounts:write': 'Create, change and delete service accounts.',
  'audit:read': 'Read and verify the audit log.',
  'keys:read': 'List signing keys.',
  'keys:rotate': 'Publish a new signing key.',
  'keys:revoke': 'End a signing key, and with it every token that it signed.',
  'mails:read': 'List mails that were given up.',
  'mails:retry': 'Try mails that were given up again.',
  'stats:read': 'See the figures of the service.',
  'revocations:read': 'See receipts of revocations of others, and follow the feed of all of them.',
} as const satisfies Readonly<Record<string, string>>;

const nullable = <S extends Schema>(schema: S) => Type.Union([schema, Type.Null()]);
const Name = nullable(Text({ maxLength: 100 }));
const RoleName = Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$' });

/** The schema of one page of a list: `items`, and the `next_cursor` that asks for the next page, `null` at the end. */
export const pageOf = <S extends Schema>(item: S, title: string) =>
  Type.Object(
    {
      items: Type.Array(item),
      next_cursor: nullable(Type.String({ description: 'Send it as `cursor` for the next page; `null` at the end' })),
    },
    { title, additionalProperties: false },
  );

/** Of every list. */
export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: 'At most so many; 50 where not said' })),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4_096,
      description: '`next_cursor` of the page before, of the same filters',
    }),
  ),
};

/** The query of a list without filters: `limit` and `cursor`. */
export const PageQuerySchema = Type.Object(pageQuery);

/** An account as administrators see it. */
export const AdminUserSchema = Type.Object(
  { ...userMembers, status: Type.Union([Type.Literal('active'), Type.Literal('disabled')]) },
  { title: 'AdminUser', additionalProperties: false },
);
/** An account as administrators see it: a `User` with its status. */
export type AdminUser = Static<typeof AdminUserSchema>;

/** The answer of `GET /api/admin/users`: one page of accounts. */
export const AdminUsersSchema = pageOf(AdminUserSchema, 'AdminUsers');

/** The query of `GET /api/admin/users`. */
export const AdminUsersQuerySchema = Type.Object({
  ...pageQuery,
  search: Type.Optional(
    Text({
      minLength: 1,
      maxLength: 254,
      description: 'What an address, a last name or a first name begins with; with `@` in front, a domain',
    }),
  ),
  status: Type.Optional(Type.Union([Type.Literal('active'), Type.Literal('disabled')])),
  role: Type.Optional(RoleName),
});

/** What the routes of one account below `/api/admin/users` answer. */
export const AdminUserAnswerSchema = Type.Object(
  { user: AdminUserSchema },
  { title: 'AdminUserAnswer', additionalProperties: false },
);

/** The body of `POST /api/admin/users`. */
export const CreateUserBodySchema = Type.Object(
  {
    email: Type.String({ maxLength: 1024 }),
    first_name: Type.Optional(Name),
    last_name: Type.Optional(Name),
    roles: Type.Optional(
      Type.Array(RoleName, { maxItems: 100, description: 'Besides `user`, which every account has' }),
    ),
    email_verified: Type.Optional(Type.Boolean({ description: 'The address is known to be theirs' })),
    invite: Type.Optional(Type.Boolean({ description: 'Mail them how to choose a password; so where not said' })),
  },
  { title: 'CreateUserBody', additionalProperties: false },
);

/** The body of `PATCH /api/admin/users/:id`; what is left out stays. */
export const ChangeUserBodySchema = Type.Object(
  {
    first_name: Type.Optional(Name),
    last_name: Type.Optional(Name),
    email_verified: Type.Optional(
      Type.Literal(true, { description: 'An address may be declared proven, not unproven' }),
    ),
  },
  { title: 'ChangeUserBody', additionalProperties: false },
);

/** The body of `PUT /api/admin/users/:id/roles`: all the roles that the account is to have. */
export const UserRolesBodySchema = Type.Object(
  { roles: Type.Array(RoleName, { maxItems: 100 }) },
  { title: 'UserRolesBody', additionalProperties: false },
);

const Permissions = Type.Array(Type.String({ minLength: 3, maxLength: 129 }), {
  maxItems: 1_000,
  description: '`resource:action`; `*` for any of a part',
});

/** A role with its permissions. */
export const RoleSchema = Type.Object(
  {
    name: Type.String(),
    description: nullable(Type.String()),
    permissions: Type.Array(Type.String()),
    built_in: Type.Boolean({ description: 'Neither changed nor deleted' }),
    created_at: Time,
    updated_at: Time,
  },
  { title: 'Role', additionalProperties: false },
);
/** A role with its permissions, `resource:action` each. */
export type Role = Static<typeof RoleSchema>;

/** The answer of `GET /api/admin/roles`: one page of roles. */
export const RolesSchema = pageOf(RoleSchema, 'Roles');
/** What the routes of one role below `/api/admin/roles` answer. */
export const RoleAnswerSchema = Type.Object({ role: RoleSchema }, { title: 'RoleAnswer', additionalProperties: false });

/** The body of `POST /api/admin/roles`. */
export const CreateRoleBodySchema = Type.Object(
  { name: RoleName, description: Type.Optional(nullable(Text({ maxLength: 500 }))), permissions: Permissions },
  { title: 'CreateRoleBody', additionalProperties: false },
);

/** The body of `PATCH /api/admin/roles/:name`; what is left out stays. */
export const ChangeRoleBodySchema = Type.Object(
  { description: Type.Optional(nullable(Text({ maxLength: 500 }))), permissions: Type.Optional(Permissions) },
  { title: 'ChangeRoleBody', additionalProperties: false },
);

/** A permission that is known to the service, or that some role names. */
export const PermissionSchema = Type.Object(
  {
    name: Type.String(),
    description: nullable(Type.String({ description: '`null` for one that only roles name' })),
    roles: Type.Array(Type.String(), { description: 'The roles that name it' }),
  },
  { title: 'Permission', additionalProperties: false },
);
/** The answer of `GET /api/admin/permissions`: one page of permissions. */
export const PermissionsSchema = pageOf(PermissionSchema, 'Permissions');

/** The answer of `GET /api/admin/mails`: one page of mails that were given up. */
export const DeadMailsSchema = pageOf(
  Type.Object(
    {
      id: Type.String({ format: 'uuid' }),
      kind: Type.String({ description: 'What it was about: `reset_password`, `new_device`, …' }),
      attempts: Type.Integer(),
      reason: nullable(Type.String({ description: 'Codes of the last failure' })),
      created_at: Type.String({ format: 'date-time' }),
      given_up_at: Type.String({ format: 'date-time' }),
    },
    { title: 'DeadMail', additionalProperties: false },
  ),
  'DeadMails',
);

/** The answer when a mail that was given up is tried again. */
export const MailQueuedSchema = Type.Object(
  { status: Type.Literal('queued') },
  { title: 'MailQueued', additionalProperties: false },
);

/** A session as administrators see it. */
export const AdminSessionSchema = Type.Object(
  { ...sessionMembers, user_id: Id },
  { title: 'AdminSession', additionalProperties: false },
);
/** A session as administrators see it: a `Session` with whose it is. */
export type AdminSession = Static<typeof AdminSessionSchema>;
/** The answer of the lists of sessions below `/api/admin`: one page. */
export const AdminSessionsSchema = pageOf(AdminSessionSchema, 'AdminSessions');

/** A signing key by its name and state; never the key itself. */
export const SigningKeySchema = Type.Object(
  {
    kid: Type.String(),
    algorithm: Type.String(),
    state: Type.Union([
      Type.Literal('pending'),
      Type.Literal('active'),
      Type.Literal('retiring'),
      Type.Literal('revoked'),
      Type.Literal('gone'),
    ]),
    created_at: Time,
    activates_at: Time,
    retires_at: nullable(Time),
  },
  { title: 'SigningKey', additionalProperties: false },
);
/** The answer of `GET /api/admin/keys`: one page of signing keys. */
export const SigningKeysSchema = pageOf(SigningKeySchema, 'SigningKeys');
/** The answer of `POST /api/admin/keys/rotate`: the key that was made. */
export const SigningKeyAnswerSchema = Type.Object(
  { key: SigningKeySchema },
  { title: 'SigningKeyAnswer', additionalProperties: false },
);
/** The body of `POST /api/admin/keys/rotate`. */
export const RotateKeysBodySchema = Type.Object(
  {
    immediately: Type.Optional(
      Type.Boolean({ description: 'Sign with it at once; verifiers that cache the key set may lag' }),
    ),
  },
  { title: 'RotateKeysBody', additionalProperties: false },
);

/** One event of the audit log, with the hashes that chain it to the one before. */
export const AuditEventSchema = Type.Object(
  {
    id: Id,
    time: Time,
    type: Type.String(),
    actor: nullable(Type.String()),
    target: nullable(Type.String()),
    ip: nullable(Type.String()),
    user_agent: nullable(Type.String()),
    outcome: Type.Union([Type.Literal('success'), Type.Literal('failure'), Type.Literal('denied')]),
    request_id: nullable(Type.String()),
    prev_hash: Type.String({ description: 'The hash of the event before it' }),
    hash: Type.String(),
  },
  { title: 'AuditEvent', additionalProperties: false },
);
/** The answer of `GET /api/admin/audit-events`: one page, newest first. */
export const AuditEventsSchema = pageOf(AuditEventSchema, 'AuditEvents');

const AuditText = (description: string) => Type.Optional(Text({ minLength: 1, maxLength: 200, description }));
const auditFilters = {
  actor: AuditText('Who did it: a user id, `cli` or `system`'),
  target: AuditText('What it was done to: an id or a name'),
  type: AuditText('For instance `authn_login`'),
  since: Type.Optional(Type.String({ format: 'date-time', description: 'From this time on' })),
  until: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time' })),
};

/** The query of `GET /api/admin/audit-events`. */
export const AuditQuerySchema = Type.Object({ ...pageQuery, ...auditFilters });
/** The query of the export of audit events: the filters alone. */
export const AuditExportQuerySchema = Type.Object(auditFilters);

/** The answer of `GET /api/admin/audit-events/verify`: whether the chain holds, and where it first does not. */
export const AuditVerificationSchema = Type.Object(
  {
    valid: Type.Boolean(),
    checked: Type.Integer({ description: 'How many events hold, from the first on' }),
    first_invalid: nullable(
      Type.Object(
        { seq: nullable(Type.Integer()), id: nullable(Type.String()), reason: Type.String() },
        { additionalProperties: false },
      ),
    ),
  },
  { title: 'AuditVerification', additionalProperties: false },
);

const counts = (names: readonly string[]) =>
  Type.Object(Object.fromEntries(names.map((name) => [name, Type.Integer()])), { additionalProperties: false });

/** The answer of `GET /api/admin/stats`. */
export const StatisticsSchema = Type.Object(
  {
    as_of: Time,
    users: counts(['total', 'disabled', 'email_verified', 'mfa_enabled', 'without_password']),
    roles: counts(['total']),
    sessions: counts(['active']),
    revocations: counts(['live']),
  },
  { title: 'Statistics', additionalProperties: false },
);
