/**
 * Keeps a replica fresh from a `RevocationSource`, as a node of the cluster does with its beat: readings prove, news only make
 * it fast, and losing every news changes latency alone.
 *
 *   loading ──whole set, to its last page──▶ following ──reading failed: again, sooner or later──▶ following
 *   following ──cursor not known any more, or the clock ran back──▶ loading
 *
 * While the stream of news stands, a reading each `everyMs` without waiting; otherwise readings that wait for news for as
 * long. A failed reading changes nothing: past its bound the freshness ends by itself.
 */
import type { RevocationEntry } from '@auth-service/protocol';
import type { Replica } from '../replica.ts';
import type { Attempt, Subscriber } from '../subscriber.ts';
import { FeedRefused, type RevocationSource } from './revocation-source.ts';
import { sleep } from './sleep.ts';

export interface Follower {
  start(): void;
  /** Resolves with the first whole set; rejects when closed before. */
  loaded(): Promise<void>;
  close(): Promise<void>;
  isStreaming(): boolean;
  figures(): FollowerFigures;
}

/** What following the ledger took, counted since the start. */
export interface FollowerFigures {
  readonly readings: number;
  readonly failures: number;
  /** Whole sets that were read. */
  readonly loads: number;
  readonly streams: number;
  /** Entries that came with the stream, before a reading. */
  readonly early: number;
}

/** Nobody's epoch: a service that is asked with a cursor answers by it, or refuses it. */
const history = 'feed';
const pagesMax = 100_000;
const pauseMsMin = 200;
const backoffMsMin = 100;
const streamRetryMs = 1_000;
const streamRetryMsMax = 30_000;
const sweptShards = 16;

export function createFollower(deps: {
  readonly source: RevocationSource;
  readonly subscriber: Subscriber;
  readonly replica: Pick<Replica, 'applyMany' | 'sweep'>;
  /** Milliseconds between readings: well below the bound of freshness. */
  readonly everyMs: number;
  readonly wallNow: () => number;
  readonly random: () => number;
  readonly onFailed: (error: unknown) => void;
}): Follower {
  const { source, subscriber, replica, everyMs } = deps;
  const closing = new AbortController();
  const { signal } = closing;
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined);
  const counts = { readings: 0, failures: 0, loads: 0, streams: 0, early: 0 };
  let streaming = false;
  let running: Promise<unknown> = Promise.resolve();

  async function readOnce(): Promise<void> {
    const attempt = subscriber.begin();
    const waitSeconds = streaming || attempt.whole ? 0 : Math.max(1, Math.floor(everyMs / 1_000));
    let page = await source.read(attempt.cursor?.snapshot ?? null, waitSeconds, signal);
    if (page === 'unknown_cursor') {
      // Another history: what is held stays, and vouches for nothing until the whole set was read.
      subscriber.complete(attempt, { storeEpoch: '', snapshot: '', entries: [], whole: false });
      return;
    }
    const { whole } = page;
    if (attempt.whole && !whole) throw new Error('the feed answered a part to who asked for everything');
    let ageMs = page.ageMs;
    for (let pages = 1; page.more; pages += 1) {
      if (pages > pagesMax) throw new Error('the feed of revocations has no end');
      replica.applyMany(page.entries);
      const next = await source.read(page.cursor, 0, signal);
      // A history that changed between two pages: the next reading begins anew.
      if (next === 'unknown_cursor' || (next.whole && !whole)) throw new Error('the feed began anew between two pages');
      page = next;
      ageMs = Math.max(ageMs, page.ageMs);
    }
    const read = { storeEpoch: history, snapshot: page.cursor, entries: page.entries, whole };
    if (subscriber.complete(earlier(attempt, ageMs), read) !== 'confirmed') return;
    counts.readings += 1;
    if (read.whole) counts.loads += 1;
    first.resolve();
    replica.sweep(deps.wallNow() / 1_000, sweptShards);
  }

  async function follow(): Promise<void> {
    let failed = 0;
    while (!signal.aborted) {
      let pauseMs: number;
      try {
        await readOnce();
        failed = 0;
        pauseMs = streaming && subscriber.state() === 'following' ? everyMs : pauseMsMin;
      } catch (error) {
        if (signal.aborted) return;
        counts.failures += 1;
        deps.onFailed(error);
        const asked = error instanceof FeedRefused ? (error.retryAfterMs ?? 0) : 0;
        pauseMs = Math.min(Math.max(asked, backoffMsMin * 2 ** failed), everyMs) * (0.5 + deps.random());
        failed = Math.min(failed + 1, 10);
      }
      await sleep(pauseMs, signal);
    }
  }

  async function hear(): Promise<void> {
    await first.promise.catch(() => undefined);
    let failed = 0;
    while (!signal.aborted) {
      const cursor = subscriber.cursor()?.snapshot;
      try {
        if (cursor !== undefined) await source.listen(cursor, { open, entries: take }, signal);
        failed = 0;
      } catch (error) {
        if (signal.aborted) return;
        deps.onFailed(error);
        failed += 1;
      } finally {
        streaming = false;
      }
      const backoff = Math.min(streamRetryMs * 2 ** failed, streamRetryMsMax) * (0.5 + deps.random());
      await sleep(backoff, signal);
    }
  }

  function open(): void {
    counts.streams += 1;
    streaming = true;
  }

  function take(entries: readonly RevocationEntry[]): void {
    counts.early += entries.length;
    replica.applyMany(entries);
  }

  return {
    start() {
      running = Promise.all([follow(), hear()]);
    },
    loaded: () => first.promise,
    async close() {
      subscriber.stop();
      closing.abort(new Error('this guard was closed'));
      first.reject(new Error('this guard was closed before it was ready'));
      await running;
    },
    isStreaming: () => streaming,
    figures: () => ({ ...counts }),
  };
}

/** The service's own proof is older than its answer. */
const earlier = (attempt: Attempt, ageMs: number): Attempt => ({
  ...attempt,
  sentMonotonicMs: attempt.sentMonotonicMs - ageMs,
  sentWallMs: attempt.sentWallMs - ageMs,
});
