/** Sessions as rows beside users and ledger: one transaction with all that goes with them, nothing to forget afterwards. */
import type { Database } from '../platform/database/index.ts';
import { createRotations } from './rotation.ts';
import type { Presented, Rotation, SessionLimits, SessionStore } from './session-store.ts';
import {
  consumeRefresh,
  countSessions,
  deleteExpiredSessions,
  deleteReusedSession,
  deleteSession,
  deleteSessionsByUser,
  deleteSessionsOverLimit,
  findSession,
  findSessionOwner,
  findSessionStanding,
  insertSession,
  listSessionsBefore,
  listSessionsByUser,
  updateLastSeen,
} from './sessions.sql.ts';

const batchMax = 1_000;
const queueMax = 20_000;
const firstId = '00000000-0000-0000-0000-000000000000';
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export function createPostgresSessionStore(deps: {
  readonly db: Database;
  readonly limits: SessionLimits;
}): SessionStore {
  const { db, limits } = deps;
  const rotations = createRotations({
    run: (batch) => consumeRefresh(db, batch, limits.idleTtlSeconds),
    queueMax,
  });

  async function rotateRefresh(presented: Presented): Promise<Rotation> {
    const session = await rotations.rotate(presented);
    if (session !== undefined) return { kind: 'won', session };
    const standing = await findSessionStanding(db, presented.sessionId);
    if (standing === undefined || standing.status !== 'active') return { kind: 'gone' };
    return { kind: 'late', session: standing, rotatedMsAgo: standing.rotated_ms_ago };
  }

  return {
    kind: db.kind,
    tokensNameUser: false,

    async create(tx, session) {
      const row = await insertSession(tx, session, limits);
      if (row === undefined) throw new Error('the session was not inserted');
      return { session: row, overLimit: await deleteSessionsOverLimit(tx, session.userId, limits.maxPerUser, row.id) };
    },

    rotateRefresh,
    find: (userId, id) => findSession(db, id, userId),
    listByUser: (userId, limit) => listSessionsByUser(db, userId, limit),

    async page(before, limit) {
      const rows = await listSessionsBefore(db, before ?? lastId, limit);
      const last = rows.length < limit ? null : (rows.at(-1)?.id ?? null);
      return { sessions: rows.filter((row) => row.live), last };
    },

    ownerOf: findSessionOwner,
    revoke: (tx, userId, id) => deleteSession(tx, id, userId),
    revokeReused: (tx, _userId, id, counter) => deleteReusedSession(tx, id, counter),
    revokeAllByUser: deleteSessionsByUser,
    forget: async () => undefined,

    async touch(seen) {
      for (let start = 0; start < seen.length; start += batchMax) {
        await updateLastSeen(db, seen.slice(start, start + batchMax));
      }
    },

    async sweepExpired(on) {
      const swept: { age_seconds: number }[] = [];
      let after: string | null = firstId;
      while (after !== null) {
        const rows: readonly { id: string | null; last: string | null; age_seconds: number | null }[] =
          await deleteExpiredSessions(on, after, batchMax);
        for (const row of rows) if (row.id !== null) swept.push({ age_seconds: row.age_seconds ?? 0 });
        after = rows[0]?.last ?? null;
      }
      return swept;
    },

    count: () => countSessions(db),
    // A row that went is gone.
    replay: async () => 0,
  };
}
