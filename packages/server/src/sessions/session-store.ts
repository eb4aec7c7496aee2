/**
 * The port of where sessions live. Two adapters pass one suite (`session-store.contract.ts`): PostgreSQL, where a session is a
 * row like any other, and Redis, for those who need its scale.
 *
 * - What an answer acknowledges is in the store, and stays: `create` and `rotateRefresh` resolve after that.
 * - What has ended stays ended, whatever the store loses or brings back: the database says so.
 * - `create`, `revoke` and `revokeAllByUser` work in the caller's transaction, with the ledger, the audit event and the user's
 *   row; the caller calls `forget` after its commit, or after its failure with what it had created.
 * - A store that is away throws; it never answers that a session is gone.
 */
import type { Queryable } from '../platform/database/index.ts';

/** What a token of a session is issued from. */
export interface IssuedSession {
  readonly id: string;
  /** The refresh token that the session waits for. */
  readonly counter: number;
  readonly auth_time: Date;
  readonly amr: readonly string[];
  readonly acr: 'aal1' | 'aal2';
  readonly refresh_expires_in: number;
  /** Seconds to the session's absolute end, past which no token of it lives. */
  readonly ends_in: number;
}

/** A session with the user as the database has them now. */
export interface SessionOfUser extends IssuedSession {
  readonly user_id: string;
  readonly email: string;
  readonly email_verified: boolean;
  readonly first_name: string | null;
  readonly last_name: string | null;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly epoch: number;
  readonly mfa_enabled: boolean;
  readonly user_created_at: Date;
  readonly user_updated_at: Date;
  readonly last_login_at: Date | null;
}

/** A session as its user is shown it. */
export interface SessionView {
  readonly id: string;
  readonly amr: readonly string[];
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly created_at: Date;
  readonly last_seen_at: Date;
  /** For want of use or absolutely, whichever is first. */
  readonly ends_at: Date;
}

/** A session of anybody, as administrators are shown it. */
export interface OwnedSession extends SessionView {
  readonly user_id: string;
}

export interface EndedSession {
  readonly id: string;
  readonly user_id: string;
  readonly age_seconds: number;
}

export interface NewStoredSession {
  readonly id: string;
  readonly userId: string;
  /** Of the user's row, which the caller's transaction holds. */
  readonly sessionsEpoch: number;
  readonly amr: readonly string[];
  readonly acr: 'aal1' | 'aal2';
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/** A refresh token with a right MAC. */
export interface Presented {
  readonly sessionId: string;
  /** `null` where the tokens of the store do not name the user. */
  readonly userId: string | null;
  readonly counter: number;
}

export type Rotation =
  /** This token was the one that the session waited for, or ahead of it: the store had lost a rotation. */
  | { readonly kind: 'won'; readonly session: SessionOfUser }
  /** The session has moved on without this token. */
  | { readonly kind: 'late'; readonly session: SessionOfUser; readonly rotatedMsAgo: number | null }
  /** There is no such live session, or its user may not go on. */
  | { readonly kind: 'gone' };

export interface SessionStore {
  /** As `/cluster/status` tells it. */
  readonly kind: 'embedded' | 'postgres' | 'redis' | 'redis-sentinel' | 'redis-cluster';
  /** Whether a refresh token must name the user for the store to find its session. */
  readonly tokensNameUser: boolean;
  /** Answers the least recently used ones above the limit, too: they end with this transaction. */
  create(
    tx: Queryable,
    session: NewStoredSession,
  ): Promise<{ readonly session: IssuedSession; readonly overLimit: readonly EndedSession[] }>;
  rotateRefresh(presented: Presented): Promise<Rotation>;
  find(userId: string, id: string): Promise<SessionView | undefined>;
  /** Newest first. */
  listByUser(userId: string, limit: number): Promise<readonly SessionView[]>;
  /** Of all users, newest first, before this id; `last` is where to go on, and `null` at the end. A page may be short. */
  page(
    before: string | undefined,
    limit: number,
  ): Promise<{ readonly sessions: readonly OwnedSession[]; readonly last: string | null }>;
  /** Whose session it is, as far as the database knows. */
  ownerOf(on: Queryable, id: string): Promise<string | undefined>;
  /**
   * Ends one session of this user; `undefined` for an unknown one, for somebody else's and for one that has ended, alike.
   * `named`: a verified token of this user names it, so that the store need not be asked whose it is.
   */
  revoke(
    tx: Queryable,
    userId: string,
    id: string,
    how: { readonly named: boolean },
  ): Promise<EndedSession | undefined>;
  /** Ends the session whose refresh token `counter` came out of turn. */
  revokeReused(tx: Queryable, userId: string, id: string, counter: number): Promise<EndedSession | undefined>;
  /**
   * Ends all sessions of the user but `keep`. The caller has raised the user's `sessions_epoch` where none is kept: so none
   * goes on that is not listed here because the store is away.
   */
  revokeAllByUser(tx: Queryable, userId: string, keep: string | null): Promise<readonly EndedSession[]>;
  /** Drops what has ended, or was begun by a transaction that failed. As well as it can: never throws, nothing depends on it. */
  forget(userId: string, ids: readonly string[]): Promise<void>;
  touch(seen: readonly { readonly userId: string; readonly id: string; readonly ms: number }[]): Promise<void>;
  /** Removes what has expired, in bounded batches (rows of the database: on `on`); answers the ages of the sessions that went, as far as it is the one to know. */
  sweepExpired(on: Queryable): Promise<readonly { readonly age_seconds: number }[]>;
  count(): Promise<number>;
  /**
   * Drops once more what ended within the last seconds: for a store that was away, or has lost its latest writes. Nothing but
   * tidiness depends on it. Answers how many.
   */
  replay(withinSeconds: number): Promise<number>;
}

export interface SessionLimits {
  readonly idleTtlSeconds: number;
  readonly maxAgeSeconds: number;
  readonly maxPerUser: number;
}
