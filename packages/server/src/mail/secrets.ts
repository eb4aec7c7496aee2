/**
 * Secrets that are mailed, in a link and for typing by hand: who has one has read the mailbox.
 *
 * - Stored hashed, worth something once, for one purpose, to one user, while address and credentials are the ones of then; a newer one
 *   ends the older.
 * - For nobody there is a secret too, that is worth nothing: the same statements, the same work.
 * - What strangers can ask for is sent to an address at most five times an hour, whoever asks and whatever for.
 */
import type { RootSecret } from '../keys/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import { codeOf, hashOfCode, hashOfSecret, secretBytes } from './code.rule.ts';
import type { LinkValues } from './kinds.ts';
import {
  consumeMailToken,
  deleteExpiredMailTokens,
  deleteOldThrottles,
  findMailToken,
  insertMailToken,
  insertThrottled,
  type MailPurpose,
  type MailTokenRow,
  type PendingCredentials,
} from './tokens.sql.ts';

export interface NewSecret {
  /** `undefined`: for nobody. */
  readonly user: { readonly id: string; readonly device_epoch: number } | undefined;
  readonly purpose: MailPurpose;
  /** Where it is mailed to, canonical. */
  readonly email: string;
  readonly emailKey: string;
  readonly sessionId?: string;
  readonly pending?: PendingCredentials;
  /** Longer than the purpose's own time: an invitation. */
  readonly validSeconds?: number;
}

export interface IssuedSecret {
  readonly values: LinkValues;
  readonly validSeconds: number;
}

export interface MailSecrets {
  /** In the caller's transaction. */
  issue(tx: Queryable, secret: NewSecret): Promise<IssuedSecret>;
  /** Looks without using it up. */
  find(on: Queryable, typed: string, ...purposes: readonly MailPurpose[]): Promise<MailTokenRow | undefined>;
  /** Uses it up, in the transaction of what it allows. */
  consume(tx: Queryable, typed: string, ...purposes: readonly MailPurpose[]): Promise<MailTokenRow | undefined>;
  /** Whether a mail that a stranger asked for may go to this address now; counts it. */
  mayMail(tx: Queryable, emailKey: string): Promise<boolean>;
  /** Deletes what ended long ago; bounded, on `on`. */
  sweep(on: Queryable): Promise<number>;
}

const minute = 60;
const hour = 3_600;
const validSecondsOf: Readonly<Record<MailPurpose, number>> = {
  reset_password: 30 * minute,
  verify_email: 24 * hour,
  change_email: hour,
};
const pageOf: Readonly<Record<MailPurpose, string>> = {
  reset_password: 'reset-password',
  verify_email: 'verify-email',
  change_email: 'change-email',
};
const hourlyMax = 5;
const sweepRowsMax = 1_000;

export function createMailSecrets(deps: {
  readonly root: Pick<RootSecret, 'mac'>;
  readonly random: Random;
  /** Links begin with it, whatever a request says of its host. */
  readonly publicUrl: string;
}): MailSecrets {
  const { root, random, publicUrl } = deps;
  return {
    async issue(tx, { user, purpose, email, emailKey, sessionId, pending, validSeconds = validSecondsOf[purpose] }) {
      const secret = random.bytes(secretBytes);
      await insertMailToken(tx, {
        ...{ userId: user?.id ?? null, purpose, hash: hashOfSecret(secret), email, emailKey, validSeconds },
        credentialVersion: user?.device_epoch ?? 0,
        sessionId: sessionId ?? null,
        pending: pending ?? null,
      });
      const code = codeOf(secret);
      // Behind the `#`: no server on the way, and no log of one, ever sees it.
      const link = `${publicUrl}/${pageOf[purpose]}#token=${code}`;
      return { values: { link, code, valid: inWords(validSeconds) }, validSeconds };
    },
    async find(on, typed, ...purposes) {
      const hash = hashOfCode(typed);
      return hash === undefined ? undefined : findMailToken(on, hash, purposes);
    },
    async consume(tx, typed, ...purposes) {
      const hash = hashOfCode(typed);
      return hash === undefined ? undefined : consumeMailToken(tx, hash, purposes);
    },
    mayMail: (tx, emailKey) => insertThrottled(tx, root.mac('mail', 'throttle', emailKey), hourlyMax),
    sweep: async (on) =>
      (await deleteExpiredMailTokens(on, sweepRowsMax)) + (await deleteOldThrottles(on, sweepRowsMax)),
  };
}

function inWords(seconds: number): string {
  const [count, unit] =
    seconds % (24 * hour) === 0 && seconds > 24 * hour
      ? [seconds / (24 * hour), 'day']
      : seconds % hour === 0
        ? [seconds / hour, 'hour']
        : [Math.round(seconds / minute), 'minute'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
