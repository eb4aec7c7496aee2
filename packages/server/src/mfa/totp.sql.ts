/** Statements of authenticator apps: the one that counts, and the one that waits for its first code. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface TotpRow {
  readonly id: string;
  readonly secret: Uint8Array;
  readonly confirmed_at: Date | null;
  /** Wrong codes since the last right one. */
  readonly failures: number;
}

const columns = 'id, secret, confirmed_at, failures';

const findConfirmed = statement<[string], TotpRow>(
  'totp_find_confirmed',
  `select ${columns} from totp_factors where user_id = $1 and confirmed_at is not null`,
);

const findWaiting = statement<[string], TotpRow>(
  'totp_find_waiting',
  `select ${columns} from totp_factors
    where user_id = $1 and confirmed_at is null and expires_at > clock_timestamp()`,
);

const insertWaiting = statement<[string, string, Uint8Array, number], { id: string }>(
  'totp_insert_waiting',
  `insert into totp_factors (id, user_id, secret, expires_at)
   values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
   on conflict (user_id) where confirmed_at is null
      do update set id = excluded.id, secret = excluded.secret, created_at = now(), expires_at = excluded.expires_at
   returning id`,
);

const updateConfirmed = statement<[string, number], { id: string }>(
  'totp_update_confirmed',
  `update totp_factors set confirmed_at = clock_timestamp(), expires_at = null, last_step = $2
    where id = $1 and confirmed_at is null and expires_at > clock_timestamp() returning id`,
);

const consumeStep = statement<[string, number, number], { id: string }>(
  'totp_consume_step',
  `update totp_factors set last_step = $2, failures = 0
    where id = $1 and confirmed_at is not null and last_step < $2 and failures < $3 returning id`,
);

const updateFailures = statement<[string], { id: string }>(
  'totp_update_failures',
  'update totp_factors set failures = failures + 1 where id = $1 returning id',
);

const updateSecret = statement<[string, Uint8Array, Uint8Array], { id: string }>(
  'totp_update_secret',
  'update totp_factors set secret = $3 where id = $1 and secret = $2 returning id',
);

const listSealed = statement<[string, number], SealedTotp>(
  'totp_list_sealed',
  'select id, user_id, secret from totp_factors where id > $1 order by id limit $2',
);

export interface SealedTotp {
  readonly id: string;
  readonly user_id: string;
  readonly secret: Uint8Array;
}

const deleteConfirmed = statement<[string], { id: string }>(
  'totp_delete_confirmed',
  'delete from totp_factors where user_id = $1 and confirmed_at is not null returning id',
);

const deleteAll = statement<[string], { id: string }>(
  'totp_delete_all',
  'delete from totp_factors where user_id = $1 returning id',
);

const deleteExpired = statement<[number], { readonly count: number }>(
  'totp_delete_expired',
  `with gone as (
     delete from totp_factors where id in (
       select id from totp_factors where confirmed_at is null and expires_at <= clock_timestamp()
        order by expires_at limit $1 for update skip locked)
     returning 1)
   select count(*) as count from gone`,
);

export function findConfirmedTotp(on: Queryable, userId: string): Promise<TotpRow | undefined> {
  return one(on, findConfirmed, [userId]);
}

export function findWaitingTotp(on: Queryable, userId: string): Promise<TotpRow | undefined> {
  return one(on, findWaiting, [userId]);
}

/** In the place of the one that waited before. */
export async function insertWaitingTotp(
  on: Queryable,
  totp: { readonly id: string; readonly userId: string; readonly secret: Uint8Array; readonly lifeSeconds: number },
): Promise<void> {
  await one(on, insertWaiting, [totp.id, totp.userId, totp.secret, totp.lifeSeconds]);
}

/** `step`: of the code that confirmed it, which thereby was used. */
export async function updateTotpConfirmed(on: Queryable, id: string, step: number): Promise<boolean> {
  return (await one(on, updateConfirmed, [id, step])) !== undefined;
}

/** So many wrong codes in a row, and the app is worth nothing until it is replaced (NIST SP 800-63B section 3.2.2). */
export const totpFailuresMax = 100;

/** False when a code of this step or of a later one was accepted before: of any number at once one is true. */
export async function consumeTotpStep(on: Queryable, id: string, step: number): Promise<boolean> {
  return (await one(on, consumeStep, [id, step, totpFailuresMax])) !== undefined;
}

export async function updateTotpFailures(on: Queryable, id: string): Promise<void> {
  await one(on, updateFailures, [id]);
}

/** Exactly the sealed secret that was read. */
export async function updateTotpSecret(on: Queryable, id: string, from: Uint8Array, to: Uint8Array): Promise<boolean> {
  return (await one(on, updateSecret, [id, from, to])) !== undefined;
}

/** In the order of their ids. */
export const listSealedTotp = (on: Queryable, afterId: string, limit: number): Promise<readonly SealedTotp[]> =>
  on.run(listSealed, [afterId, limit]);

export async function deleteConfirmedTotp(on: Queryable, userId: string): Promise<boolean> {
  return (await one(on, deleteConfirmed, [userId])) !== undefined;
}

export async function deleteTotpOfUser(on: Queryable, userId: string): Promise<number> {
  return (await on.run(deleteAll, [userId])).length;
}

export async function deleteExpiredTotp(on: Queryable, limit: number): Promise<number> {
  return (await one(on, deleteExpired, [limit]))?.count ?? 0;
}
