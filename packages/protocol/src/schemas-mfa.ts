/** The shapes of second factors and of step-up; see `schemas.ts`. */
import { type Static, Type } from './json-schema.ts';

const Code = Type.String({ maxLength: 64, description: 'Six digits of an authenticator app' });
const RecoveryCode = Type.String({ maxLength: 64, description: 'One of the recovery codes; each works once' });
/** Whatever it is: the ceremony looks at all of it, and answers for it. */
const Credential = Type.Record(Type.String(), Type.Unknown(), { description: 'PublicKeyCredential as JSON' });
const MfaToken = Type.String({ description: 'Of the `mfa_required` answer' });

/** The answer of `GET /api/auth/mfa`. */
export const MfaAnswerSchema = Type.Object(
  {
    enabled: Type.Boolean({ description: 'A login asks for a second factor' }),
    methods: Type.Array(Type.Union([Type.Literal('totp'), Type.Literal('webauthn'), Type.Literal('recovery_code')])),
    totp: Type.Union([
      Type.Object({ confirmed_at: Type.String({ format: 'date-time' }) }, { additionalProperties: false }),
      Type.Null(),
    ]),
    recovery_codes_left: Type.Integer(),
  },
  { title: 'MfaAnswer', additionalProperties: false },
);
/** The second factors of an account. */
export type MfaAnswer = Static<typeof MfaAnswerSchema>;

/** The answer of `POST /api/auth/mfa/totp`: the secret of an authenticator app, shown once. */
export const TotpAnswerSchema = Type.Object(
  {
    secret: Type.String({ description: 'Base32, to be typed into an app; shown once' }),
    otpauth_uri: Type.String(),
    qr_svg: Type.String({ description: 'The same as a QR code' }),
  },
  { title: 'TotpAnswer', additionalProperties: false },
);

/** The body of `POST /api/auth/mfa/totp/confirm`. */
export const ConfirmTotpBodySchema = Type.Object(
  { code: Code },
  { title: 'ConfirmTotpBody', additionalProperties: false },
);

/** The answer with new recovery codes. */
export const RecoveryCodesAnswerSchema = Type.Object(
  { recovery_codes: Type.Array(Type.String(), { description: 'Shown once' }) },
  { title: 'RecoveryCodesAnswer', additionalProperties: false },
);

/** The body of `POST /api/auth/mfa/verify`: the challenge and one proof. */
export const MfaVerifyBodySchema = Type.Object(
  {
    mfa_token: MfaToken,
    code: Type.Optional(Code),
    recovery_code: Type.Optional(RecoveryCode),
    webauthn: Type.Optional(Credential),
  },
  { title: 'MfaVerifyBody', additionalProperties: false },
);

/** The body of `POST /api/auth/mfa/webauthn/options`. */
export const MfaOptionsBodySchema = Type.Object(
  { mfa_token: MfaToken },
  { title: 'MfaOptionsBody', additionalProperties: false },
);

/** The options of a passkey as second factor or for step-up. */
export const WebauthnOptionsSchema = Type.Object(
  {
    options: Type.Record(Type.String(), Type.Unknown(), {
      description: 'For `navigator.credentials`, as WebAuthn Level 3 writes options in JSON',
    }),
  },
  { title: 'WebauthnOptions', additionalProperties: false },
);

/** The body of `POST /api/auth/reauthenticate`: one proof. */
export const ReauthenticateBodySchema = Type.Object(
  {
    password: Type.Optional(Type.String({ maxLength: 4096 })),
    code: Type.Optional(Code),
    webauthn: Type.Optional(Credential),
  },
  { title: 'ReauthenticateBody', additionalProperties: false },
);
