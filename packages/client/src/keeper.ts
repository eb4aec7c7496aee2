/**
 * Keeps the session of this client: tokens, their renewal, and word of every change.
 *
 * - One renewal at a time in this tab, and across the tabs of one storage where the platform lets them take turns. Who comes
 *   second finds what the first was given and asks for nothing.
 * - Only the service's own word (`invalid_refresh_token`, `refresh_token_reused`) ends a session here. A service that is away,
 *   busy or hidden behind somebody's proxy ends nothing, and a token that is still good is used meanwhile.
 * - What was answered late never takes the place of what happened since: a logout, another login, another tab's renewal.
 * - Whether a token is due is asked when it is needed, so a machine that slept or whose clock was moved asks once, then.
 */
import type { TokenAnswer, User } from '@auth-service/protocol';
import { AuthError, isTemporary } from './errors.ts';
import { type AuthStorage, type StoredSession, soundSession } from './storage.ts';
import { noTabs, openTabs } from './tabs.ts';
import { notOurs, type Send } from './transport.ts';

/** Nobody has signed in here; somebody signed out; the service has ended the session. */
export type EndReason = 'nobody' | 'logged_out' | 'ended';

/** Whether somebody is signed in here, as far as this client knows. */
export type AuthState =
  | { readonly status: 'signed_out'; readonly reason: EndReason }
  /** `user` is what the latest answer told; `null` where none was given yet, as after a reload. */
  | { readonly status: 'signed_in'; readonly session_id: string; readonly user: User | null };

/** In cookie mode the tokens are missing: they are in cookies that no script sees. */
export type SessionAnswer = Omit<TokenAnswer, 'access_token' | 'refresh_token' | 'token_type'> &
  Partial<Pick<TokenAnswer, 'access_token' | 'refresh_token'>>;

export interface Keeper {
  /** A session whose token is good for a while, renewed where it is due; `null` where nobody is signed in. */
  session(signal?: AbortSignal): Promise<StoredSession | null>;
  /** The service refused what `used` holds: what to use instead, or `null` where the session has ended. */
  renewed(used: StoredSession | null, signal?: AbortSignal): Promise<StoredSession | null>;
  keep(answer: unknown): Promise<User>;
  forget(reason: EndReason, forgetDevice?: boolean): Promise<void>;
  /** For `learn`: another number after each logout and each login, here or in another tab. */
  arrivals(): number;
  /** What an answer told of who is there; `sessionId` where it told that, too. `since`: `arrivals` before it was asked for. */
  learn(user: User, since: number, sessionId?: string): Promise<void>;
  deviceToken(): Promise<string | undefined>;
  state(): Promise<AuthState>;
  onChange(listener: (state: AuthState) => void): () => void;
  close(): void;
}

export interface KeeperDeps {
  readonly storage: AuthStorage;
  readonly send: Send;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly cookies: boolean;
  /** Tells apart services that share a storage. */
  readonly baseUrl: string;
}

/** What tabs tell each other. */
interface Message {
  readonly replaced: StoredSession | null;
  readonly session: StoredSession | null;
  readonly state: AuthState;
}

/** A token is renewed so long before it expires, milliseconds; a short-lived one after half of its life. */
const renewAheadMs = 30_000;
/** A clock that stands so far before the moment a token came was moved; what it says of the token is worth nothing. */
const clockBackMs = 5_000;
/** After an attempt that failed while the token was still good, milliseconds. */
const pauseMs = 5_000;
/**
 * Of one attempt to renew, milliseconds. All attempts are begun well within the service's grace (`REFRESH_REUSE_GRACE`, 30 s),
 * in which a token whose answer was lost gets the same successor; later it counts as stolen.
 */
const renewMsMax = 8_000;

const endedCodes: ReadonlySet<string> = new Set(['invalid_refresh_token', 'refresh_token_reused']);

