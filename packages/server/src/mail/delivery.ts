/**
 * Sends what is in the outbox. Every node works on it: a mail is taken under a lease, sent, and its row goes; what is written about
 * it counts only for the latest taker.
 *
 * - Every mail is sent at least once: a node that dies between the mail server's answer and the row's end sends it again, under the
 *   same Message-ID.
 * - What cannot be sent waits longer after each try, and is given up after ten, or when it is of no use any more: a dead letter.
 * - So many are under way at once as there are connections; one that hangs holds up only itself, and not for ever.
 */
import type { RootSecret } from '../keys/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { isMailable } from './address.rule.ts';
import { attemptsMax, retryInSeconds } from './backoff.rule.ts';
import type { Payload } from './kinds.ts';
import { sealContext } from './mail.ts';
import {
  consumeDueOutbox,
  deleteOutbox,
  type OutboxRow,
  updateOutboxDead,
  updateOutboxPostponed,
} from './outbox-work.sql.ts';
import type { Message, Sender, SendOutcome } from './sender.ts';
import type { Templates } from './templates.ts';

export type MailResult = 'sent' | 'not_sent' | 'postponed' | 'dead';

export interface Delivery {
  /** Takes what is due and a place is free for; resolves when it is under way, not when it is sent. */
  work(): Promise<void>;
  /** Takes no more, and waits until nothing is under way, or so long; what is still under way then is ended, and sent later. */
  stop(patienceMs: number): Promise<void>;
}

export interface DeliveryDeps {
  readonly db: Queryable;
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly sender: Sender;
  readonly templates: Templates;
  /** 0 to 1. */
  readonly chance: () => number;
  readonly onResult: (result: MailResult, mail: { id: string; kind: string; attempts: number; error?: string }) => void;
  readonly places?: number;
  readonly leaseSeconds?: number;
  /** Well below the lease. */
  readonly sendMsMax?: number;
}

const defaults = { places: 5, leaseSeconds: 120, sendMsMax: 60_000 } as const;

export function createDelivery(deps: DeliveryDeps): Delivery {
  const { db, root, clock, sender, templates } = deps;
  const { places, leaseSeconds, sendMsMax } = { ...defaults, ...deps };
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  let taking: Promise<void> | undefined;
  let again = false;
  let closing = false;

  async function take(): Promise<void> {
    do {
      again = false;
      const free = places - underWay.size;
      if (free <= 0 || closing) return;
      const rows = await consumeDueOutbox(db, free, leaseSeconds);
      for (const row of rows) start(row);
    } while (again);
  }

  function start(row: OutboxRow): void {
    const running = deliver(row)
      // The store is away: the lease ends, and the mail is taken again.
      .catch(() => undefined)
      .finally(() => {
        const wasFull = underWay.size >= places;
        underWay.delete(running);
        if (wasFull && !closing) void work().catch(() => undefined);
      });
    underWay.add(running);
  }

  function work(): Promise<void> {
    again = true;
    taking ??= take().finally(() => {
      taking = undefined;
    });
    return taking;
  }

  async function deliver(row: OutboxRow): Promise<void> {
    if (row.kind === 'nothing') {
      await deleteOutbox(db, row.id, row.attempts);
      return;
    }
    await settle(row, await attempt(row));
  }

  /** Whatever goes wrong before it is sent is a try as well; another node, of another version, may do better. */
  async function attempt(row: OutboxRow): Promise<SendOutcome> {
    try {
      return await attemptOnce(row);
    } catch (error) {
      return { kind: 'later', error: `not to be made: ${codeOf(error)}` };
    }
  }

  async function attemptOnce(row: OutboxRow): Promise<SendOutcome> {
    if (row.expired) return { kind: 'never', error: 'of no use any more' };
    const opened = root.open('mail', sealContext(row.id, row.kind), row.payload);
    if (opened === undefined) return { kind: 'later', error: 'sealed under another root secret' };
    const payload = JSON.parse(opened.plain.toString()) as Payload;
    const rendered = templates.render(row.kind, payload, row.created_at);
    // A newer version, on another node, knows what this one does not.
    if (rendered === undefined) return { kind: 'later', error: 'unknown kind' };
    if (!isMailable(payload.to)) return { kind: 'never', error: 'no mailable address' };
    const message: Message = { ...rendered, id: row.id, kind: row.kind, to: payload.to, dateMs: clock.wallMs() };
    return send(message);
  }

  async function send(message: Message): Promise<SendOutcome> {
    const tooLong = AbortSignal.timeout(sendMsMax);
    const signal = AbortSignal.any([tooLong, stopping.signal]);
    const ended = new Promise<SendOutcome>((resolve) => {
      signal.addEventListener('abort', () =>
        resolve({ kind: 'later', error: tooLong.aborted ? 'took too long' : 'stopped' }),
      );
    });
    try {
      return await Promise.race([sender.send(message, signal), ended]);
    } catch (error) {
      return { kind: 'later', error: codeOf(error) };
    }
  }

  async function settle(row: OutboxRow, outcome: SendOutcome): Promise<void> {
    const mail = { id: row.id, kind: row.kind, attempts: row.attempts };
    if (outcome.kind === 'sent' || outcome.kind === 'not_sent') {
      await deleteOutbox(db, row.id, row.attempts);
      deps.onResult(outcome.kind, mail);
      return;
    }
    const isDead = outcome.kind === 'never' || row.attempts >= attemptsMax;
    if (isDead) await updateOutboxDead(db, row, outcome.error);
    else await updateOutboxPostponed(db, row, retryInSeconds(row.attempts, deps.chance()), outcome.error);
    deps.onResult(isDead ? 'dead' : 'postponed', { ...mail, error: outcome.error });
  }

  return {
    work,
    async stop(patienceMs) {
      closing = true;
      await taking?.catch(() => undefined);
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise((resolve) => {
        timer = setTimeout(resolve, patienceMs);
      });
      await Promise.race([Promise.all(underWay), patience]);
      clearTimeout(timer);
      stopping.abort();
      await Promise.all(underWay);
      sender.close();
    },
  };
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'failed';
}
