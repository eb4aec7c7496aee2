/** Which proof a body carries: exactly one. */
import type { Proof } from '../mfa/index.ts';
import { type Refusal, refusal } from '../platform/http/index.ts';

interface Body {
  readonly password?: string | undefined;
  readonly code?: string | undefined;
  readonly recovery_code?: string | undefined;
  readonly webauthn?: Readonly<Record<string, unknown>> | undefined;
}

export type PasswordOrFactor = { readonly kind: 'password'; readonly password: string } | Proof;

export function proofsOf(body: Body): readonly PasswordOrFactor[] {
  return [
    ...(body.password === undefined ? [] : [{ kind: 'password' as const, password: body.password }]),
    ...(body.code === undefined ? [] : [{ kind: 'totp' as const, code: body.code }]),
    ...(body.recovery_code === undefined ? [] : [{ kind: 'recovery_code' as const, code: body.recovery_code }]),
    ...(body.webauthn === undefined ? [] : [{ kind: 'webauthn' as const, response: body.webauthn }]),
  ];
}

export const oneProofOf = (names: string): Refusal =>
  refusal('validation_failed', {
    errors: [{ pointer: '', code: 'invalid', detail: `Exactly one of ${names} is wanted.` }],
  });