export function createKeeper(deps: KeeperDeps): Keeper {
  const { storage, send, now } = deps;
  const listeners = new Set<(state: AuthState) => void>();
  // The cookies of a browser are shared by its tabs, wherever each of them keeps what it knows.
  const shared = storage.shared ?? (deps.cookies ? 'cookies' : undefined);
  // A storage that cannot be read now is read again with the next call.
  const later = (): void => {};
  const tabs =
    shared === undefined
      ? noTabs
      : openTabs(
          `auth-service ${deps.baseUrl} ${shared}`,
          (message) => void hear(message).catch(later),
          () => void lookAgain().catch(later),
        );
  let renewing: Promise<StoredSession | null> | null = null;
  let pausedUntil = 0;
  /** Grows with everything that is kept or forgotten here, so that late answers are known as such. */
  let changes = 0;
  /** Grows with those of them that are no renewal: who was there before need not be who is there now. */
  let arrivals = 0;
  let told: AuthState | null = null;

  const load = async (): Promise<StoredSession | null> => (await storage.load())?.session ?? null;

  function tell(state: AuthState): void {
    const before = told;
    told = state;
    if (before !== null && sameState(before, state)) return;
    for (const listener of listeners) {
      try {
        listener(state);
      } catch (error) {
        // Theirs to hear of, and no reason for a login to fail.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  async function replace(session: StoredSession | null, state: AuthState, device?: string | null): Promise<void> {
    changes += 1;
    const at = changes;
    const before = await storage.load();
    if (changes !== at) return;
    if (before?.session != null && before.session.session_id !== session?.session_id) arrivals += 1;
    const kept = device === null ? undefined : (device ?? before?.device_token);
    await storage.save({ session, ...(kept === undefined ? {} : { device_token: kept }) });
    tabs.tell({ replaced: before?.session ?? null, session, state } satisfies Message);
    tell(state);
  }

  async function hear(message: unknown): Promise<void> {
    const { replaced, session, state } = messageOf(message);
    const stored = await storage.load();
    const mine = stored?.session ?? null;
    // A storage that both tabs write needs nothing; one that each has a copy of (a duplicated tab) is brought up to date.
    const isMine = deps.cookies
      ? isOfSameCookies(mine, replaced, session, state)
      : replaced !== null && mine !== null && same(mine, replaced);
    if (isMine && !same(mine, session)) {
      changes += 1;
      if (mine?.session_id !== session?.session_id) arrivals += 1;
      await storage.save({ ...stored, session });
      tell(state);
    } else if (same(mine, session)) tell(state);
  }

  /** What happened while this page was kept aside was told to nobody here. */
  async function lookAgain(): Promise<void> {
    const stored = await load();
    const isKnown =
      stored === null
        ? told?.status === 'signed_out'
        : told?.status === 'signed_in' && told.session_id === stored.session_id;
    if (deps.cookies && stored !== null) await renewOnce(stored);
    else if (!isKnown) tell(stateOf(stored));
  }

  function isGood(session: StoredSession): boolean {
    const age = now() - session.obtained_at;
    const left = session.expires_at - now();
    return age >= -clockBackMs && left > Math.min(renewAheadMs, (session.expires_at - session.obtained_at) / 2);
  }

  async function renew(due: StoredSession | null): Promise<StoredSession | null> {
    const before = await load();
    if (before !== null && !same(before, due)) return before;
    if (before === null && !deps.cookies) return null;
    const at = changes;
    let answer: unknown = null;
    try {
      const body = deps.cookies ? {} : { refresh_token: before?.refresh_token };
      answer = await send({ method: 'POST', path: '/refresh-token', body, repeatable: true, timeoutMs: renewMsMax });
    } catch (error) {
      if (!(error instanceof AuthError) || !endedCodes.has(error.code)) throw error;
    }
    const current = await load();
    if (changes !== at || !same(current, before)) return current;
    if (answer === null) await forget(before === null ? 'nobody' : 'ended');
    else await keep(answer);
    return load();
  }

  function renewOnce(due: StoredSession | null, signal?: AbortSignal): Promise<StoredSession | null> {
    renewing ??= tabs
      .alone(() => renew(due))
      .finally(() => {
        renewing = null;
      });
    return unlessAborted(renewing, signal);
  }

  async function keep(answer: unknown): Promise<User> {
    const { user, session_id, access_token, refresh_token, expires_in, device_token } = sessionAnswerOf(
      answer,
      deps.cookies,
    );
    const session: StoredSession = {
      session_id,
      ...(access_token === undefined || refresh_token === undefined ? {} : { access_token, refresh_token }),
      expires_at: now() + expires_in * 1_000,
      obtained_at: now(),
    };
    pausedUntil = 0;
    await replace(session, { status: 'signed_in', session_id, user }, device_token);
    return user;
  }

  const forget: Keeper['forget'] = (reason, forgetDevice = false) => {
    arrivals += 1;
    return replace(null, { status: 'signed_out', reason }, forgetDevice ? null : undefined);
  };

  return {
    async session(signal) {
      const stored = await load();
      if (stored === null || isGood(stored)) return stored;
      const usable = stored.expires_at > now() && stored.obtained_at <= now() + clockBackMs;
      if (usable && now() < pausedUntil) return stored;
      try {
        return await renewOnce(stored, signal);
      } catch (error) {
        if (!usable || !isTemporary(error)) throw error;
        pausedUntil = now() + Math.max(pauseMs, (error.retryAfter ?? 0) * 1_000);
        return stored;
      }
    },
    async renewed(used, signal) {
      const stored = await load();
      return stored !== null && !same(stored, used) ? stored : renewOnce(stored, signal);
    },
    keep(answer) {
      arrivals += 1;
      return keep(answer);
    },
    forget,
    arrivals: () => arrivals,
    async learn(user, since, sessionId) {
      const stored = await load();
      if (arrivals !== since && stored?.session_id !== sessionId) return;
      const id = sessionId ?? stored?.session_id;
      if (id === undefined) return;
      const state = { status: 'signed_in', session_id: id, user } as const;
      // By its cookies a page finds a session that it has not begun. They end by themselves, and a call without one renews them.
      if (deps.cookies && stored?.session_id !== id) {
        await replace({ session_id: id, expires_at: Number.MAX_SAFE_INTEGER, obtained_at: now() }, state);
      } else if (stored?.session_id === id) tell(state);
    },
    deviceToken: async () => (await storage.load())?.device_token,
    async state() {
      const stored = await load();
      if (stored === null) return told?.status === 'signed_out' ? told : { status: 'signed_out', reason: 'nobody' };
      if (told?.status === 'signed_in' && told.session_id === stored.session_id) return told;
      return stateOf(stored);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => tabs.close(),
  };
}

const same = (a: StoredSession | null, b: StoredSession | null): boolean =>
  a === b ||
  (a !== null &&
    b !== null &&
    a.session_id === b.session_id &&
    a.obtained_at === b.obtained_at &&
    a.access_token === b.access_token);

const stateOf = (session: StoredSession | null): AuthState =>
  session === null
    ? { status: 'signed_out', reason: 'ended' }
    : { status: 'signed_in', session_id: session.session_id, user: null };

/** Any script of the origin can send what it likes: what is told of must be what is kept. */
function messageOf(value: unknown): Message {
  const { replaced, session, state } = (value ?? {}) as { [name in keyof Message]?: unknown };
  const kept = soundSession(session);
  const { reason, user } = (state ?? {}) as { reason?: unknown; user?: unknown };
  return {
    replaced: soundSession(replaced),
    session: kept,
    state:
      kept === null
        ? { status: 'signed_out', reason: reason === 'logged_out' || reason === 'nobody' ? reason : 'ended' }
        : { ...stateOf(kept), ...(typeof user === 'object' ? { user: user as User | null } : {}) },
  };
}

/** With cookies the latest login in the browser is everybody's, and a logout ends what all had; an end, only who had that session. */
function isOfSameCookies(
  mine: StoredSession | null,
  replaced: StoredSession | null,
  session: StoredSession | null,
  state: AuthState,
): boolean {
  if (session !== null) return mine === null || session.obtained_at >= mine.obtained_at;
  if (state.status === 'signed_out' && state.reason === 'logged_out') return true;
  return mine !== null && mine.session_id === replaced?.session_id;
}

const sameState = (a: AuthState, b: AuthState): boolean => JSON.stringify(a) === JSON.stringify(b);

/** A page of somebody's proxy, answered with 200, is no session. */
function sessionAnswerOf(value: unknown, cookies: boolean): SessionAnswer {
  const answer = (value ?? {}) as Partial<SessionAnswer>;
  const sound =
    typeof answer.session_id === 'string' &&
    typeof answer.expires_in === 'number' &&
    typeof answer.user === 'object' &&
    (cookies || (typeof answer.access_token === 'string' && typeof answer.refresh_token === 'string'));
  if (!sound) throw new AuthError('unexpected_answer', notOurs, { status: 200 });
  return answer as SessionAnswer;
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
  });
}
