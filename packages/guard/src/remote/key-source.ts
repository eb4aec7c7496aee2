/**
 * The service's keys: fetched once for all who wait, again as its `Cache-Control` says, and for a key name that is not known at
 * most once in `floorMs`, so that forged names are no way to make this process ask. An answer that is no unambiguous set of
 * usable keys changes nothing, and neither does one that does not come: keys that were revoked are told by the feed.
 */
import { readJwks } from '../jwk.ts';
import type { KeySet } from '../keys.ts';
import type { ServiceHttp } from './http.ts';
import { sleep } from './sleep.ts';

export interface KeySource {
  /** Fetches, or waits for the fetch that is under way. Throws when there is no answer that counts. */
  refresh(): Promise<void>;
  /** For an unknown key name: a promise to wait for, or `undefined` while the floor forbids to ask. Never rejects. */
  refreshForUnknown(): Promise<void> | undefined;
  /** Whether keys were ever had. */
  isLoaded(): boolean;
  /** Milliseconds until the keys should be fetched again. */
  dueInMs(): number;
  figures(): { readonly fetches: number; readonly failures: number; readonly notModified: number };
}

const maxAgeMsMin = 30_000;
const maxAgeMsMax = 3_600_000;
const maxAgeMsDefault = 300_000;
const retryMs = 5_000;

export function createKeySource(deps: {
  readonly http: Pick<ServiceHttp, 'send'>;
  readonly path: () => Promise<string>;
  readonly keys: KeySet;
  readonly monotonicNow: () => number;
  readonly floorMs: number;
}): KeySource {
  const { keys, monotonicNow, floorMs } = deps;
  let underWay: Promise<void> | undefined;
  let lastAskedMs = Number.NEGATIVE_INFINITY;
  let dueMs = Number.NEGATIVE_INFINITY;
  let etag: string | null = null;
  let loaded = false;
  const counts = { fetches: 0, failures: 0, notModified: 0 };

  async function fetchKeys(): Promise<void> {
    lastAskedMs = monotonicNow();
    counts.fetches += 1;
    try {
      const headers: Readonly<Record<string, string>> = etag === null ? {} : { 'If-None-Match': etag };
      const answer = await deps.http.send(await deps.path(), { headers });
      if (answer.status === 304 && loaded) counts.notModified += 1;
      else {
        const read = answer.status === 200 ? readJwks(answer.json) : undefined;
        if (read === undefined || read.length === 0) throw new Error(`no usable key set (status ${answer.status})`);
        keys.replace(read);
        etag = answer.headers.get('etag');
        loaded = true;
      }
      dueMs = monotonicNow() + maxAgeMs(answer.headers);
    } catch (error) {
      counts.failures += 1;
      dueMs = monotonicNow() + retryMs;
      throw new Error('the keys of the service could not be fetched', { cause: error });
    }
  }

  function refresh(): Promise<void> {
    underWay ??= fetchKeys().finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  return {
    refresh,
    refreshForUnknown() {
      if (underWay === undefined && monotonicNow() - lastAskedMs < floorMs) return undefined;
      return refresh().catch(() => undefined);
    },
    isLoaded: () => loaded,
    dueInMs: () => dueMs - monotonicNow(),
    figures: () => ({ ...counts }),
  };
}

const backoffMsMin = 250;

/** Loads the keys, as often as it takes, and keeps them as young as the service wants them, until the signal. */
export function keepKeys(
  source: Pick<KeySource, 'refresh' | 'isLoaded' | 'dueInMs'>,
  deps: { readonly signal: AbortSignal; readonly random: () => number; readonly onFailed: (error: unknown) => void },
): { readonly loaded: Promise<void>; readonly ended: Promise<void> } {
  const { signal, random, onFailed } = deps;
  const loaded = Promise.withResolvers<void>();
  loaded.promise.catch(() => undefined);
  async function keep(): Promise<void> {
    for (let failed = 0; !signal.aborted; ) {
      try {
        await source.refresh();
        failed = 0;
        loaded.resolve();
      } catch (error) {
        failed = Math.min(failed + 1, 10);
        onFailed(error);
      }
      const pauseMs = failed === 0 ? source.dueInMs() : Math.min(backoffMsMin * 2 ** failed, retryMs);
      await sleep(pauseMs * (0.75 + random() / 4), signal);
    }
    loaded.reject(new Error('this guard was closed before it had keys'));
  }
  return { loaded: loaded.promise, ended: keep() };
}

function maxAgeMs(headers: Headers): number {
  const seconds = /(?:^|[\s,])max-age=(\d{1,9})/.exec(headers.get('cache-control') ?? '')?.[1];
  const ms = seconds === undefined ? maxAgeMsDefault : Number(seconds) * 1_000;
  return Math.min(Math.max(ms, maxAgeMsMin), maxAgeMsMax);
}
