/** POST /api/auth/register */
import { RegisterBodySchema, TokenAnswerSchema, VerificationSentSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute, originOf } from '../sessions/index.ts';
import type { Register, RegisterOutcome } from './register.ts';

export const registerRoute = (deps: { register: Register; onOutcome: (outcome: RegisterOutcome) => void }) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/register',
    summary: 'Create an account',
    tags: ['accounts'],
    access: { kind: 'public' },
    limit: 'register',
    body: RegisterBodySchema,
    unknownFields: 'refuse',
    bodyExample: { user: { email: 'ada@example.org', password: 'correct horse battery', first_name: 'Ada' } },
    answers: {
      201: { description: 'The account exists and is logged in.', schema: TokenAnswerSchema },
      202: {
        description: 'Where addresses must be verified: the same for a new and for a known one.',
        schema: VerificationSentSchema,
      },
    },
    errors: ['email_taken', 'overloaded'],
    async handle(request) {
      const { email, password, first_name: firstName, last_name: lastName } = request.body.user;
      const outcome = await deps.register({
        email,
        password,
        firstName: firstName ?? null,
        lastName: lastName ?? null,
        origin: originOf(request),
      });
      deps.onOutcome(outcome);
      if (outcome.kind === 'registered') return { status: 201, body: outcome.answer };
      if (outcome.kind === 'verification_sent') return { status: 202, body: { status: 'verification_sent' } };
      if (outcome.code === 'validation_failed') return refusal(outcome.code, { errors: outcome.errors });
      return refusal(outcome.code);
    },
  });
