/**
 * Attempts against one account, counted before they are checked.
 *
 * `attempt` is the only way in: it reserves, runs the check, and settles by what the check answered, so no caller can forget.
 * Attempts of one account that find it busy wait here in a line, one of them asking the store for all; when it locks, the
 * whole line is answered at once. So parallel good logins all succeed, and parallel guesses end at the limit.
 */
import { createHmac } from 'node:crypto';
import type { Queryable } from '../platform/database/index.ts';
import { type Clock, systemClock } from '../platform/time/index.ts';
import {
  deleteFadedLockouts,
  deleteLockout,
  insertReservationOf,
  type LockoutLimits,
  type Reservation,
  updateFailedAttempt,
  updateReleasedAttempt,
  updateSucceededAttempt,
} from './lockout.sql.ts';

export interface LockoutOptions extends LockoutLimits {
  readonly db: Queryable;
  /** Rows are keyed by a MAC, so the table names no address. */
  readonly hmacKey: Uint8Array;
  /** Rows are kept for so long at least, where other counters of the table last longer than this one's. */
  readonly keepSeconds?: number;
  /** How long an attempt may wait for others to be decided; 5 s by default. */
  readonly waitMs?: number;
  /** Attempts that may wait, over all accounts; 2,000 by default. */
  readonly waitingMax?: number;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
}

/** What a check answers. `undecided`: it could not be made, and the attempt counts for nothing. */
export type Checked<T> = { readonly ok: boolean; readonly value: T } | { readonly undecided: unknown };

export type Attempt<T> =
  | { readonly kind: 'succeeded'; readonly value: T }
  /** `lockedNow`: this failure locked the account; true once a lockout. */
  | { readonly kind: 'failed'; readonly value: T; readonly lockedNow: boolean }
  | { readonly kind: 'locked'; readonly retryAfterSeconds: number }
  | { readonly kind: 'undecided' };

export interface Lockout {
  /**
   * `accountKey` is the canonical address, known or not, or the name of another counter. `deviceId`: of a device token that was read for this account; such
   * a device has a counter of its own, and strangers cannot lock it out.
   */
  attempt<T>(accountKey: string, deviceId: string | undefined, check: () => Promise<Checked<T>>): Promise<Attempt<T>>;
  /** Forgets the failures and the lock of an account; false when there were none. Devices keep their own counters. */
  unlock(accountKey: string, on?: Queryable): Promise<boolean>;
  /** Removes a bounded number of rows that count for nothing any more, on `on` where that is given; answers how many. */
  sweep(on?: Queryable): Promise<number>;
}

interface Waiter {
  readonly deadlineMs: number;
  readonly answer: (reservation: Reservation) => void;
  readonly fail: (error: unknown) => void;
}

/** The attempts of one account that want a reservation, and how to wake the one that asks. */
interface Line {
  readonly waiting: Waiter[];
  /** An attempt was decided since the store was last asked. */
  decided: boolean;
  wake: (() => void) | undefined;
}

const waitMsDefault = 5_000;
const waitingMaxDefault = 2_000;
/** Decisions made here wake the line at once; this is for those of other nodes. */
const pollMs = 100;
const sweepRowsMax = 1_000;

