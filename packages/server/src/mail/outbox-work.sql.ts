/**
 * Statements of the worker. A row that is taken is due again when its lease ends, so a node that dies with it loses nothing; what
 * is written about it afterwards counts only while no other has taken it meanwhile (`attempts` is the fence).
 */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface OutboxRow {
  readonly id: string;
  readonly kind: string;
  readonly payload: Uint8Array;
  readonly attempts: number;
  readonly created_at: Date;
  readonly expired: boolean;
}

const consumeDue = statement<[number, number], OutboxRow>(
  'mail_outbox_consume_due',
  `update mail_outbox o set attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => $2)
    where id in (
      select id from mail_outbox where dead_at is null and due_at <= clock_timestamp()
       order by due_at limit $1 for update skip locked)
   returning id, kind, payload, attempts, created_at, expires_at <= clock_timestamp() as expired`,
);

/** Takes up to so many that are due; nobody else gets them before the lease ends. */
export const consumeDueOutbox = (on: Queryable, limit: number, leaseSeconds: number): Promise<readonly OutboxRow[]> =>
  on.run(consumeDue, [limit, leaseSeconds]);

const remove = statement<[string, number], { id: string }>(
  'mail_outbox_delete',
  'delete from mail_outbox where id = $1 and attempts = $2 returning id',
);

export async function deleteOutbox(on: Queryable, id: string, attempts: number): Promise<boolean> {
  return (await one(on, remove, [id, attempts])) !== undefined;
}

const postpone = statement<[string, number, number, string], { id: string }>(
  'mail_outbox_update_postponed',
  `update mail_outbox set due_at = clock_timestamp() + make_interval(secs => $3), last_error = $4
    where id = $1 and attempts = $2 returning id`,
);

export async function updateOutboxPostponed(
  on: Queryable,
  { id, attempts }: OutboxRow,
  seconds: number,
  error: string,
): Promise<boolean> {
  return (await one(on, postpone, [id, attempts, seconds, error])) !== undefined;
}

const bury = statement<[string, number, string], { id: string }>(
  'mail_outbox_update_dead',
  `update mail_outbox set dead_at = clock_timestamp(), last_error = $3
    where id = $1 and attempts = $2 returning id`,
);

export async function updateOutboxDead(on: Queryable, { id, attempts }: OutboxRow, error: string): Promise<boolean> {
  return (await one(on, bury, [id, attempts, error])) !== undefined;
}
