/**
 * Things that are created once, however often a client that heard no answer asks again.
 *
 * - The same `Idempotency-Key` of the same caller on the same route answers the first answer again for 24 hours, byte for byte,
 *   marked `Idempotency-Replayed: true`; with another body 422, while the first is under way 409.
 * - The answer is written by the transaction that creates: a crash leaves both or neither.
 * - Answers are sealed under the root secret, for they may hold what is shown only once. A caller has at most 10,000 of them.
 * - Without the database: 503, and the same key goes on later.
 */

export { deleteExpiredRemembered } from './idempotency.sql.ts';
export { createOnce, type KeyedRequest, type Once } from './idempotency.ts';
