/** Statements of the devices that a user has logged in with. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

const insert = statement<[string, Uint8Array], { known: boolean; others: number }>(
  'known_devices_insert',
  `with before as (
     select count(*) as others, coalesce(bool_or(device = $2), false) as known from known_devices where user_id = $1),
   seen as (
     insert into known_devices as k (user_id, device) values ($1, $2)
     on conflict (user_id, device) do update set seen_at = clock_timestamp()
      where k.seen_at < clock_timestamp() - interval '1 day')
   select known, others from before`,
);

/** Whether this device was used for the account before, and how many were. The caller has locked the user's row. */
export async function insertKnownDevice(
  on: Queryable,
  userId: string,
  device: Uint8Array,
): Promise<{ readonly known: boolean; readonly others: number }> {
  const row = await one(on, insert, [userId, device]);
  if (row === undefined) throw new Error('this statement always answers a row');
  return row;
}

const deleteOld = statement<[number], { user_id: string }>(
  'known_devices_delete_old',
  `delete from known_devices k using (
     select user_id, device from known_devices where seen_at < clock_timestamp() - interval '400 days'
      order by seen_at limit $1 for update skip locked) gone
    where k.user_id = gone.user_id and k.device = gone.device
   returning k.user_id`,
);

const sweepRowsMax = 1_000;

export async function deleteOldDevices(on: Queryable): Promise<number> {
  return (await on.run(deleteOld, [sweepRowsMax])).length;
}
