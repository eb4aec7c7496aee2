/** POST /api/auth/refresh-token */
import { RefreshBodySchema, TokenAnswerSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { defineRoute, originOf, RotationQueueFull } from '../sessions/index.ts';
import type { Refresh } from './refresh.ts';

export const refreshTokenRoute = (refresh: Refresh) =>
  defineRoute({
    method: 'POST',
    path: '/api/auth/refresh-token',
    summary: 'Exchange a refresh token for new tokens',
    description:
      'Each refresh token is used once. A retry within the grace period gets the same successor, as long as that was not used itself; any other reuse ends the session.',
    tags: ['tokens'],
    access: { kind: 'public' },
    limit: 'refresh',
    body: RefreshBodySchema,
    unknownFields: 'ignore',
    onlyForThePresent: true,
    bodyExample: { refresh_token: 'rt_…' },
    answers: { 200: { description: 'New tokens.', schema: TokenAnswerSchema } },
    errors: ['invalid_refresh_token', 'refresh_token_reused', 'overloaded'],
    async handle(request) {
      try {
        const outcome = await refresh(request.body.refresh_token, originOf(request));
        if (outcome.kind === 'refused') return refusal(outcome.code);
        return { status: 200, body: outcome.answer };
      } catch (error) {
        if (error instanceof RotationQueueFull) return refusal('overloaded', { retryAfterSeconds: 1 });
        throw error;
      }
    },
  });
