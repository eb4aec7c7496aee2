/**
 * A guard for a service outside of the cluster: it verifies access tokens by itself, and knows of revocations like a node.
 * This is where the parts meet the platform: its clocks, its randomness, its `fetch`.
 *
 * It begins at once; `ready` resolves when the keys and every live revocation are there. Until then, and whenever it cannot
 * prove that it knows every revocation up to a moment at most `maxStalenessSeconds` ago, bounded routes answer 503.
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { createDecide } from './doors/decide.ts';
import type { Decider } from './doors/door.ts';
import { createFreshness } from './freshness.ts';
import { createKeySet } from './keys.ts';
import type { MutualTls } from './mutual-tls.ts';
import { createAskService } from './remote/ask-service.ts';
import { discover, type ServicePaths } from './remote/discovery.ts';
import { createFollower, type FollowerFigures } from './remote/follower.ts';
import { createServiceHttp } from './remote/http.ts';
import { createKeySource, keepKeys } from './remote/key-source.ts';
import { createRemoteJudge } from './remote/remote-judge.ts';
import { createFeedSource, type RevocationSource } from './remote/revocation-source.ts';
import { createReplica } from './replica.ts';
import { createSubscriber } from './subscriber.ts';
import { createVerifier, type Refused, type Verified, type VerifierFigures } from './verify.ts';
import { createWarnings } from './warnings.ts';

/** Where the service is, and how sure to be of its revocations. */
export interface GuardOptions {
  /** The service's `PUBLIC_URL`, and so the `iss` of its tokens: `https://auth.example.org`. */
  readonly issuer: string;
  /** What tokens for this service say in `aud`: the `JWT_AUDIENCE` of the authentication service. */
  readonly audience: string;
  /**
   * For the feed of revocations: an API key, or an access token, with the permission `revocations:read`; or a function that
   * answers the one in force. Without it, and without `mutualTls`, only `strict` and `best-effort` routes are answered. Named and yet
   * `undefined`, as by a variable that is not set, it is refused.
   */
  readonly apiKey?: string | (() => string) | undefined;
  /** In the place of a key: a certificate that the service takes (`createMutualTls` of `@auth-service/guard/mutual-tls`). */
  readonly mutualTls?: MutualTls;
  /** Where the service is reached from here, when not at its issuer: `http://auth.internal:4000`. */
  readonly serviceUrl?: string;
  /** Plain HTTP to another machine: keys and revocations can then be forged on the way. */
  readonly allowInsecureHttp?: boolean;
  /** The bound of `bounded`, seconds; 10 where nothing is said. */
  readonly maxStalenessSeconds?: number;
  /** In challenges; the audience where nothing is said. */
  readonly realm?: string;
  /** For `exp` and `nbf`; 5 where nothing is said, 60 at most. */
  readonly leewaySeconds?: number;
  /** Where nobody listens, what fails is told by `console.warn`, once a minute at most. */
  readonly onEvent?: (event: GuardEvent) => void;
  /** In the place of the service's feed: another way to the ledger. */
  readonly revocations?: RevocationSource;
  readonly fetch?: typeof fetch;
}

/** What is told to `onEvent`; a listener that throws changes nothing. */
export type GuardEvent =
  /** Every live revocation is known here, and the keys are there. */
  | { readonly kind: 'ready' }
  /** A reading of the feed, its stream, or a fetch of the keys failed; it is tried again. */
  | { readonly kind: 'failed'; readonly part: 'feed' | 'keys'; readonly error: unknown };

/** Counters since the start, for metrics. */
export interface GuardFigures {
  readonly verifier: VerifierFigures;
  /** Decisions by their outcome: `allowed`, `anonymous`, or the code of the refusal. */
  readonly decisions: Readonly<Record<string, number>>;
  readonly revocations: FollowerFigures & {
    readonly live: number;
    /** Since the last proof; `Infinity` before the first. */
    readonly lagMs: number;
    readonly streaming: boolean;
  };
  readonly keys: { readonly fetches: number; readonly failures: number; readonly notModified: number };
  readonly service: { readonly asked: number; readonly failures: number; readonly refusedAtOnce: number };
}

