/** The one shape of every error answer: a problem document, RFC 9457. */

import { errorCodes } from '../errors.ts';
import { type Static, Type } from '../json-schema.ts';

/** One entry of the `errors` of a 422: where, what, and a sentence. */
export const FieldErrorSchema = Type.Object(
  {
    pointer: Type.String({
      description: 'Where in the body or query, as a JSON pointer (RFC 6901); empty for the whole',
    }),
    code: Type.String({ description: 'What is wrong, e.g. `required`, `wrong_type`, `too_long`, `unknown_field`' }),
    detail: Type.String(),
  },
  { title: 'FieldError', additionalProperties: false },
);

/** `additionalProperties` is open: some codes bring members of their own, e.g. `mfa_token`. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: '`urn:auth-service:problem:` and the code' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String(),
    code: Type.Unsafe<(typeof errorCodes)[number]>({ type: 'string', enum: [...errorCodes] }),
    request_id: Type.String({ description: 'The same as the `X-Request-Id` header' }),
    errors: Type.Optional(Type.Array(FieldErrorSchema, { description: 'On 422: what is wrong where' })),
  },
  { title: 'Problem', additionalProperties: true },
);
/** The body of every error answer (RFC 9457); some codes bring members of their own. */
export type ProblemDocument = Static<typeof ProblemSchema>;
