/** GET /api/auth/revocations/feed */
import { RevocationFeedQuerySchema, RevocationFeedSchema } from '@auth-service/protocol';
import { refusal } from '../platform/http/index.ts';
import { type Feed, streamFeed, toFeedBody } from '../revocation/index.ts';
import { bearerOf, defineRoute } from '../sessions/index.ts';
import type { Validate } from './validate.ts';

const permission = 'revocations:read';
const waitSecondsMax = 30;

export const revocationFeedRoute = (deps: {
  readonly feed: Feed;
  readonly validate: Validate;
  readonly monotonicMs: () => number;
  readonly sleep: Parameters<typeof streamFeed>[2]['sleep'];
  readonly onFailed: (error: unknown) => void;
}) =>
  defineRoute({
    method: 'GET',
    path: '/api/auth/revocations/feed',
    summary: 'Follow the revocations',
    description:
      'For services that verify tokens themselves. Without a cursor the whole live set in pages (`full_set`, `more`), with one what came since (`diff_set`), after `wait` seconds at the latest; with `Accept: text/event-stream` as server-sent events, whose `id` is the cursor. Entries may come again and are merged. `age_ms` tells how old this node’s proof was when it answered: only an answer to a request proves freshness, counted from before that was sent, less this age. A cursor is good on every node; one that is refused is replaced by none.',
    tags: ['sessions'],
    access: { kind: 'bearer', permission, certificates: true },
    limit: 'api',
    query: RevocationFeedQuerySchema,
    unknownFields: 'ignore',
    deadlineMs: (waitSecondsMax + 10) * 1_000,
    answers: { 200: { description: 'Part of the feed.', schema: RevocationFeedSchema } },
    errors: ['validation_failed', 'overloaded'],
    async handle(request) {
      const { cursor, wait } = request.query;
      if (request.headers.accept?.includes('text/event-stream') === true) {
        const lastId = request.headers['last-event-id'];
        const from = typeof lastId === 'string' && lastId !== '' ? lastId : cursor;
        // Before the answer begins: what cannot be followed is told by a status.
        const first = await deps.feed.read(from);
        if (first.kind !== 'answer') return refused(first.kind);
        if (deps.feed.isFull()) return refused('too_many');
        const token = bearerOf(request) ?? '';
        const byToken = (): boolean => {
          const verdict = deps.validate(token, { required_permissions: [permission] });
          return verdict !== 'stale' && verdict.valid;
        };
        const byCertificate = (): boolean => request.certificate?.problem() === undefined;
        const options = {
          cursor: from,
          mayRead: request.auth === null ? byCertificate : byToken,
          ...{ monotonicMs: deps.monotonicMs, sleep: deps.sleep },
        };
        return {
          status: 200,
          contentType: 'text/event-stream',
          headers: { 'X-Accel-Buffering': 'no' },
          stream: (out) => {
            streamFeed(deps.feed, out, options).catch(deps.onFailed);
          },
        };
      }
      const found = await deps.feed.wait(cursor, Math.min(wait ?? 0, waitSecondsMax) * 1_000);
      return found.kind === 'answer' ? { status: 200, body: toFeedBody(found) } : refused(found.kind);
    },
  });

function refused(kind: 'stale' | 'unknown_cursor' | 'too_many') {
  if (kind === 'stale') return refusal('revocation_state_stale', { retryAfterSeconds: 1 });
  if (kind === 'too_many') return refusal('overloaded', { retryAfterSeconds: 1 });
  const detail = 'This is no cursor of the feed: begin again without one.';
  return refusal('validation_failed', { errors: [{ pointer: '/cursor', code: 'invalid', detail }] });
}
