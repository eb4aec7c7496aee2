/** Use cases of sessions; see `index.ts` for what they guarantee. */
import type { Session } from '@auth-service/protocol';
import { findUserById, holdUser } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { Mail } from '../mail/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { NewRevocation, Pending, Revocation } from '../revocation/index.ts';
import { describeDevice } from './device.rule.ts';
import type { EndedSession, IssuedSession, Presented, Rotation, SessionStore, SessionView } from './session-store.ts';

export type EndReason =
  | 'logout'
  | 'logout_all'
  | 'revoked'
  | 'reuse'
  | 'limit'
  | 'expired'
  | 'disabled'
  | 'admin'
  | 'password_changed'
  | 'password_reset'
  | 'email_changed'
  | 'factor_removed'
  | 'reauthenticated'
  | 'recovery_code'
  | 'deleted';

export interface NewSession {
  /** As the transaction that starts the session has read and locked it. */
  readonly user: { readonly id: string; readonly sessions_epoch: number };
  readonly amr: readonly string[];
  readonly acr: 'aal1' | 'aal2';
  readonly origin: Origin;
  /** What `endOne` or `endAll` has ended in this transaction: it goes into the ledger with this session's beginning. */
  readonly instead?: Ending | undefined;
}

/** Sessions that a transaction ends: the ledger's entries are still to be appended. */
export interface Ending {
  readonly ended: readonly EndedSession[];
  readonly entries: readonly NewRevocation[];
  readonly reason: EndReason;
}

/** Starts a session in the transaction; nothing that could fail should come after it. */
export type StartSession = (session: NewSession) => Promise<IssuedSession>;

export interface Sessions {
  /**
   * One transaction that may start a session. What had to make room is known to be ended, everywhere, before this resolves;
   * what a transaction began that did not commit is dropped again.
   */
  begin<T>(work: (tx: Queryable, start: StartSession) => Promise<T>): Promise<T>;
  rotate(presented: Presented): Promise<Rotation>;
  /** Ends one session of this user; `undefined` for an unknown one and for somebody else's, alike. */
  end(userId: string, sessionId: string, reason: EndReason, origin: Origin): Promise<Pending | undefined>;
  /** In the caller's transaction: ends one session of this user for somebody else. After its commit: `ended`. */
  endForOther(
    tx: Queryable,
    userId: string,
    sessionId: string,
    by: { readonly reason: EndReason; readonly actor: string; readonly origin: Origin },
  ): Promise<{ readonly ended: EndedSession; readonly pending: Pending } | undefined>;
  endReused(presented: Presented, userId: string, origin: Origin): Promise<Pending | null>;
  /** In the caller's transaction: ends all of the user's sessions but `keep`. After its commit: `ended`. */
  endAll(tx: Queryable, userId: string, keep: string | null, why: EndReason, actor: string): Promise<Ending>;
  /** In the caller's transaction: ends one session that a verified token of this user names; `undefined` when it has ended. */
  endOne(tx: Queryable, userId: string, sessionId: string, why: EndReason): Promise<Ending | undefined>;
  /** After the commit: counts what ended, and drops it. */
  ended(userId: string, ended: readonly EndedSession[], reason: EndReason): void;
  find(userId: string, sessionId: string): Promise<SessionView | undefined>;
  list(userId: string): Promise<readonly SessionView[]>;
  /** Of all users, newest first, before this id. */
  page: SessionStore['page'];
  ownerOf: SessionStore['ownerOf'];
  /** Collected in memory, written in batches by `flushSeen`. */
  seen(userId: string, sessionId: string): void;
  flushSeen(): Promise<void>;
  /** Deletes what has expired; bounded batches until the end of the table, each on `on` where that is given. */
  sweep(on?: Queryable): Promise<number>;
  count(): Promise<number>;
  /** Tells the store again what ended within the last seconds; answers how many. */
  replay(withinSeconds: number): Promise<number>;
  /** Whether a refresh token must name its user. */
  readonly tokensNameUser: boolean;
}

interface Begun {
  readonly id: string;
  readonly userId: string;
  readonly over: readonly EndedSession[];
  readonly instead: Ending | undefined;
  /** Of those that had to make room, or that it replaces. */
  readonly pending: Pending | null;
}

const seenMax = 50_000;
const listMax = 1_000;

