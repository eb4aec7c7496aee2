/** The shapes of what is done by mail: proving an address, a new password, another address. */
import { type Static, Type } from './json-schema.ts';

const Email = Type.String({ maxLength: 1024 });
const Password = Type.String({ maxLength: 4096 });
const MailToken = Type.String({
  maxLength: 256,
  description: 'The code of the mail; case, dashes and blanks do not matter',
});

/** The body of `POST /api/auth/forgot-password` and `/resend-verification`. */
export const EmailBodySchema = Type.Object({ email: Email }, { title: 'EmailBody', additionalProperties: false });

/** The answer of `POST /api/auth/forgot-password`: the same for every address. */
export const ResetSentSchema = Type.Object(
  { status: Type.Literal('reset_sent') },
  { title: 'ResetSent', additionalProperties: false },
);

/** The body of `POST /api/auth/verify-email`. */
export const VerifyEmailBodySchema = Type.Object(
  { token: MailToken, password: Type.Optional(Password), new_password: Type.Optional(Password) },
  { title: 'VerifyEmailBody', additionalProperties: false },
);

/** The body of `POST /api/auth/reset-password`. */
export const ResetPasswordBodySchema = Type.Object(
  { token: MailToken, new_password: Password },
  { title: 'ResetPasswordBody', additionalProperties: false },
);

/** The answer of `POST /api/auth/verify-email`. */
export const EmailProvenSchema = Type.Object(
  {
    status: Type.Union([Type.Literal('verified'), Type.Literal('email_changed')]),
    email: Type.String({ description: 'The address that was proven' }),
  },
  { title: 'EmailProven', additionalProperties: false },
);
/** What a mailed code has proven: the address of the account, or the one that it is changed to. */
export type EmailProven = Static<typeof EmailProvenSchema>;

/** The body of `POST /api/auth/change-email`; without a password after a fresh authentication. */
export const ChangeEmailBodySchema = Type.Object(
  { new_email: Email, password: Type.Optional(Password) },
  { title: 'ChangeEmailBody', additionalProperties: false },
);
