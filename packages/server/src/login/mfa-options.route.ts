/** POST /api/auth/mfa/webauthn/options */
import { MfaOptionsBodySchema, WebauthnOptionsSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute } from '../sessions/index.ts';
import type { SecondStep } from './second-step.ts';

export const mfaOptionsRoute = (secondStep: SecondStep) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/mfa/webauthn/options',
    summary: 'Options to ask a passkey as the second factor',
    description: 'For the passkeys of the account that the `mfa_token` is of.',
    tags: ['mfa'],
    access: { kind: 'public' },
    limit: 'mfa',
    body: MfaOptionsBodySchema,
    unknownFields: 'refuse',
    bodyExample: { mfa_token: 'mfa_…' },
    answers: { 200: { description: 'The options.', schema: WebauthnOptionsSchema } },
    errors: ['mfa_token_invalid', 'conflict'],
    async handle(request) {
      const outcome = await secondStep.options(request.body.mfa_token);
      return outcome.kind === 'refused' ? refusal(outcome.code) : { status: 200, body: { options: outcome.options } };
    },
  });
