/** Statements of remembered answers. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface Remembered {
  readonly request_hash: Uint8Array;
  readonly answer: Uint8Array;
}

type Name = readonly [actor: string, route: string, key: string];

/** Held until the transaction ends; a twin that is under way has it. */
const tryLock = statement<[string], { locked: boolean }>(
  'idempotency_try_lock',
  'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked',
);

const find = statement<[string, string, string], Remembered>(
  'idempotency_find',
  `select request_hash, answer from idempotency_keys
    where actor = $1 and route = $2 and key = $3 and expires_at > clock_timestamp()`,
);

const countOfActor = statement<[string, number], { remembered: number }>(
  'idempotency_count_of_actor',
  `select count(*) as remembered from (
     select from idempotency_keys where actor = $1 and expires_at > clock_timestamp() limit $2) kept`,
);

const insert = statement<[string, string, string, Uint8Array, Uint8Array, number], never>(
  'idempotency_insert',
  `insert into idempotency_keys (actor, route, key, request_hash, answer, expires_at)
   values ($1, $2, $3, $4, $5, clock_timestamp() + $6::bigint * interval '1 second')
   on conflict (actor, route, key) do update
      set request_hash = excluded.request_hash, answer = excluded.answer, expires_at = excluded.expires_at`,
);

const deleteExpired = statement<[number], { key: string }>(
  'idempotency_delete_expired',
  `delete from idempotency_keys where (actor, route, key) in (
     select actor, route, key from idempotency_keys where expires_at <= clock_timestamp()
      order by expires_at limit $1 for update skip locked)
   returning key`,
);

export async function consumeTurn(on: Queryable, name: string): Promise<boolean> {
  return (await one(on, tryLock, [name]))?.locked === true;
}

export const findRemembered = (on: Queryable, [actor, route, key]: Name): Promise<Remembered | undefined> =>
  one(on, find, [actor, route, key]);

/** Counts no further than `max`. */
export async function countRemembered(on: Queryable, actor: string, max: number): Promise<number> {
  return (await one(on, countOfActor, [actor, max]))?.remembered ?? 0;
}

export async function insertRemembered(
  on: Queryable,
  [actor, route, key]: Name,
  { request_hash: hash, answer }: Remembered,
  seconds: number,
): Promise<void> {
  await on.run(insert, [actor, route, key, hash, answer, seconds]);
}

/** One bounded batch. */
export async function deleteExpiredRemembered(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteExpired, [limit])).length;
}
