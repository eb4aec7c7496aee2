/** Statements of the outbox: what callers put in, and what administrators see of it. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

const insert = statement<[string, string, Uint8Array, number], never>(
  'mail_outbox_insert',
  `insert into mail_outbox (id, kind, payload, expires_at)
   values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))`,
);

export async function insertOutbox(
  on: Queryable,
  mail: { id: string; kind: string; payload: Uint8Array; usefulSeconds: number },
): Promise<void> {
  await on.run(insert, [mail.id, mail.kind, mail.payload, mail.usefulSeconds]);
}

export interface DeadMail {
  readonly id: string;
  readonly kind: string;
  readonly attempts: number;
  readonly created_at: Date;
  readonly dead_at: Date;
  readonly last_error: string | null;
}

const listDead = statement<[string | null, number], DeadMail>(
  'mail_outbox_list_dead',
  `select id, kind, attempts, created_at, dead_at, last_error from mail_outbox
    where dead_at is not null and ($1::uuid is null or id < $1::uuid) order by id desc limit $2`,
);

/** Newest first, in pages by id. */
export const listDeadOutbox = (on: Queryable, beforeId: string | null, limit: number): Promise<readonly DeadMail[]> =>
  on.run(listDead, [beforeId, limit]);

const revive = statement<[string], { id: string }>(
  'mail_outbox_update_revived',
  `update mail_outbox set dead_at = null, attempts = 0, due_at = clock_timestamp(),
          expires_at = greatest(expires_at, clock_timestamp() + interval '1 hour')
    where id = $1 and dead_at is not null returning id`,
);

/** To be tried again from the beginning; false when there is no such dead mail. */
export async function updateOutboxRevived(on: Queryable, id: string): Promise<boolean> {
  return (await one(on, revive, [id])) !== undefined;
}

const deleteOldDead = statement<[number, number], { id: string }>(
  'mail_outbox_delete_old_dead',
  `delete from mail_outbox where id in (
     select id from mail_outbox
      where dead_at is not null and dead_at < clock_timestamp() - make_interval(secs => $1)
      order by dead_at limit $2 for update skip locked)
   returning id`,
);

export async function deleteOldDeadOutbox(on: Queryable, ageSeconds: number, limit: number): Promise<number> {
  return (await on.run(deleteOldDead, [ageSeconds, limit])).length;
}

const count = statement<[], { waiting: number; dead: number }>(
  'mail_outbox_count',
  `select count(*) filter (where dead_at is null) as waiting, count(*) filter (where dead_at is not null) as dead
     from mail_outbox`,
);

export async function countOutbox(on: Queryable): Promise<{ readonly waiting: number; readonly dead: number }> {
  return (await one(on, count, [])) ?? { waiting: 0, dead: 0 };
}