export function createSessions(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly revocation: Revocation;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly store: SessionStore;
  readonly onStarted: () => void;
  readonly onEnded: (reason: EndReason, ageSeconds: number) => void;
}): Sessions {
  const { db, clock, random, audit, revocation, store } = deps;
  let seen = new Map<string, { readonly userId: string; readonly ms: number }>();

  const entryOf = (session: EndedSession, reason: string, actor: string): NewRevocation => ({
    kind: 'session',
    subject: session.id,
    reason,
    actor,
  });

  function ended(userId: string, gone: readonly EndedSession[], reason: EndReason): void {
    for (const { age_seconds: age } of gone) deps.onEnded(reason, age);
    drop(
      userId,
      gone.map(({ id }) => id),
    );
  }

  /** Nobody waits for it: what has ended is dead by the ledger already. */
  function drop(userId: string, ids: readonly string[]): void {
    if (ids.length > 0) void store.forget(userId, ids);
  }

  const endForOther: Sessions['endForOther'] = async (tx, userId, sessionId, { reason, actor, origin }) => {
    // Before the session, as everywhere: what is done in its name under the user's lock is done before it ends, or not at all.
    await holdUser(tx, userId);
    const session = await store.revoke(tx, userId, sessionId, { named: reason === 'logout' });
    if (session === undefined) return undefined;
    const pending = await revocation.append(tx, [entryOf(session, reason, actor)]);
    if (pending === null) return undefined;
    await audit.append(tx, origin, {
      type: reason === 'logout' ? 'session.logout' : 'session.revoked',
      actor,
      target: sessionId,
      outcome: 'success',
    });
    return { ended: session, pending };
  };

  return {
    tokensNameUser: store.tokensNameUser,

    async begin(work) {
      const begun: { userId: string; id: string }[] = [];
      let last: Begun | undefined;
      const dropAllBut = (id: string | undefined): void => {
        for (const one of begun) if (one.id !== id) drop(one.userId, [one.id]);
      };
      const run = db.transaction((tx) => {
        last = undefined;
        return work(tx, async ({ user, amr, acr, origin, instead }) => {
          const id = random.uuidv7(clock.wallMs());
          begun.push({ userId: user.id, id });
          const { session, overLimit: over } = await store.create(tx, {
            id,
            userId: user.id,
            sessionsEpoch: user.sessions_epoch,
            amr,
            acr,
            ip: origin.ip,
            userAgent: origin.userAgent,
          });
          const entries = [...(instead?.entries ?? []), ...over.map((one) => entryOf(one, 'session_limit', 'system'))];
          last = { id, userId: user.id, over, instead, pending: await revocation.append(tx, entries) };
          return session;
        });
      });
      const value = await run.catch((error: unknown) => {
        dropAllBut(undefined);
        throw error;
      });
      dropAllBut(last?.id);
      await afterBegin(last);
      return value;
    },

    rotate: (presented) => store.rotateRefresh(presented),

    async end(userId, sessionId, reason, origin) {
      const done = await db.transaction((tx) => endForOther(tx, userId, sessionId, { reason, actor: userId, origin }));
      if (done === undefined) return undefined;
      ended(userId, [done.ended], reason);
      return done.pending;
    },

    endForOther,

    async endReused({ sessionId, counter }, userId, origin) {
      const done = await db.transaction(async (tx) => {
        await holdUser(tx, userId);
        const session = await store.revokeReused(tx, userId, sessionId, counter);
        if (session === undefined) return undefined;
        const pending = await revocation.append(tx, [entryOf(session, 'refresh_token_reused', 'system')]);
        await audit.append(tx, origin, {
          type: 'authn_token_reuse',
          actor: userId,
          target: sessionId,
          outcome: 'denied',
        });
        const user = await findUserById(tx, userId);
        if (user !== undefined) {
          await deps.mail.enqueue(tx, { kind: 'refresh_reused', to: user.email, values: {}, origin });
        }
        return { session, pending };
      });
      if (done === undefined) return null;
      ended(userId, [done.session], 'reuse');
      return done.pending;
    },

    async endAll(tx, userId, keep, why, actor) {
      const gone = await store.revokeAllByUser(tx, userId, keep);
      return { ended: gone, entries: gone.map((session) => entryOf(session, why, actor)), reason: why };
    },

    async endOne(tx, userId, sessionId, why) {
      const gone = await store.revoke(tx, userId, sessionId, { named: true });
      return gone && { ended: [gone], entries: [entryOf(gone, why, userId)], reason: why };
    },

    ended,
    find: (userId, sessionId) => store.find(userId, sessionId),
    list: (userId) => store.listByUser(userId, listMax),
    page: store.page,
    ownerOf: store.ownerOf,

    seen(userId, sessionId) {
      if (seen.size < seenMax || seen.has(sessionId)) seen.set(sessionId, { userId, ms: clock.wallMs() });
    },

    async flushSeen() {
      if (seen.size === 0) return;
      const batch = [...seen].map(([id, one]) => ({ id, ...one })).sort((a, b) => (a.id < b.id ? -1 : 1));
      seen = new Map();
      await store.touch(batch);
    },

    async sweep(on = db) {
      const swept = await store.sweepExpired(on);
      for (const { age_seconds: age } of swept) deps.onEnded('expired', age);
      return swept.length;
    },

    count: () => store.count(),
    replay: (withinSeconds) => store.replay(withinSeconds),
  };

  async function afterBegin(started: Begun | undefined): Promise<void> {
    if (started === undefined) return;
    deps.onStarted();
    ended(started.userId, started.over, 'limit');
    if (started.instead !== undefined) ended(started.userId, started.instead.ended, started.instead.reason);
    if (started.pending !== null) await revocation.settle(started.pending, started.userId);
  }
}

/** How a session is shown to its user. */
export function toSession(row: SessionView, currentId: string): Session {
  return {
    id: row.id,
    current: row.id === currentId,
    created_at: row.created_at.toISOString(),
    last_seen_at: row.last_seen_at.toISOString(),
    expires_at: row.ends_at.toISOString(),
    ip: row.ip,
    user_agent: row.user_agent,
    device: describeDevice(row.user_agent),
    amr: [...row.amr],
  };
}
