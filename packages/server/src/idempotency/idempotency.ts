/** See `index.ts`. */
import { createHash } from 'node:crypto';
import type { RootSecret } from '../keys/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import { type Refusal, type RouteAnswer, refusal } from '../platform/http/index.ts';
import {
  consumeTurn,
  countRemembered,
  deleteExpiredRemembered,
  findRemembered,
  insertRemembered,
} from './idempotency.sql.ts';

/** The part of a request that this looks at. */
export interface KeyedRequest {
  readonly method: string;
  readonly route: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: unknown;
}

/**
 * Runs `make` in one transaction, once for each `Idempotency-Key` of an actor. A refusal changes nothing and is not remembered;
 * without the header it simply runs. `make` must answer JSON and end no tokens: a receipt is not to be told twice.
 */
export type Once = (
  request: KeyedRequest,
  actor: string,
  make: (tx: Queryable) => Promise<RouteAnswer | Refusal>,
) => Promise<RouteAnswer | Refusal>;

const rememberedSeconds = 86_400;
const perActorMax = 10_000;
/** Each that is written takes so many expired ones away: the table does not outgrow a day's creations. */
const sweepMax = 20;
const keyShape = /^[\x21-\x7e]{1,255}$/;

export function createOnce(deps: { readonly db: Database; readonly root: RootSecret }): Once {
  const { db, root } = deps;
  return (request, actor, make) => {
    const key = request.headers['idempotency-key'];
    if (key === undefined) return db.transaction(make);
    if (typeof key !== 'string' || !keyShape.test(key)) return Promise.resolve(malformedKey);
    const name = [actor, `${request.method} ${request.route}`, key] as const;
    const label = JSON.stringify(name);
    const hash = createHash('sha256').update(JSON.stringify(request.body)).digest();
    return db.transaction(async (tx) => {
      if (!(await consumeTurn(tx, `auth-service/idempotency/${label}`))) return underWay;
      const before = await findRemembered(tx, name);
      if (before !== undefined) {
        if (!hash.equals(before.request_hash)) return anotherRequest;
        const opened = root.open('idempotency', label, before.answer);
        // Sealed under a root secret that is gone: what was created is there, how it was answered nobody knows.
        if (opened === undefined) return forgotten;
        const answer = JSON.parse(opened.plain.toString()) as RouteAnswer;
        return { ...answer, headers: { ...answer.headers, 'Idempotency-Replayed': 'true' } };
      }
      if ((await countRemembered(tx, actor, perActorMax)) >= perActorMax) return tooMany;
      const made = await make(tx);
      if ('kind' in made) return made;
      const answer = root.seal('idempotency', label, Buffer.from(JSON.stringify(made)));
      await insertRemembered(tx, name, { request_hash: hash, answer }, rememberedSeconds);
      await deleteExpiredRemembered(tx, sweepMax);
      return made;
    });
  };
}

const invalid = (detail: string): Refusal =>
  refusal('validation_failed', { detail, errors: [{ pointer: '', code: 'invalid', detail }] });
const malformedKey = invalid('An Idempotency-Key is 1 to 255 printable characters of ASCII, without spaces.');
const anotherRequest = invalid('This Idempotency-Key was used with another body.');
const underWay = refusal('conflict', {
  detail: 'A request with this Idempotency-Key is under way.',
  headers: { 'Retry-After': '1' },
});
const forgotten = refusal('conflict', { detail: 'What this Idempotency-Key asked for was done; its answer is lost.' });
const tooMany = refusal('rate_limited', {
  detail: 'Too many Idempotency-Keys of this caller are remembered.',
  retryAfterSeconds: 60,
});
