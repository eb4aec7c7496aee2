/** Use cases of sessions; see `index.ts` for what they guarantee. */
import type { Session } from '@auth-service/protocol';
import type { Audit, Origin } from '../audit/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { NewRevocation, Pending, Revocation } from '../revocation/index.ts';
import { describeDevice } from './device.rule.ts';
import { createRotations, type Presented } from './rotation.ts';
import {
  consumeRefresh,
  countSessions,
  deleteExpiredSessions,
  deleteReusedSession,
  deleteSession,
  deleteSessionsByUser,
  deleteSessionsOverLimit,
  type EndedRow,
  findSession,
  findSessionStanding,
  insertSession,
  listSessionsByUser,
  type RotatedRow,
  type SessionRow,
  updateLastSeen,
} from './sessions.sql.ts';

export type EndReason = 'logout' | 'logout_all' | 'revoked' | 'reuse' | 'limit' | 'expired' | 'disabled' | 'admin';

export interface SessionLimits {
  readonly idleTtlSeconds: number;
  readonly maxAgeSeconds: number;
  readonly maxPerUser: number;
}

export interface NewSession {
  readonly userId: string;
  readonly amr: readonly string[];
  readonly acr: 'aal1' | 'aal2';
  readonly origin: Origin;
}

export interface Started {
  readonly row: SessionRow & { readonly refresh_expires_in: number; readonly ends_in: number };
  /** Of the sessions that had to make room. */
  readonly pending: Pending | null;
  readonly ended: readonly EndedRow[];
}

export interface Sessions {
  /** In the caller's transaction, which holds the user's row. After its commit: `startedOne`. */
  start(tx: Queryable, session: NewSession): Promise<Started>;
  rotate(presented: Presented): Promise<RotatedRow | undefined>;
  standing(sessionId: string): Promise<(RotatedRow & { status: string; rotated_ms_ago: number | null }) | undefined>;
  /** Ends one session of this user; `undefined` for an unknown one and for somebody else's, alike. */
  end(userId: string, sessionId: string, reason: EndReason, origin: Origin): Promise<Pending | undefined>;
  endReused(sessionId: string, userId: string, counter: number, origin: Origin): Promise<Pending | null>;
  /** In the caller's transaction: ends all of the user's sessions but `keep`. */
  endAll(
    tx: Queryable,
    userId: string,
    keep: string | null,
    why: EndReason,
    actor: string,
  ): Promise<{ ended: readonly EndedRow[]; entries: readonly NewRevocation[] }>;
  /** After the commit: counts a session that began. */
  startedOne(): void;
  /** After the commit: counts what ended. */
  counted(ended: readonly EndedRow[], reason: EndReason): void;
  find(userId: string, sessionId: string): Promise<SessionRow | undefined>;
  list(userId: string): Promise<readonly SessionRow[]>;
  /** Collected in memory, written in batches by `flushSeen`. */
  seen(sessionId: string): void;
  flushSeen(): Promise<void>;
  /** Deletes what has expired; bounded batches until the end of the table. */
  sweep(): Promise<number>;
  count(): Promise<number>;
}

const sweepBatch = 1_000;
const seenMax = 50_000;
const listMax = 1_000;
const queueMax = 20_000;
const firstId = '00000000-0000-0000-0000-000000000000';

