/**
 * The feed as server-sent events. Each event is an answer of the feed with its cursor as `id`, so that a client that comes back
 * says where it was; what a message told early has none. Without news an event without entries comes every five seconds.
 *
 * The stream ends when its caller may not read any more, when this node cannot vouch, and when the service closes: the client
 * comes again, here or elsewhere, and misses nothing.
 */
import type { RevocationEntry } from '@auth-service/protocol';
import type { AnswerStream } from '../platform/http/index.ts';
import type { Feed, FeedAnswer } from './feed.ts';

export interface FeedBody {
  readonly full_set?: readonly RevocationEntry[];
  readonly diff_set?: readonly RevocationEntry[];
  readonly cursor: string;
  readonly more: boolean;
  readonly age_ms: number;
}

export const toFeedBody = ({ whole, entries, cursor, more, ageMs }: FeedAnswer): FeedBody => ({
  ...(whole ? { full_set: entries } : { diff_set: entries }),
  cursor,
  more,
  age_ms: ageMs,
});

const confirmEveryMs = 5_000;
const lookEveryMs = 500;

export async function streamFeed(
  feed: Feed,
  out: AnswerStream,
  options: {
    readonly cursor: string | undefined;
    readonly mayRead: () => boolean;
    readonly monotonicMs: () => number;
    readonly sleep: (ms: number) => { readonly done: Promise<void>; cancel(): void };
  },
): Promise<void> {
  let { cursor } = options;
  let wake: () => void = () => undefined;
  let news = true;
  const stop = feed.listen((early) => {
    if (early === null) {
      news = true;
      wake();
    } else out.write(`event: early\ndata: ${JSON.stringify({ diff_set: early })}\n\n`);
  });
  if (stop === undefined) {
    out.end();
    return;
  }
  out.onOver(() => {
    stop();
    wake();
  });
  let toldMs = Number.NEGATIVE_INFINITY;
  try {
    out.write('retry: 1000\n\n');
    while (!out.isOver() && !out.isClosing() && options.mayRead()) {
      const isDue = options.monotonicMs() - toldMs >= confirmEveryMs;
      if (news || isDue) {
        news = false;
        const found = await feed.read(cursor);
        if (found.kind !== 'answer') return;
        cursor = found.cursor;
        news ||= found.more;
        if (found.whole || found.entries.length > 0 || isDue) {
          toldMs = options.monotonicMs();
          const text = JSON.stringify(toFeedBody(found));
          if (!out.write(`id: ${cursor}\nevent: revocations\ndata: ${text}\n\n`)) return;
        }
      }
      if (news) continue;
      const pause = options.sleep(lookEveryMs);
      await Promise.race([
        pause.done,
        new Promise<void>((resolve) => {
          wake = resolve;
        }),
      ]);
      pause.cancel();
    }
  } finally {
    stop();
    out.end();
  }
}
