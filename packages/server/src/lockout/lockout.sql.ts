/**
 * Statements of the lockout counters. A row is `failures` that count and `reserved` attempts that are still being checked;
 * together they never exceed the limit, so no number of parallel guesses gets more hashes than that.
 *
 * All times are the database's, so nodes whose clocks differ agree. A row that was not touched for the lockout's duration
 * counts as empty; a reservation whose process died counts for a minute.
 */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface LockoutLimits {
  readonly maxAttempts: number;
  readonly durationSeconds: number;
}

export type Reservation =
  | { readonly kind: 'reserved' }
  | { readonly kind: 'locked'; readonly retryAfterSeconds: number }
  /** Not locked, but the undecided attempts of others could still lock it. */
  | { readonly kind: 'busy' };

interface ReserveRow {
  readonly reserved: boolean;
  readonly locked_seconds: number | null;
}

const reservationSeconds = 60;

/** `$2` is the limit, `$3` the duration; a lock that ended and failures that faded are forgotten by whoever comes next. */
const faded = `(l.locked_until is not null and l.locked_until <= clock_timestamp()
     or l.updated_at <= clock_timestamp() - make_interval(secs => $3))`;
const failures = `(case when ${faded} then 0 else l.failures end)`;
const reserved = `(case when l.updated_at <= clock_timestamp() - interval '${reservationSeconds} seconds' then 0 else l.reserved end)`;

const insertReservation = statement<[Uint8Array, number, number], ReserveRow>(
  'lockout_insert_reservation',
  `with taken as (
     insert into lockouts as l (key, failures, reserved, updated_at) values ($1, 0, 1, clock_timestamp())
     on conflict (key) do update
        set failures = ${failures}, reserved = ${reserved} + 1, locked_until = null, updated_at = clock_timestamp()
      where (l.locked_until is null or l.locked_until <= clock_timestamp()) and ${failures} + ${reserved} < $2
     returning 1)
   select exists (select 1 from taken) as reserved,
          (select extract(epoch from coalesce(l.locked_until, l.updated_at + make_interval(secs => $3))
                  - clock_timestamp())::float8
             from lockouts l
            where l.key = $1 and not ${faded} and (l.locked_until is not null or l.failures >= $2)) as locked_seconds`,
);

/** Takes one attempt, or tells why there is none to take. */
export async function insertReservationOf(on: Queryable, key: Uint8Array, limits: LockoutLimits): Promise<Reservation> {
  const row = await one(on, insertReservation, [key, limits.maxAttempts, limits.durationSeconds]);
  if (row === undefined) throw new Error('a reservation always answers a row');
  if (row.reserved) return { kind: 'reserved' };
  if (row.locked_seconds === null) return { kind: 'busy' };
  return { kind: 'locked', retryAfterSeconds: Math.max(1, Math.ceil(row.locked_seconds)) };
}

const updateFailed = statement<[Uint8Array, number, number], { readonly failures: number }>(
  'lockout_update_failed',
  `update lockouts
      set reserved = greatest(reserved - 1, 0), failures = failures + 1, updated_at = clock_timestamp(),
          locked_until = case when failures + 1 >= $2 then clock_timestamp() + make_interval(secs => $3) end
    where key = $1
   returning failures`,
);

/** The attempt failed. `lockedNow` for exactly the failure that reached the limit. */
export async function updateFailedAttempt(
  on: Queryable,
  key: Uint8Array,
  limits: LockoutLimits,
): Promise<{ readonly lockedNow: boolean }> {
  const row = await one(on, updateFailed, [key, limits.maxAttempts, limits.durationSeconds]);
  return { lockedNow: row?.failures === limits.maxAttempts };
}

const updateSucceeded = statement<[Uint8Array], never>(
  'lockout_update_succeeded',
  `update lockouts
      set reserved = greatest(reserved - 1, 0), failures = 0, locked_until = null, updated_at = clock_timestamp()
    where key = $1`,
);

/** The attempt was right: what failed before it no longer counts. */
export async function updateSucceededAttempt(on: Queryable, key: Uint8Array): Promise<void> {
  await on.run(updateSucceeded, [key]);
}

const updateReleased = statement<[Uint8Array], never>(
  'lockout_update_released',
  'update lockouts set reserved = greatest(reserved - 1, 0) where key = $1',
);

/** The attempt was not decided (overload, failure): it counts for nothing. */
export async function updateReleasedAttempt(on: Queryable, key: Uint8Array): Promise<void> {
  await on.run(updateReleased, [key]);
}

const deleteOne = statement<[Uint8Array], { readonly key: Uint8Array }>(
  'lockout_delete',
  'delete from lockouts where key = $1 returning key',
);

export async function deleteLockout(on: Queryable, key: Uint8Array): Promise<boolean> {
  return (await on.run(deleteOne, [key])).length > 0;
}

const deleteFaded = statement<[number, number], { readonly count: number }>(
  'lockout_delete_faded',
  `with gone as (
     delete from lockouts where key in (
       select key from lockouts
        where updated_at < clock_timestamp() - make_interval(secs => $1)
          and (locked_until is null or locked_until <= clock_timestamp())
        order by updated_at limit $2
        for update skip locked)
     returning 1)
   select count(*) as count from gone`,
);

/** Removes rows that count for nothing any more, so many at a time. */
export async function deleteFadedLockouts(on: Queryable, durationSeconds: number, limit: number): Promise<number> {
  const row = await one(on, deleteFaded, [Math.max(durationSeconds, reservationSeconds), limit]);
  return row?.count ?? 0;
}