export function createSessions(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly revocation: Revocation;
  readonly limits: SessionLimits;
  readonly onStarted: () => void;
  readonly onEnded: (reason: EndReason, ageSeconds: number) => void;
}): Sessions {
  const { db, clock, random, audit, revocation, limits } = deps;
  const rotations = createRotations({
    run: (batch) => consumeRefresh(db, batch, limits.idleTtlSeconds),
    queueMax,
  });
  let seen = new Map<string, number>();

  const entryOf = (row: EndedRow, reason: string, actor: string): NewRevocation => ({
    kind: 'session',
    subject: row.id,
    reason,
    actor,
  });

  return {
    async start(tx, session) {
      const row = await insertSession(tx, {
        id: random.uuidv7(clock.wallMs()),
        userId: session.userId,
        amr: session.amr,
        acr: session.acr,
        ip: session.origin.ip,
        userAgent: session.origin.userAgent,
        idleTtlSeconds: limits.idleTtlSeconds,
        maxAgeSeconds: limits.maxAgeSeconds,
      });
      if (row === undefined) throw new Error('the session was not inserted');
      const ended = await deleteSessionsOverLimit(tx, session.userId, limits.maxPerUser, row.id);
      const pending = await revocation.append(
        tx,
        ended.map((one) => entryOf(one, 'session_limit', 'system')),
      );
      return { row, pending, ended };
    },

    rotate: (presented) => rotations.rotate(presented),
    standing: (sessionId) => findSessionStanding(db, sessionId),

    async end(userId, sessionId, reason, origin) {
      const done = await db.transaction(async (tx) => {
        const row = await deleteSession(tx, sessionId, userId);
        if (row === undefined) return undefined;
        const pending = await revocation.append(tx, [entryOf(row, reason, userId)]);
        await audit.append(tx, origin, {
          type: reason === 'logout' ? 'session.logout' : 'session.revoked',
          actor: userId,
          target: sessionId,
          outcome: 'success',
        });
        return { row, pending };
      });
      if (done === undefined || done.pending === null) return undefined;
      deps.onEnded(reason, done.row.age_seconds);
      return done.pending;
    },

    async endReused(sessionId, userId, counter, origin) {
      const done = await db.transaction(async (tx) => {
        const row = await deleteReusedSession(tx, sessionId, counter);
        if (row === undefined) return undefined;
        const pending = await revocation.append(tx, [entryOf(row, 'refresh_token_reused', 'system')]);
        await audit.append(tx, origin, {
          type: 'authn_token_reuse',
          actor: userId,
          target: sessionId,
          outcome: 'denied',
        });
        return { row, pending };
      });
      if (done === undefined) return null;
      deps.onEnded('reuse', done.row.age_seconds);
      return done.pending;
    },

    async endAll(tx, userId, keep, why, actor) {
      const ended = await deleteSessionsByUser(tx, userId, keep);
      return { ended, entries: ended.map((row) => entryOf(row, why, actor)) };
    },

    startedOne: () => deps.onStarted(),

    counted(ended, reason) {
      for (const row of ended) deps.onEnded(reason, row.age_seconds);
    },

    find: (userId, sessionId) => findSession(db, sessionId, userId),
    list: (userId) => listSessionsByUser(db, userId, listMax),

    seen(sessionId) {
      if (seen.size < seenMax || seen.has(sessionId)) seen.set(sessionId, clock.wallMs());
    },

    async flushSeen() {
      if (seen.size === 0) return;
      const batch = [...seen].map(([id, ms]) => ({ id, ms })).sort((a, b) => (a.id < b.id ? -1 : 1));
      seen = new Map();
      for (let start = 0; start < batch.length; start += sweepBatch) {
        await updateLastSeen(db, batch.slice(start, start + sweepBatch));
      }
    },

    async sweep() {
      let swept = 0;
      let after: string | null = firstId;
      while (after !== null) {
        const rows: readonly { id: string | null; last: string | null; age_seconds: number | null }[] =
          await deleteExpiredSessions(db, after, sweepBatch);
        for (const row of rows) {
          if (row.id === null) continue;
          swept += 1;
          deps.onEnded('expired', row.age_seconds ?? 0);
        }
        after = rows[0]?.last ?? null;
      }
      return swept;
    },

    count: () => countSessions(db),
  };
}

/** How a session is shown to its user. */
export function toSession(row: SessionRow, currentId: string): Session {
  const ends = Math.min(row.expires_at.getTime(), row.idle_expires_at.getTime());
  return {
    id: row.id,
    current: row.id === currentId,
    created_at: row.created_at.toISOString(),
    last_seen_at: row.last_seen_at.toISOString(),
    expires_at: new Date(ends).toISOString(),
    ip: row.ip,
    user_agent: row.user_agent,
    device: describeDevice(row.user_agent),
    amr: [...row.amr],
  };
}
