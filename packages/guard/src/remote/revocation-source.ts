/**
 * Where a guard outside of the cluster reads the ledger: the port, and the service's feed over HTTP behind it.
 *
 * `read` is a request with an answer, and proves freshness: counted from before it was sent, less the age of the proof that the
 * answer names. `listen` brings news at once and proves nothing: what it has missed the next `read` brings.
 */
import type { RevocationEntry } from '@auth-service/protocol';
import { createEventReader } from './event-stream.ts';
import { isObject, retryAfterMs, type ServiceAnswer, type ServiceHttp } from './http.ts';

/** One page of the feed. */
export interface FeedPage {
  /** Part of everything that is live, rather than what came since the cursor. */
  readonly whole: boolean;
  readonly entries: readonly RevocationEntry[];
  readonly cursor: string;
  /** Ask again at once with this cursor. */
  readonly more: boolean;
  /** How old the service's own proof was when it answered. */
  readonly ageMs: number;
}

/** A way to the ledger, in the place of the feed of the service. */
export interface RevocationSource {
  /**
   * What came since the cursor (`null`: everything live), after `waitSeconds` at the latest. `unknown_cursor`: begin anew.
   * Throws when there is no answer; a `FeedRefused` says for how long not to ask.
   */
  read(cursor: string | null, waitSeconds: number, signal: AbortSignal): Promise<FeedPage | 'unknown_cursor'>;
  /** Resolves when the stream has ended; throws when there is none. `onOpen`: from now on news come. */
  listen(
    cursor: string,
    on: { readonly open: () => void; readonly entries: (entries: readonly RevocationEntry[]) => void },
    signal: AbortSignal,
  ): Promise<void>;
}

/** The feed answered with a refusal; `retryAfterMs` says for how long not to ask again, milliseconds. */
export class FeedRefused extends Error {
  override readonly name = 'FeedRefused';
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  constructor(status: number, afterMs?: number) {
    super(`the feed of revocations was refused with status ${status}`);
    this.status = status;
    this.retryAfterMs = afterMs;
  }
}

const pageBytesMax = 4 * 1_024 * 1_024;
const pageEntriesMax = 100_000;
const answerSeconds = 5;
/** The service says something every five seconds. */
const silenceMsMax = 15_000;

export function createFeedSource(deps: {
  readonly http: ServiceHttp;
  readonly path: () => Promise<string>;
  /** An API key, or an access token, with `revocations:read`. `undefined`: what the connection shows is enough. */
  readonly credential: (() => string) | undefined;
}): RevocationSource {
  const { http, path, credential } = deps;
  const authorization = (): Readonly<Record<string, string>> =>
    credential === undefined ? {} : { Authorization: `Bearer ${credential()}` };
  return {
    async read(cursor, waitSeconds, signal) {
      const query = new URLSearchParams({ wait: String(waitSeconds), ...(cursor === null ? {} : { cursor }) });
      const answer = await http.send(`${await path()}?${query}`, {
        headers: authorization(),
        timeoutMs: (waitSeconds + answerSeconds) * 1_000,
        bytesMax: pageBytesMax,
        signal,
      });
      if (answer.status === 422 && cursor !== null) return 'unknown_cursor';
      return readPage(answer);
    },

    async listen(cursor, on, signal) {
      const given = new AbortController();
      const ended = AbortSignal.any([signal, given.signal]);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const heard = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => given.abort(new Error('the feed of revocations fell silent')), silenceMsMax);
      };
      heard();
      try {
        const headers = { Accept: 'text/event-stream', ...authorization() };
        const response = await http.open(`${await path()}?${new URLSearchParams({ cursor })}`, {
          headers,
          signal: ended,
        });
        const type = response.headers.get('content-type') ?? '';
        if (response.status !== 200 || response.body === null || !type.startsWith('text/event-stream')) {
          await response.body?.cancel();
          throw new FeedRefused(response.status, retryAfterMs(response.headers));
        }
        on.open();
        const events = createEventReader({ bytesMax: pageBytesMax, onData: (data) => on.entries(entriesOf(data)) });
        const reader = response.body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return;
          heard();
          events.push(value);
        }
      } finally {
        clearTimeout(timer);
        given.abort();
      }
    },
  };
}

function readPage({ status, headers, json }: ServiceAnswer): FeedPage {
  if (status !== 200) throw new FeedRefused(status, retryAfterMs(headers));
  const page = isObject(json) ? json : {};
  const { cursor, more, age_ms: ageMs } = page;
  const whole = page['full_set'] !== undefined;
  if (typeof cursor !== 'string' || typeof more !== 'boolean' || typeof ageMs !== 'number' || !(ageMs >= 0)) {
    throw new Error('this is no answer of the feed of revocations');
  }
  return { whole, entries: listOf(whole ? page['full_set'] : page['diff_set']), cursor, more, ageMs };
}

/** Either set of an event; what is no entry is found out by the replica, which takes none of it. */
function entriesOf(data: string): readonly RevocationEntry[] {
  const event = JSON.parse(data) as unknown;
  if (!isObject(event)) throw new Error('this is no event of the feed of revocations');
  return listOf(event['full_set'] ?? event['diff_set']);
}

function listOf(set: unknown): readonly RevocationEntry[] {
  if (!Array.isArray(set) || set.length > pageEntriesMax) throw new Error('the feed of revocations lists nothing');
  return set as readonly RevocationEntry[];
}
