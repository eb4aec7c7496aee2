/** POST /api/auth/reauthenticate and the options for it. */
import { ReauthenticateBodySchema, TokenAnswerSchema, WebauthnOptionsSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute, originOf } from '../sessions/index.ts';
import { refusalForFactor } from './mfa-required.ts';
import { oneProofOf, proofsOf } from './proof.ts';
import type { Reauthenticate } from './reauthenticate.ts';

export const reauthenticateRoute = (reauthenticate: Reauthenticate) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/reauthenticate',
    summary: 'Prove again who you are',
    description:
      'With one of `password`, `code`, `webauthn`. A new session, as fresh and as strong as what was proven, takes the place of the acting one, which ends. For an account with a second factor the password leads to 401 `mfa_required`.',
    tags: ['mfa'],
    access: { kind: 'bearer' },
    limit: 'login',
    body: ReauthenticateBodySchema,
    unknownFields: 'refuse',
    bodyExample: { password: 'correct horse battery' },
    answers: { 200: { description: 'Tokens of the new session.', schema: TokenAnswerSchema } },
    errors: ['invalid_credentials', 'mfa_required', 'mfa_invalid', 'account_locked', 'overloaded'],
    async handle(request) {
      const [proof, another] = proofsOf(request.body);
      if (proof === undefined || another !== undefined) return oneProofOf('password, code and webauthn');
      const { userId, sessionId, claims } = request.auth;
      const outcome = await reauthenticate.verify({
        userId,
        sessionId,
        amr: claims.amr,
        proof,
        origin: originOf(request),
      });
      if (outcome.kind === 'logged_in') return { status: 200, body: outcome.answer };
      if (outcome.kind === 'mfa_required') return refusalForFactor(outcome);
      const { code, ...rest } = outcome;
      return refusal(code, 'retryAfterSeconds' in rest ? { retryAfterSeconds: rest.retryAfterSeconds } : {});
    },
  });

export const reauthenticateOptionsRoute = (reauthenticate: Reauthenticate) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/reauthenticate/options',
    summary: 'Options to ask a passkey for a fresh authentication',
    tags: ['mfa'],
    access: { kind: 'bearer' },
    limit: 'mfa',
    unknownFields: 'refuse',
    answers: { 200: { description: 'The options.', schema: WebauthnOptionsSchema } },
    errors: ['conflict'],
    async handle(request) {
      const outcome = await reauthenticate.options(request.auth.userId);
      return outcome.kind === 'refused' ? refusal(outcome.code) : { status: 200, body: { options: outcome.options } };
    },
  });
