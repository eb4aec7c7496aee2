/**
 * The revocation feed: what other services follow, out of the reading that this node makes of the ledger anyway.
 *
 * - A cursor is a snapshot of the store: what it does not show is told next, on whichever node it is asked, so nothing is missed
 *   and nothing depends on the node that told before. The latest readings are kept in memory; an older cursor is answered from
 *   the ledger, one of another history, or too far behind, by the whole live ledger in pages, to be merged.
 * - What a message told this node before its own reading is passed on at once, without a new cursor: it comes again with one.
 * - An answer says how old the proof is that it knows everything (`ageMs`); a node that is stale answers nothing.
 * - Kinds, subjects (random ids) and times; never who revoked, or why. Everything is bounded: what is kept, who listens, a page.
 */
import type { Cursor, Freshness } from '@auth-service/guard';
import type { RevocationEntry } from '@auth-service/protocol';
import type { Cursors } from '../keys/index.ts';
import { type Database, includesSnapshot } from '../platform/database/index.ts';
import { findMoment, listLivePage, listSinceAtMost } from './ledger.sql.ts';

export interface FeedAnswer {
  readonly kind: 'answer';
  /** Part of everything that is live, rather than what came since the cursor. */
  readonly whole: boolean;
  readonly entries: readonly RevocationEntry[];
  readonly cursor: string;
  /** Ask again at once. */
  readonly more: boolean;
  readonly ageMs: number;
}

export type FeedOutcome = FeedAnswer | { readonly kind: 'stale' | 'unknown_cursor' | 'too_many' };

/** Entries that came by message, or `null`: there is something to read. */
export type FeedListener = (early: readonly RevocationEntry[] | null) => void;

export interface Feed {
  /** What there is now. */
  read(cursor: string | undefined): Promise<FeedOutcome>;
  /** The same; where there is nothing, as soon as there is something, after `waitMs` at the latest. */
  wait(cursor: string | undefined, waitMs: number): Promise<FeedOutcome>;
  /** Answers how to stop; `undefined` when too many listen. */
  listen(listener: FeedListener): (() => void) | undefined;
  isFull(): boolean;
  /** The service is closing: who waits is answered soon, and nobody waits long any more. */
  close(): void;
  listeners(): number;
  /** Of the beat: what it has read, and up to where. */
  beaten(read: {
    readonly cursor: Cursor;
    readonly entries: readonly RevocationEntry[];
    readonly whole: boolean;
  }): void;
  /** What a message has told. */
  heard(entry: RevocationEntry): void;
  figures(): { readonly memory: number; readonly ledger: number };
}

interface Reading {
  readonly snapshot: string;
  /** What became visible between the reading before and this one. */
  readonly entries: readonly RevocationEntry[];
}

/** Of a service that is closing. */
const closingWaitMs = 250;
const listName = 'revocation-feed';
const listenersMax = 1_000;
const readingsMax = 256;
const keptMax = 20_000;
const pageMax = 5_000;
const firstId = '00000000-0000-0000-0000-000000000000';