/** What `createGuard` gives: doors are made of it. */
export interface Guard extends Decider {
  /**
   * Resolves when the keys are there, and every live revocation where the feed is followed; rejects when closed before. It waits as
   * long as that takes: with a `signal`, as `AbortSignal.timeout(5_000)`, it rejects with the signal's reason, and the guard goes on trying.
   */
  ready(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Whether it can prove now that it knows every revocation, within its bound: for a readiness check. */
  isFresh(): boolean;
  /** One token, by what is held here and within the bound; no question is asked of anybody. */
  verify(token: string): Verified | Refused;
  figures(): GuardFigures;
  /** Vouches for nothing any more, and lets go of every connection. */
  close(): Promise<void>;
}

const keyFloorMs = 10_000;

/**
 * A guard for one audience of one service. It fetches keys and follows the revocations from now on, until `close`. Throws
 * `TypeError` for options under which nothing, or the wrong thing, would be checked.
 */
export function createGuard(options: GuardOptions): Guard {
  const { issuer, audience, maxStalenessSeconds = 10 } = options;
  const baseUrl = checkedBaseUrl(options);
  const boundMs = maxStalenessSeconds * 1_000;
  const monotonicNow = () => performance.now();
  const warn = createWarnings({ baseUrl, monotonicNow, warn: (text) => console.warn(text) });
  const onEvent = neverThrowing(
    options.onEvent ?? ((event) => event.kind === 'failed' && warn(event.part, event.error)),
  );
  const wallNow = () => Date.now();
  const now = () => Date.now() / 1_000;
  const random = () => randomInt(2 ** 32) / 2 ** 32;

  const http = createServiceHttp({ fetch: options.mutualTls?.fetch ?? options.fetch ?? fetch, baseUrl });
  const find = untilItWorks(() => discover(http, issuer));
  const path = (name: keyof ServicePaths) => async () => (await find())[name];

  const keys = createKeySet();
  const replica = createReplica({ hashKey: randomBytes(16) });
  const freshness = createFreshness({ monotonicNow, wallNow, maxStalenessMs: boundMs });
  const subscriber = createSubscriber({ replica, freshness, wallNow });
  const verifier = createVerifier({
    ...{ keys, replica, freshness, issuer, audience, clock: now, whenStale: 'serve' },
    ...(options.leewaySeconds === undefined ? {} : { leewaySeconds: options.leewaySeconds }),
  });
  const keySource = createKeySource({ http, path: path('jwks'), keys, monotonicNow, floorMs: keyFloorMs });
  const service = createAskService({ http, path: path('validate'), issuer, audience, replica, monotonicNow, now });
  const follower = createFollower({
    source: options.revocations ?? createFeedSource({ http, path: path('feed'), credential: credentialOf(options) }),
    ...{ subscriber, replica, wallNow, random, everyMs: boundMs / 4 },
    onFailed: (error) => onEvent({ kind: 'failed', part: 'feed', error }),
  });
  const follows = [options.apiKey, options.mutualTls, options.revocations].some((way) => way !== undefined);
  const tellOfNoFeed = once(() => onEvent({ kind: 'failed', part: 'feed', error: new Error(noFeed) }));
  const decisions: Record<string, number> = {};
  const decide = createDecide({
    judge: createRemoteJudge({ verifier, freshness, keySource, service, boundMs }),
    now,
    newRequestId: () => randomUUID(),
    realm: options.realm ?? audience,
    onDecision: (outcome) => {
      decisions[outcome] = (decisions[outcome] ?? 0) + 1;
      if (outcome === 'revocation_state_stale' && !follows) tellOfNoFeed();
    },
  });
  const closing = new AbortController();
  const keepsKeys = keepKeys(keySource, {
    signal: closing.signal,
    random,
    onFailed: (error) => onEvent({ kind: 'failed', part: 'keys', error }),
  });
  if (follows) follower.start();
  const ready = Promise.all([keepsKeys.loaded, follows ? follower.loaded() : undefined]).then(() => undefined);
  ready.then(() => onEvent({ kind: 'ready' })).catch(() => undefined);

  return {
    decide,
    ready: ({ signal } = {}) => (signal === undefined ? ready : unlessAborted(ready, signal)),
    isFresh: () => keySource.isLoaded() && freshness.isFresh(),
    verify(token) {
      const verified = verifier.verify(token);
      if (verified.kind === 'valid') return verified.stale ? staleRefusal : verified;
      // Before the first keys are there nobody can say whose a token is.
      return verified.detail === 'key' && !keySource.isLoaded() ? staleRefusal : verified;
    },
    figures: () => ({
      verifier: verifier.figures(),
      decisions: { ...decisions },
      revocations: {
        ...follower.figures(),
        live: replica.live(),
        lagMs: freshness.lagMs(),
        streaming: follower.isStreaming(),
      },
      keys: keySource.figures(),
      service: service.figures(),
    }),
    async close() {
      closing.abort();
      await Promise.all([follower.close(), keepsKeys.ended]);
      options.mutualTls?.close();
    },
  };
}

const staleRefusal: Refused = Object.freeze({ kind: 'refused', reason: 'stale', detail: 'stale' });

const noFeed =
  'neither apiKey nor mutualTls is given, so revocations are not followed: only strict and best-effort routes let anybody in';

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) act();
    isDone = true;
  };
}

/** What was promised, or the reason of the signal where that comes first. */
function unlessAborted<T>(promised: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promised.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** A listener that fails is no reason to stop following. */
const neverThrowing =
  (listener: GuardOptions['onEvent']) =>
  (event: GuardEvent): void => {
    try {
      listener?.(event);
    } catch {
      // Its own fault, and its own to notice.
    }
  };

/** Asks once for all who want to know; again only when that failed. */
function untilItWorks<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask().catch((error: unknown) => {
      asked = undefined;
      throw error;
    });
    return asked;
  };
}

function credentialOf({ apiKey }: GuardOptions): (() => string) | undefined {
  return typeof apiKey === 'string' ? () => apiKey : apiKey;
}

/** Where the service is asked, without a slash at the end. */
function checkedBaseUrl(options: GuardOptions): string {
  const { issuer, apiKey, allowInsecureHttp = false } = options;
  const text = options.serviceUrl ?? issuer;
  if (typeof text !== 'string' || !URL.canParse(text)) throw new TypeError('issuer and serviceUrl are addresses');
  const { protocol, hostname, username, search, hash } = new URL(text);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && (isLoopback || allowInsecureHttp))) {
    throw new TypeError('the service is reached by https, or by http on this machine (see allowInsecureHttp)');
  }
  if (options.mutualTls !== undefined && (protocol !== 'https:' || options.fetch !== undefined)) {
    throw new TypeError('mutualTls is for a service that is reached by https, and brings its own fetch');
  }
  if (username !== '' || search !== '' || hash !== '')
    throw new TypeError('an address without user, query and fragment');
  if (apiKey === '') throw new TypeError('apiKey is empty');
  if (apiKey === undefined && 'apiKey' in options) {
    throw new TypeError(
      'apiKey is undefined: is the variable set that it comes from? Without a key revocations are not followed',
    );
  }
  if (issuer.endsWith('/')) throw new TypeError('an issuer has no slash at its end');
  return text.replace(/\/+$/, '');
}
