/**
 * Statements of mailed secrets. One live secret of a purpose a user: a newer one takes the row of the older. A secret is worth
 * something once, before its end, for its purpose, while the account is active and has the address and the credentials that it had.
 */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export type MailPurpose = 'verify_email' | 'reset_password' | 'change_email';

/** Credentials that take effect with the proof of the address. */
export interface PendingCredentials {
  readonly password_hash: string;
  readonly first_name: string | null;
  readonly last_name: string | null;
}

export interface MailTokenRow {
  readonly user_id: string;
  readonly purpose: MailPurpose;
  /** The address that the secret was mailed to. */
  readonly email: string;
  readonly email_key: string;
  readonly credential_version: number;
  readonly session_id: string | null;
  readonly pending: PendingCredentials | null;
}

/** Nothing for nobody, by the same statement. A second registration's credentials stay when the mail is asked for again. */
const insert = statement<
  [string | null, string, Uint8Array, string, string, number, string | null, string | null, number],
  never
>(
  'mail_tokens_insert',
  `insert into mail_tokens as t
     (user_id, purpose, hash, email, email_key, credential_version, session_id, pending, created_at, expires_at)
   select $1::uuid, $2, $3, $4, $5, $6::bigint, $7::uuid, $8::jsonb, clock_timestamp(),
          clock_timestamp() + make_interval(secs => $9::float8)
    where $1::uuid is not null
   on conflict (user_id, purpose) do update
      set hash = excluded.hash, email = excluded.email, email_key = excluded.email_key,
          credential_version = excluded.credential_version, session_id = excluded.session_id,
          pending = case when t.email_key = excluded.email_key and t.credential_version = excluded.credential_version
                         then coalesce(excluded.pending, t.pending) else excluded.pending end,
          created_at = excluded.created_at, expires_at = excluded.expires_at`,
);

export async function insertMailToken(
  on: Queryable,
  token: {
    readonly userId: string | null;
    readonly purpose: MailPurpose;
    readonly hash: Uint8Array;
    readonly email: string;
    readonly emailKey: string;
    readonly credentialVersion: number;
    readonly sessionId: string | null;
    readonly pending: PendingCredentials | null;
    readonly validSeconds: number;
  },
): Promise<void> {
  await on.run(insert, [
    token.userId,
    token.purpose,
    token.hash,
    token.email,
    token.emailKey,
    token.credentialVersion,
    token.sessionId,
    token.pending === null ? null : JSON.stringify(token.pending),
    token.validSeconds,
  ]);
}

const columns = 't.user_id, t.purpose, t.email, t.email_key, t.credential_version, t.session_id, t.pending';
const isLive = `t.user_id = u.id and t.hash = $1 and t.purpose = any ($2::text[]) and t.expires_at > clock_timestamp()
      and u.status = 'active' and u.device_epoch = t.credential_version
      and (t.purpose = 'change_email' or u.email_key = t.email_key)`;

const find = statement<[Uint8Array, readonly string[]], MailTokenRow>(
  'mail_tokens_find',
  `select ${columns} from mail_tokens t, users u where ${isLive}`,
);

/** Looks without using it up. */
export const findMailToken = (
  on: Queryable,
  hash: Uint8Array,
  purposes: readonly MailPurpose[],
): Promise<MailTokenRow | undefined> => one(on, find, [hash, purposes]);

const consume = statement<[Uint8Array, readonly string[]], MailTokenRow>(
  'mail_tokens_consume',
  `delete from mail_tokens t using users u where ${isLive} returning ${columns}`,
);

/** Uses it up: of any number at once, one is answered with the row. */
export const consumeMailToken = (
  on: Queryable,
  hash: Uint8Array,
  purposes: readonly MailPurpose[],
): Promise<MailTokenRow | undefined> => one(on, consume, [hash, purposes]);

const deleteExpired = statement<[number], { user_id: string }>(
  'mail_tokens_delete_expired',
  `delete from mail_tokens t using (
     select user_id, purpose from mail_tokens where expires_at < clock_timestamp() - interval '7 days'
      order by expires_at limit $1 for update skip locked) gone
    where t.user_id = gone.user_id and t.purpose = gone.purpose
   returning t.user_id`,
);

/** Long after their end: what a second registration brought outlives its mail for a while. */
export async function deleteExpiredMailTokens(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteExpired, [limit])).length;
}

const throttle = statement<[Uint8Array, number], { allowed: boolean }>(
  'mail_throttles_insert',
  `insert into mail_throttles as t (key, times) values ($1, array[clock_timestamp()])
   on conflict (key) do update
      set times = array(select at from unnest(t.times) at where at > clock_timestamp() - interval '1 hour' order by at)
                  || clock_timestamp(),
          updated_at = clock_timestamp()
    where (select count(*) from unnest(t.times) at where at > clock_timestamp() - interval '1 hour') < $2
   returning true as allowed`,
);

/** Counts a mail to this address; false when so many went within the hour, and then it is not counted. */
export async function insertThrottled(on: Queryable, key: Uint8Array, hourlyMax: number): Promise<boolean> {
  return (await one(on, throttle, [key, hourlyMax]))?.allowed === true;
}

const deleteThrottles = statement<[number], { key: Uint8Array }>(
  'mail_throttles_delete_old',
  `delete from mail_throttles where key in (
     select key from mail_throttles where updated_at < clock_timestamp() - interval '1 hour'
      order by updated_at limit $1 for update skip locked)
   returning key`,
);

export async function deleteOldThrottles(on: Queryable, limit: number): Promise<number> {
  return (await on.run(deleteThrottles, [limit])).length;
}