export function createFeed(deps: {
  readonly db: Database;
  readonly cursors: Cursors;
  readonly freshness: Pick<Freshness, 'isFresh' | 'lagMs'>;
  readonly sleep: (ms: number) => { readonly done: Promise<void>; cancel(): void };
}): Feed {
  const { db, cursors, freshness } = deps;
  const listeners = new Set<FeedListener>();
  let storeEpoch = '';
  let readings: Reading[] = [];
  let kept = 0;
  let isClosed = false;
  const counts = { memory: 0, ledger: 0 };

  const write = (epoch: string, snapshot: string, after: string): string =>
    cursors.write(listName, null, [epoch, snapshot, after]);

  function answer(part: Omit<FeedAnswer, 'kind'>): FeedAnswer {
    return { kind: 'answer', ...part };
  }

  /** What came after the snapshot, where the readings that are kept reach back so far. */
  function fromMemory(snapshot: string): FeedAnswer | undefined {
    const last = readings.at(-1);
    if (last === undefined) return undefined;
    let at = readings.length - 1;
    while (at >= 0 && !includesSnapshot(snapshot, readings[at]?.snapshot ?? '')) at -= 1;
    if (at === -1) return undefined;
    counts.memory += 1;
    const entries = readings.slice(at + 1).flatMap((reading) => reading.entries);
    // One that has read the ledger itself may be ahead of this node's reading.
    const to = at === readings.length - 1 ? snapshot : last.snapshot;
    return answer({
      ...{ whole: false, entries, more: false, ageMs: Math.ceil(freshness.lagMs()) },
      cursor: write(storeEpoch, to, ''),
    });
  }

  /** A page of everything that is live; the cursor of the last one names the moment before the first. */
  async function wholePage(begun: { snapshot: string; epoch: string; after: string } | undefined): Promise<FeedAnswer> {
    counts.ledger += 1;
    const moment = await findMoment(db);
    // A history that changed meanwhile: from the beginning.
    const from =
      begun?.epoch === moment.store_epoch
        ? begun
        : { snapshot: moment.snapshot, epoch: moment.store_epoch, after: firstId };
    const rows = await listLivePage(db, from.after, pageMax);
    const last = rows.at(-1);
    const more = last !== undefined && rows.length === pageMax;
    const entries = rows.map(toEntry);
    const cursor = write(from.epoch, from.snapshot, more ? last.id : '');
    return answer({ whole: true, entries, cursor, more, ageMs: 0 });
  }

  async function fromLedger(epoch: string, snapshot: string): Promise<FeedAnswer> {
    const since = await listSinceAtMost(db, snapshot, pageMax + 1);
    if (since.storeEpoch !== epoch || since.entries.length > pageMax) return wholePage(undefined);
    counts.ledger += 1;
    const { entries } = since;
    return answer({ whole: false, entries, cursor: write(epoch, since.snapshot, ''), more: false, ageMs: 0 });
  }

  async function read(text: string | undefined): Promise<FeedOutcome> {
    if (!freshness.isFresh()) return { kind: 'stale' };
    if (text === undefined) return wholePage(undefined);
    const [epoch, snapshot, after] = cursors.read(listName, null, text) ?? [];
    if (typeof epoch !== 'string' || typeof snapshot !== 'string' || typeof after !== 'string') {
      return { kind: 'unknown_cursor' };
    }
    if (after !== '') return wholePage({ epoch, snapshot, after });
    return (epoch === storeEpoch ? fromMemory(snapshot) : undefined) ?? fromLedger(epoch, snapshot);
  }

  function tell(early: readonly RevocationEntry[] | null): void {
    for (const listener of [...listeners]) listener(early);
  }

  const listen: Feed['listen'] = (listener) => {
    if (listeners.size >= listenersMax) return undefined;
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  return {
    read,
    listen,
    isFull: () => listeners.size >= listenersMax,
    listeners: () => listeners.size,
    close() {
      isClosed = true;
      tell(null);
    },
    figures: () => ({ ...counts }),

    async wait(cursor, waitMs) {
      let told: readonly RevocationEntry[] | null | undefined;
      let wake: () => void = () => undefined;
      const stop = listen((early) => {
        told ??= early;
        wake();
      });
      if (stop === undefined) return { kind: 'too_many' };
      try {
        const now = await read(cursor);
        if (waitMs <= 0 || now.kind !== 'answer' || now.whole || now.entries.length > 0) return now;
        const pause = deps.sleep(isClosed ? Math.min(waitMs, closingWaitMs) : waitMs);
        await Promise.race([
          pause.done,
          new Promise<void>((resolve) => {
            wake = resolve;
            if (told !== undefined) resolve();
          }),
        ]);
        pause.cancel();
        // By message alone: the same cursor goes on, and what it has not shown comes again with the next.
        if (told !== undefined && told !== null) return { ...now, entries: told };
        return await read(now.cursor);
      } finally {
        stop();
      }
    },

    beaten(done) {
      const { cursor, entries, whole } = done;
      if (whole || cursor.storeEpoch !== storeEpoch) {
        storeEpoch = cursor.storeEpoch;
        readings = [{ snapshot: cursor.snapshot, entries: [] }];
        kept = 0;
        tell(null);
        return;
      }
      if (entries.length === 0 && readings.at(-1)?.snapshot === cursor.snapshot) return;
      readings.push({ snapshot: cursor.snapshot, entries: entries.map(toEntry) });
      kept += entries.length;
      while (readings.length > readingsMax || (kept > keptMax && readings.length > 1)) {
        readings.shift();
        // The first says only from where the others count.
        const first = readings[0];
        if (first !== undefined) {
          kept -= first.entries.length;
          readings[0] = { snapshot: first.snapshot, entries: [] };
        }
      }
      if (entries.length > 0) tell(null);
    },

    heard(entry) {
      if (listeners.size > 0) tell([toEntry(entry)]);
    },
  };
}

/** Nothing but what an entry is: rows of the ledger carry more. */
const toEntry = ({ kind, subject, min_epoch, expires_at }: RevocationEntry): RevocationEntry => ({
  kind,
  subject,
  min_epoch,
  expires_at,
});
