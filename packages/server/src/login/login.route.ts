/** POST /api/auth/login */
import { LoginBodySchema, TokenAnswerSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute, originOf } from '../sessions/index.ts';
import type { Login, LoginOutcome } from './login.ts';
import { refusalForFactor } from './mfa-required.ts';

export const loginRoute = (deps: { login: Login; onOutcome: (outcome: LoginOutcome) => void }) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/login',
    summary: 'Log in with e-mail address and password',
    description: 'An unknown address and a wrong password are answered alike, in the same time.',
    tags: ['accounts'],
    access: { kind: 'public' },
    limit: 'login',
    body: LoginBodySchema,
    unknownFields: 'refuse',
    bodyExample: { email: 'ada@example.org', password: 'correct horse battery' },
    answers: { 200: { description: 'Tokens.', schema: TokenAnswerSchema } },
    errors: [
      'invalid_credentials',
      'account_locked',
      'account_disabled',
      'email_not_verified',
      'mfa_required',
      'overloaded',
    ],
    async handle(request) {
      const { email, password, device_token: deviceToken } = request.body;
      const outcome = await deps.login({ email, password, deviceToken, origin: originOf(request) });
      deps.onOutcome(outcome);
      if (outcome.kind === 'logged_in') return { status: 200, body: outcome.answer };
      if (outcome.kind === 'mfa_required') return refusalForFactor(outcome);
      const { retryAfterSeconds } = outcome;
      return refusal(outcome.code, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
    },
  });
