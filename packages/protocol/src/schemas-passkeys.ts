/** The shapes of WebAuthn ceremonies (Level 3, section 5.1: the JSON forms of credentials and options) and of passkeys. */
import { type Static, Type } from './json-schema.ts';
import { Text } from './schemas.ts';

/** Browsers add members as the standard grows: those are taken no notice of. */
const open = { additionalProperties: {} };

const Base64Url = (maxLength: number, more: Readonly<Record<string, unknown>> = {}) =>
  Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength, ...more });

const credentialMembers = {
  id: Base64Url(1_364),
  rawId: Base64Url(1_364),
  type: Type.Literal('public-key'),
};

/** What `credential.toJSON()` gives after `create()`. */
export const AttestationResponseSchema = Type.Object(
  {
    ...credentialMembers,
    response: Type.Object(
      {
        clientDataJSON: Base64Url(4_096),
        attestationObject: Base64Url(16_384),
        transports: Type.Optional(Type.Array(Text({ maxLength: 32 }), { maxItems: 16 })),
      },
      open,
    ),
  },
  { title: 'RegistrationResponseJSON', description: 'What `credential.toJSON()` gives after `create()`.', ...open },
);
/** What `credential.toJSON()` gives after `create()`: `RegistrationResponseJSON` of WebAuthn Level 3. */
export type AttestationResponse = Static<typeof AttestationResponseSchema>;

/** What `credential.toJSON()` gives after `get()`. */
export const AssertionResponseSchema = Type.Object(
  {
    ...credentialMembers,
    response: Type.Object(
      {
        clientDataJSON: Base64Url(4_096),
        authenticatorData: Base64Url(4_096),
        signature: Base64Url(2_048),
        userHandle: Type.Optional(Type.Union([Base64Url(88), Type.Null()])),
      },
      open,
    ),
  },
  { title: 'AuthenticationResponseJSON', description: 'What `credential.toJSON()` gives after `get()`.', ...open },
);
/** What `credential.toJSON()` gives after `get()`: `AuthenticationResponseJSON` of WebAuthn Level 3. */
export type AssertionResponse = Static<typeof AssertionResponseSchema>;

const CredentialDescriptorSchema = Type.Object(
  { id: Type.String(), type: Type.Literal('public-key'), transports: Type.Array(Type.String()) },
  { title: 'PublicKeyCredentialDescriptorJSON', additionalProperties: false },
);

/** For `PublicKeyCredential.parseCreationOptionsFromJSON()`. */
export const CreationOptionsSchema = Type.Object(
  {
    rp: Type.Object({ id: Type.String(), name: Type.String() }, { additionalProperties: false }),
    user: Type.Object(
      { id: Type.String(), name: Type.String(), displayName: Type.String() },
      { additionalProperties: false },
    ),
    challenge: Type.String(),
    pubKeyCredParams: Type.Array(
      Type.Object({ type: Type.Literal('public-key'), alg: Type.Integer() }, { additionalProperties: false }),
    ),
    timeout: Type.Integer({ description: 'Milliseconds; the challenge is worth nothing after it' }),
    excludeCredentials: Type.Array(CredentialDescriptorSchema),
    authenticatorSelection: Type.Object(
      {
        residentKey: Type.Literal('required'),
        requireResidentKey: Type.Literal(true),
        userVerification: Type.Literal('required'),
      },
      { additionalProperties: false },
    ),
    attestation: Type.Literal('none'),
  },
  {
    title: 'PublicKeyCredentialCreationOptionsJSON',
    description: 'For `PublicKeyCredential.parseCreationOptionsFromJSON()`.',
    additionalProperties: false,
  },
);
/** For `PublicKeyCredential.parseCreationOptionsFromJSON()`; `timeout` is milliseconds. */
export type CreationOptions = Static<typeof CreationOptionsSchema>;

/** For `PublicKeyCredential.parseRequestOptionsFromJSON()`. */
export const RequestOptionsSchema = Type.Object(
  {
    rpId: Type.String(),
    challenge: Type.String(),
    timeout: Type.Integer({ description: 'Milliseconds; the challenge is worth nothing after it' }),
    allowCredentials: Type.Array(CredentialDescriptorSchema, {
      description: 'Empty where nobody has said who it is: the authenticator knows',
    }),
    userVerification: Type.Literal('required'),
  },
  {
    title: 'PublicKeyCredentialRequestOptionsJSON',
    description: 'For `PublicKeyCredential.parseRequestOptionsFromJSON()`.',
    additionalProperties: false,
  },
);
/** For `PublicKeyCredential.parseRequestOptionsFromJSON()`; `timeout` is milliseconds. */
export type RequestOptions = Static<typeof RequestOptionsSchema>;

/** The answer of `POST /api/auth/webauthn/registration/options`. */
export const CreationOptionsAnswerSchema = Type.Object(
  { options: CreationOptionsSchema },
  { title: 'PasskeyCreationOptions', additionalProperties: false },
);

/** The answer of `POST /api/auth/webauthn/login/options`. */
export const RequestOptionsAnswerSchema = Type.Object(
  { options: RequestOptionsSchema },
  { title: 'PasskeyRequestOptions', additionalProperties: false },
);

const PasskeyName = Text({ minLength: 1, maxLength: 100 });

/** A passkey, as its owner sees it. */
export const PasskeySchema = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'UUIDv7' }),
    name: Type.String(),
    created_at: Type.String({ format: 'date-time' }),
    last_used_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
    transports: Type.Array(Type.String()),
    backup_eligible: Type.Boolean({ description: 'Whether it may exist on several devices' }),
    backed_up: Type.Boolean(),
    aaguid: Type.String({ description: 'The model of authenticator, where it tells; zeros otherwise' }),
  },
  { title: 'Passkey', additionalProperties: false },
);
/** A passkey, as its owner sees it. */
export type Passkey = Static<typeof PasskeySchema>;

/** What the routes of one passkey answer. */
export const PasskeyAnswerSchema = Type.Object(
  { credential: PasskeySchema },
  { title: 'PasskeyAnswer', additionalProperties: false },
);

/** The answer of `GET /api/auth/webauthn/credentials`. */
export const PasskeysAnswerSchema = Type.Object(
  { credentials: Type.Array(PasskeySchema) },
  { title: 'PasskeysAnswer', additionalProperties: false },
);

/** The body of `POST /api/auth/webauthn/registration/verify`. */
export const RegisterPasskeyBodySchema = Type.Object(
  { response: AttestationResponseSchema, name: Type.Optional(PasskeyName) },
  { title: 'RegisterPasskeyBody', additionalProperties: false },
);

/** The body of `PATCH /api/auth/webauthn/credentials/:id`. */
export const RenamePasskeyBodySchema = Type.Object(
  { name: PasskeyName },
  { title: 'RenamePasskeyBody', additionalProperties: false },
);

/** The body of `POST /api/auth/webauthn/login/verify`. */
export const PasskeyLoginBodySchema = Type.Object(
  { response: AssertionResponseSchema },
  { title: 'PasskeyLoginBody', additionalProperties: false },
);
