/** Putting mails into the outbox, and what is seen of it; see `index.ts` for what it guarantees. */
import type { RootSecret } from '../keys/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { NewMail, Payload } from './kinds.ts';
import {
  countOutbox,
  type DeadMail,
  deleteOldDeadOutbox,
  insertOutbox,
  listDeadOutbox,
  updateOutboxRevived,
} from './outbox.sql.ts';

export interface Mail {
  /** In the caller's transaction: the mail is sent exactly when the transaction commits. Never talks to a mail server. */
  enqueue(tx: Queryable, mail: NewMail): Promise<void>;
  /** Mails that were given up, newest first: never to whom, nor what they say. */
  listDead(page: { readonly beforeId: string | null; readonly limit: number }): Promise<readonly DeadMail[]>;
  /** Tries a mail that was given up again; false when there is none of this id. */
  retry(id: string, on?: Queryable): Promise<boolean>;
  count(): Promise<{ readonly waiting: number; readonly dead: number }>;
  /** Deletes dead letters that nobody looked at for so long; bounded, on `on` where that is given. */
  sweep(on?: Queryable): Promise<number>;
}

export interface MailDeps {
  readonly db: Database;
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly random: Random;
  /** A user agent in words; never its own text, which is a stranger's. */
  readonly describeDevice: (userAgent: string | null) => string | null;
  /** A mail was written, and is there when the caller's transaction has committed. */
  readonly onEnqueued: () => void;
}

const usefulSecondsDefault = 3 * 24 * 3_600;
const deadAgeSeconds = 30 * 24 * 3_600;
const sweepRowsMax = 1_000;

export function createMail({ db, root, clock, random, describeDevice, onEnqueued }: MailDeps): Mail {
  return {
    async enqueue(tx, { kind, to, values, origin, usefulSeconds = usefulSecondsDefault }) {
      const id = random.uuidv7(clock.wallMs());
      const device = describeDevice(origin?.userAgent ?? null);
      const payload: Payload = { to, values: { ...values }, ip: origin?.ip ?? null, device };
      const sealed = root.seal('mail', sealContext(id, kind), Buffer.from(JSON.stringify(payload)));
      await insertOutbox(tx, { id, kind, payload: sealed, usefulSeconds });
      onEnqueued();
    },
    listDead: ({ beforeId, limit }) => listDeadOutbox(db, beforeId, limit),
    async retry(id, on = db) {
      const revived = await updateOutboxRevived(on, id);
      if (revived) onEnqueued();
      return revived;
    },
    count: () => countOutbox(db),
    sweep: (on = db) => deleteOldDeadOutbox(on, deadAgeSeconds, sweepRowsMax),
  };
}

/** A payload opens only in the row and as the kind that it was sealed for. */
export const sealContext = (id: string, kind: string): string => `${id}/${kind}`;
