/**
 * The closed table of error codes: status and public text of each. Problem bodies (RFC 9457), the reference page
 * `docs/reference/errors.md` and the OpenAPI document are made from it.
 */

/** Every error code, with the HTTP status and the public text of its answers. */
export const errorTable = {
  validation_failed: { status: 422, title: 'The request has invalid fields' },
  unknown_field: { status: 422, title: 'The request has fields that are not known here' },
  bad_request: { status: 400, title: 'The request is not well-formed HTTP' },
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  ambiguous_credentials: { status: 400, title: 'The request carries more than one credential' },
  invalid_credentials: { status: 401, title: 'The e-mail address or password is wrong' },
  account_locked: { status: 429, title: 'Too many failed attempts for this account' },
  account_disabled: { status: 403, title: 'The account is disabled' },
  email_not_verified: { status: 403, title: 'The e-mail address is not verified' },
  mfa_required: { status: 401, title: 'A second factor is required' },
  mfa_invalid: { status: 401, title: 'The second factor is wrong' },
  mfa_token_invalid: { status: 401, title: 'The second-factor challenge is not valid any more' },
  missing_token: { status: 401, title: 'No access token was sent' },
  invalid_token: { status: 401, title: 'The access token is not valid' },
  token_expired: { status: 401, title: 'The access token has expired' },
  token_revoked: { status: 401, title: 'The access token has been revoked' },
  invalid_refresh_token: { status: 401, title: 'The refresh token is not valid' },
  refresh_token_reused: { status: 401, title: 'The refresh token was used before; its session has been ended' },
  invalid_mail_token: { status: 401, title: 'The link or code is not valid any more' },
  webauthn_failed: { status: 401, title: 'The passkey could not be verified' },
  reauthentication_required: { status: 401, title: 'A fresh authentication is required' },
  csrf: { status: 403, title: 'A page of another site may not make this request' },
  insufficient_permissions: { status: 403, title: 'The permissions do not suffice' },
  email_taken: { status: 409, title: 'An account with this e-mail address exists' },
  conflict: { status: 409, title: 'The request conflicts with the present state' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  precondition_failed: { status: 412, title: 'The resource has changed since it was read' },
  not_found: { status: 404, title: 'There is nothing here' },
  method_not_allowed: { status: 405, title: 'This method is not allowed here' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  uri_too_long: { status: 414, title: 'The address is too long' },
  unsupported_media_type: { status: 415, title: 'The content type must be application/json' },
  headers_too_large: { status: 431, title: 'The header fields are too large' },
  rate_limited: { status: 429, title: 'Too many requests' },
  overloaded: { status: 503, title: 'The service is busy; try again shortly' },
  revocation_state_stale: { status: 503, title: 'This node cannot prove that it knows every revocation' },
  internal_error: { status: 500, title: 'Something went wrong here' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly title: string }>>;

/** The `code` of a problem answer: a name of `errorTable`. */
export type ErrorCode = keyof typeof errorTable;

/** Every code, in the order of the table. */
export const errorCodes = Object.keys(errorTable) as readonly ErrorCode[];

/** The `type` of a problem answer (RFC 9457): a URN that ends in the code. */
export const problemType = (code: ErrorCode): string => `urn:auth-service:problem:${code}`;
