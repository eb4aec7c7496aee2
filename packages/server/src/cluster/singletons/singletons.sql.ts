/**
 * Statements of singletons and of registered names.
 *
 * Ends of leases are compared on the database's clock alone. A lease that ends later than any can be given shows that this clock
 * went back, and counts as ended: who lives has renewed it within a second.
 *
 * The fence is a row lock. A write holds the row `for key share` until its transaction ends; to take the row from another needs
 * `for update`, which those two exclude; to renew the lease is a plain update, which they do not.
 */
import { one, type Queryable, statement } from '../../platform/database/index.ts';

const lease = (parameter: string): string => `${parameter}::float8 * interval '1 millisecond'`;
const isHeld = (parameter: string): string =>
  `(s.owner is not null and s.lease_until > clock_timestamp() and s.lease_until <= clock_timestamp() + 2 * ${lease(parameter)})`;

export interface SingletonRow {
  readonly name: string;
  /** `null` for a registered name without work. */
  readonly kind: string | null;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly owner: string | null;
  readonly node: string | null;
  readonly fence: number;
  readonly since: Date | null;
  readonly last_run: Date | null;
  readonly last_result: string | null;
  /** What the latest run told. */
  readonly detail: Readonly<Record<string, unknown>>;
  readonly is_held: boolean;
}

const list = statement<[number], SingletonRow>(
  'singletons_list',
  `select s.name, s.kind, s.spec, s.owner, s.node, s.fence, s.since, s.last_run, s.last_result, s.detail,
          ${isHeld('$1')} as is_held
     from singletons s order by s.name`,
);

export const listSingletons = (on: Queryable, leaseMs: number): Promise<readonly SingletonRow[]> =>
  on.run(list, [leaseMs]);

const insert = statement<[string, string | null, object], { name: string }>(
  'singletons_insert',
  'insert into singletons (name, kind, spec) values ($1, $2, $3::jsonb) on conflict (name) do nothing returning name',
);

/** Answers whether the name was free. */
export async function insertSingleton(
  on: Queryable,
  child: { readonly name: string; readonly kind: string | null; readonly spec: Readonly<Record<string, unknown>> },
): Promise<boolean> {
  return (await one(on, insert, [child.name, child.kind, child.spec])) !== undefined;
}

export interface TakenRow {
  readonly name: string;
  readonly kind: string | null;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly fence: number;
  /** Since its latest run on any node. */
  readonly ran_ms_ago: number | null;
}

/**
 * Takes those that nobody holds, or that are ours from an earlier life. One whose holder is writing is left for later. With a
 * `spec` names without work are meant, else those with.
 */
const take = statement<[string, string, readonly string[], number, object | null], TakenRow>(
  'singletons_consume_free',
  `with free as (
     select s.name from singletons s
      where s.name = any($3::text[]) and (s.kind is null) = ($5::jsonb is not null) and (s.owner = $1 or not ${isHeld('$4')})
        for update skip locked)
   update singletons s
      set owner = $1, node = $2, fence = nextval('singleton_fences'), since = clock_timestamp(),
          lease_until = clock_timestamp() + ${lease('$4')}, spec = coalesce($5::jsonb, s.spec)
     from free f where s.name = f.name
   returning s.name, s.kind, s.spec, s.fence,
             (extract(epoch from clock_timestamp() - s.last_run) * 1000)::float8 as ran_ms_ago`,
);

export interface Owner {
  readonly incarnation: string;
  readonly name: string;
}

export const consumeFree = (
  on: Queryable,
  owner: Owner,
  names: readonly string[],
  leaseMs: number,
  spec: Readonly<Record<string, unknown>> | null,
): Promise<readonly TakenRow[]> => on.run(take, [owner.incarnation, owner.name, names, leaseMs, spec]);

const renew = statement<[string, readonly string[], readonly number[], number], { name: string }>(
  'singletons_update_lease',
  `update singletons s set lease_until = clock_timestamp() + ${lease('$4')}
     from unnest($2::text[], $3::bigint[]) as h (name, fence)
    where s.name = h.name and s.fence = h.fence and s.owner = $1
   returning s.name`,
);

/** Answers the names that are still held. */
export async function updateSingletonLeases(
  on: Queryable,
  incarnation: string,
  held: readonly { readonly name: string; readonly fence: number }[],
  leaseMs: number,
): Promise<ReadonlySet<string>> {
  const names = held.map((one) => one.name);
  const fences = held.map((one) => one.fence);
  const rows = await on.run(renew, [incarnation, names, fences, leaseMs]);
  return new Set(rows.map((row) => row.name));
}

interface HeldKey {
  readonly name: string;
  readonly owner: string;
  readonly fence: number;
}

const pass = statement<[string, string, number, string | null, string | null, number], { name: string }>(
  'singletons_update_owner',
  `update singletons
      set owner = $4::uuid, node = $5, fence = nextval('singleton_fences'), since = clock_timestamp(),
          lease_until = case when $4::uuid is null then '-infinity' else clock_timestamp() + ${lease('$6')} end
    where name = $1 and owner = $2 and fence = $3
   returning name`,
);

/** Hands it to another node, which has the length of a lease to take it up, or to whoever comes. */
export async function updateSingletonOwner(
  on: Queryable,
  held: HeldKey,
  next: Owner | null,
  leaseMs: number,
): Promise<void> {
  await on.run(pass, [held.name, held.owner, held.fence, next?.incarnation ?? null, next?.name ?? null, leaseMs]);
}

const findFence = statement<[string, string, number], { fence: number }>(
  'singletons_find_fence',
  'select fence from singletons where name = $1 and owner = $2 and fence = $3 for key share',
);

/** Until the transaction ends nobody else can take it. */
export async function lockFence(tx: Queryable, held: HeldKey): Promise<boolean> {
  return (await one(tx, findFence, [held.name, held.owner, held.fence])) !== undefined;
}

const recordRun = statement<[string, string, number, string, object | null], never>(
  'singletons_update_run',
  `update singletons set last_run = clock_timestamp(), last_result = $4, detail = coalesce($5::jsonb, detail)
    where name = $1 and owner = $2 and fence = $3`,
);

export async function updateSingletonRun(
  on: Queryable,
  held: HeldKey,
  result: string,
  detail: Readonly<Record<string, unknown>> | null,
): Promise<void> {
  await on.run(recordRun, [held.name, held.owner, held.fence, result, detail]);
}

const deleteChild = statement<[string], { name: string }>(
  'singletons_delete',
  'delete from singletons where name = $1 and kind is not null returning name',
);

export async function deleteSingleton(on: Queryable, name: string): Promise<boolean> {
  return (await one(on, deleteChild, [name])) !== undefined;
}

const deleteName = statement<[string, string, number], never>(
  'singletons_delete_registration',
  'delete from singletons where name = $1 and owner = $2 and fence = $3 and kind is null',
);

export async function deleteRegistration(on: Queryable, held: HeldKey): Promise<void> {
  await on.run(deleteName, [held.name, held.owner, held.fence]);
}

const deleteDeadNames = statement<[number], { name: string }>(
  'singletons_delete_dead_registrations',
  `delete from singletons where name in (
     select s.name from singletons s where s.kind is null and s.lease_until < clock_timestamp() - interval '1 hour'
      limit $1 for update skip locked)
   returning name`,
);

/** Names whose node went without a word; one bounded batch. */
export async function deleteDeadRegistrations(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteDeadNames, [limit])).length;
}