export function createLockout(options: LockoutOptions): Lockout {
  const { db, hmacKey, maxAttempts, durationSeconds } = options;
  const limits: LockoutLimits = { maxAttempts, durationSeconds };
  const waitMs = options.waitMs ?? waitMsDefault;
  const waitingMax = options.waitingMax ?? waitingMaxDefault;
  const clock = options.clock ?? systemClock;
  const lines = new Map<string, Line>();
  let waitingCount = 0;

  async function attempt<T>(
    accountKey: string,
    deviceId: string | undefined,
    check: () => Promise<Checked<T>>,
  ): Promise<Attempt<T>> {
    const key = rowKey(hmacKey, accountKey, deviceId);
    const name = key.toString('base64');
    const reservation = await queueFor(name, key);
    if (reservation.kind === 'busy') return { kind: 'undecided' };
    if (reservation.kind === 'locked') return reservation;
    try {
      return await settle(key, check);
    } finally {
      const line = lines.get(name);
      if (line !== undefined) {
        line.decided = true;
        line.wake?.();
      }
    }
  }

  async function settle<T>(key: Buffer, check: () => Promise<Checked<T>>): Promise<Attempt<T>> {
    let checked: Checked<T>;
    try {
      checked = await check();
    } catch (error) {
      // The check's own failure is what the caller needs to hear; the reservation fades if it cannot be given back.
      await updateReleasedAttempt(db, key).catch(() => undefined);
      throw error;
    }
    if ('undecided' in checked) {
      await updateReleasedAttempt(db, key);
      return { kind: 'undecided' };
    }
    if (checked.ok) {
      await updateSucceededAttempt(db, key);
      return { kind: 'succeeded', value: checked.value };
    }
    return { kind: 'failed', value: checked.value, ...(await updateFailedAttempt(db, key, limits)) };
  }

  function queueFor(name: string, key: Buffer): Promise<Reservation> {
    if (waitingCount >= waitingMax) return Promise.resolve({ kind: 'busy' });
    return new Promise((answer, fail) => {
      waitingCount++;
      const waiter: Waiter = { deadlineMs: clock.monotonicMs() + waitMs, answer, fail };
      const line = lines.get(name);
      if (line !== undefined) {
        line.waiting.push(waiter);
        return;
      }
      const opened: Line = { waiting: [waiter], decided: false, wake: undefined };
      lines.set(name, opened);
      void serve(name, key, opened);
    });
  }

  /** Asks the store for the whole line, one reservation at a time, until nobody waits. */
  async function serve(name: string, key: Buffer, line: Line): Promise<void> {
    try {
      for (;;) {
        if (line.waiting.length === 0) return;
        line.decided = false;
        const reservation = await insertReservationOf(db, key, limits);
        if (reservation.kind === 'reserved') leave(line, 1, (waiter) => waiter.answer(reservation));
        else if (reservation.kind === 'locked') {
          leave(line, line.waiting.length, (waiter) => waiter.answer(reservation));
        } else {
          const inTime = line.waiting.findIndex((waiter) => waiter.deadlineMs > clock.monotonicMs());
          leave(line, inTime === -1 ? line.waiting.length : inTime, (waiter) => waiter.answer(reservation));
          if (line.waiting.length > 0 && !line.decided) await pause(line);
        }
      }
    } catch (error) {
      leave(line, line.waiting.length, (waiter) => waiter.fail(error));
    } finally {
      lines.delete(name);
    }
  }

  function leave(line: Line, count: number, tell: (waiter: Waiter) => void): void {
    for (const waiter of line.waiting.splice(0, count)) {
      waitingCount--;
      tell(waiter);
    }
  }

  return {
    attempt,
    unlock: (accountKey, on = db) => deleteLockout(on, rowKey(hmacKey, accountKey, undefined)),
    sweep: (on = db) => deleteFadedLockouts(on, Math.max(durationSeconds, options.keepSeconds ?? 0), sweepRowsMax),
  };
}

/** Until an attempt of this account is decided here, or it is time to ask again. */
function pause(line: Line): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      line.wake = undefined;
      resolve();
    };
    const timer = setTimeout(done, pollMs);
    line.wake = done;
  });
}

function rowKey(hmacKey: Uint8Array, accountKey: string, deviceId: string | undefined): Buffer {
  const mac = createHmac('sha256', hmacKey);
  // Lengths first, so that no account's name runs into a device's.
  mac.update(`${Buffer.byteLength(accountKey)}:${accountKey}`);
  if (deviceId !== undefined) mac.update(`device:${deviceId}`);
  return mac.digest();
}
