/** POST /api/auth/validate-token: the whole path of what `validate-fast.ts` answers for the common body. */
import { ValidateAnswerSchema, ValidateBodySchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute } from '../sessions/index.ts';
import type { Validate } from './validate.ts';

export const validateTokenRoute = (
  validate: Validate,
  /** Resolves when it is known what has become of a key whose owner has just changed; `undefined`: there is nothing to wait for. */
  keyKnown: (token: string) => Promise<void> | undefined,
) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/validate-token',
    summary: 'Ask whether an access token or an API key is valid now',
    description:
      'Answered from memory: signature, claims, revocation and the freshness of what this node knows of revocations. A node that cannot prove that it knows every revocation answers 503.',
    tags: ['tokens'],
    access: { kind: 'public' },
    limit: null,
    body: ValidateBodySchema,
    unknownFields: 'ignore',
    bodyExample: { token: 'eyJ…', required_permissions: ['users:read'] },
    answers: { 200: { description: 'The verdict.', schema: ValidateAnswerSchema } },
    errors: ['revocation_state_stale'],
    async handle(request) {
      await keyKnown(request.body.token);
      const answer = validate(request.body.token, request.body);
      return answer === 'stale'
        ? refusal('revocation_state_stale', { retryAfterSeconds: 1 })
        : { status: 200, body: answer };
    },
  });
