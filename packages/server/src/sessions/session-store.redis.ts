/**
 * Sessions in Redis, for those who need the scale of its Cluster. What ends them stays in PostgreSQL, and every rotation asks
 * there: whether the user may go on, with which roles, under which epoch, and whether the session has ended. So nothing that
 * Redis loses, or brings back after a fail-over or from a backup, revives a session.
 *
 * - `create` and `rotateRefresh` resolve when a replica has it, where the master has one. A rotation that no replica took in time
 *   is taken back and throws: the same token works again.
 * - To end sessions Redis is not needed: the database knows which have begun.
 * - Redis away: `RedisUnavailable`, within its deadline.
 */
import type { Database, Queryable } from '../platform/database/index.ts';
import { type Redis, type RedisKey, RedisUnavailable } from '../platform/redis/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { createBatches } from './batches.ts';
import {
  deleteBegunSessions,
  deleteBegunSessionsOfUser,
  deleteExpiredBegun,
  findBegunOwner,
  insertBegunSession,
  listBegunBefore,
} from './begun-sessions.sql.ts';
import {
  deleteExpiredEnds,
  findEndedOfUser,
  findUsersForRefresh,
  insertEndedSessions,
  listEndedSessions,
  type UserOfSession,
} from './ended-sessions.sql.ts';
import {
  createFunction,
  findFunction,
  forgetFunction,
  listFunction,
  type RotatedThere,
  rotateFunction,
  type StoredThere,
  takeBackFunction,
  touchFunction,
  writeFixed,
} from './session-functions.ts';
import type {
  EndedSession,
  IssuedSession,
  NewStoredSession,
  OwnedSession,
  Presented,
  Rotation,
  SessionLimits,
  SessionStore,
  SessionView,
} from './session-store.ts';

const queueMax = 20_000;
const batchMax = 1_000;
const touchesAtOnce = 64;
const replayedSeconds = 90;
const replicated = { replicas: 'where_there_is_one', timeoutMs: 300 } as const;
const firstId = '00000000-0000-0000-0000-000000000000';
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
/** How much longer than its refresh token could live the end of a session is kept. */
const keptMarginSeconds = 86_400;

export function createRedisSessionStore(deps: {
  readonly db: Database;
  readonly redis: Redis;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly limits: SessionLimits;
  /** Whether this process knows already that the session has ended; what it does not know the database does. */
  readonly hasEnded: (sessionId: string) => boolean;
}): SessionStore {
  const { db, redis, limits } = deps;
  const idleMs = limits.idleTtlSeconds * 1_000;
  const keptSeconds = limits.idleTtlSeconds + keptMarginSeconds;
  const users = createBatches<{ sessionId: string; userId: string }, UserOfSession | undefined>({
    run: (pairs) => findUsersForRefresh(db, pairs),
    queueMax,
  });

  /** Where Redis need not be asked: the time that the id begins with. */
  const ageMsOf = (id: string): number => deps.clock.wallMs() - Number.parseInt(id.replace('-', '').slice(0, 12), 16);
  const keyOf = (userId: string, id: string): RedisKey => redis.key('session', userId, id);
  const indexOf = (userId: string): RedisKey => redis.key('sessions', userId);
  const keysOf = (userId: string, id: string): [RedisKey, RedisKey] => [keyOf(userId, id), indexOf(userId)];

  async function create(
    tx: Queryable,
    session: NewStoredSession,
  ): Promise<{ session: IssuedSession; overLimit: readonly EndedSession[] }> {
    const { id, userId, amr, acr } = session;
    await insertBegunSession(tx, userId, id, limits.maxAgeSeconds);
    const { value, isEnough } = await redis.runDurably(
      createFunction,
      keysOf(userId, id),
      [id, session.sessionsEpoch, idleMs, limits.maxAgeSeconds * 1_000, limits.maxPerUser, writeFixed(session)],
      replicated,
    );
    if (!isEnough) throw notReplicated();
    const news = await endThese(
      tx,
      userId,
      value.over.map((one) => one.id),
    );
    // What had ended before and is still there goes with the rest.
    const before = value.over.filter((one) => !news.has(one.id)).map((one) => one.id);
    if (before.length > 0) void forget(userId, before);
    return {
      session: {
        id,
        counter: 0,
        auth_time: new Date(value.nowMs),
        amr,
        acr,
        refresh_expires_in: value.ttlMs / 1_000,
        ends_in: limits.maxAgeSeconds,
      },
      overLimit: value.over
        .filter((one) => news.has(one.id))
        .map(({ id: over, ageMs }) => endedOf(userId, over, ageMs)),
    };
  }

  async function rotateRefresh({ sessionId, userId, counter }: Presented): Promise<Rotation> {
    if (userId === null || deps.hasEnded(sessionId)) return { kind: 'gone' };
    const user = await users.ask({ sessionId, userId });
    if (user === undefined) {
      void forget(userId, [sessionId]);
      return { kind: 'gone' };
    }
    const keys = keysOf(userId, sessionId);
    const args = [sessionId, counter, user.sessions_epoch, idleMs];
    const { value, isEnough } = await redis.runDurably(rotateFunction, keys, args, replicated);
    if (value === null) return { kind: 'gone' };
    if (!isEnough) {
      if (value.won) await takeBack(keys[0], counter, value);
      throw notReplicated();
    }
    const session = { ...user, ...issuedOf(sessionId, value) };
    return value.won ? { kind: 'won', session } : { kind: 'late', session, rotatedMsAgo: value.rotatedMsAgo };
  }

  /** As well as it can: when it fails, the grace period still holds for who tries again. */
  async function takeBack(key: RedisKey, counter: number, value: RotatedThere): Promise<void> {
    await redis.run(takeBackFunction, [key], [counter, value.rotatedBeforeMs]).catch(() => undefined);
  }

  async function listByUser(userId: string, limit: number): Promise<readonly SessionView[]> {
    const found = await redis.run(listFunction, keysOf(userId, firstId), [limit]);
    return (await live(db, userId, found)).map(viewOf);
  }

  /** Those of them that the database does not know to have ended. */
  async function live(
    on: Queryable,
    userId: string,
    found: readonly StoredThere[],
    epochsBack = 0,
  ): Promise<readonly StoredThere[]> {
    if (found.length === 0) return found;
    const known = await findEndedOfUser(
      on,
      userId,
      found.map(({ id }) => id),
    );
    if (known === undefined) return [];
    const ended = new Set(known.ended);
    const goesOn = ({ id, epoch }: StoredThere): boolean =>
      epoch >= known.sessions_epoch - epochsBack && !ended.has(id);
    return found.filter(goesOn);
  }

  /** Answers those that had not ended before. The row of a session goes first, here as everywhere: so none waits in a circle. */
  async function endThese(tx: Queryable, userId: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    await deleteBegunSessions(tx, userId, ids);
    return insertEndedSessions(tx, userId, ids, keptSeconds);
  }

  async function end(
    tx: Queryable,
    userId: string,
    id: string,
    ageMs = ageMsOf(id),
  ): Promise<EndedSession | undefined> {
    const news = await endThese(tx, userId, [id]);
    return news.has(id) ? endedOf(userId, id, ageMs) : undefined;
  }

  async function revoke(tx: Queryable, userId: string, id: string, named: boolean): Promise<EndedSession | undefined> {
    if (named) return end(tx, userId, id);
    const [begun] = await deleteBegunSessions(tx, userId, [id]);
    if (begun !== undefined) return end(tx, userId, id);
    const found = await redis.run(findFunction, [keyOf(userId, id)], [id]);
    const [session] = found === null ? [] : await live(tx, userId, [found]);
    return session === undefined ? undefined : end(tx, userId, id, session.ageMs);
  }

  async function revokeAllByUser(tx: Queryable, userId: string, keep: string | null): Promise<readonly EndedSession[]> {
    const begun = await deleteBegunSessionsOfUser(tx, userId, keep);
    const ids = [...new Set([...begun, ...(await listThere(tx, userId, keep))])];
    // Where none is kept the epoch ends them all, seen or not.
    const news = keep === null ? new Set(ids) : await endThese(tx, userId, ids);
    return ids.filter((id) => news.has(id)).map((id) => endedOf(userId, id, ageMsOf(id)));
  }

  /** What only Redis knows, as after a restore of the database; while it is away nothing more is known than the rows. */
  async function listThere(tx: Queryable, userId: string, keep: string | null): Promise<readonly string[]> {
    let found: readonly StoredThere[];
    try {
      found = await redis.run(listFunction, keysOf(userId, firstId), [Number.MAX_SAFE_INTEGER]);
    } catch (error) {
      if (error instanceof RedisUnavailable) return [];
      throw error;
    }
    // This transaction has raised the epoch by one where none is kept.
    const alive = await live(tx, userId, found, keep === null ? 1 : 0);
    return alive.map(({ id }) => id).filter((id) => id !== keep);
  }

  async function forget(userId: string, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await redis.run(forgetFunction, keysOf(userId, firstId), ids).catch(() => undefined);
  }

  async function replay(withinSeconds: number): Promise<number> {
    let replayed = 0;
    for (let after = firstId; ; ) {
      const page = await listEndedSessions(db, withinSeconds, after, batchMax);
      for (let start = 0; start < page.length; start += touchesAtOnce) {
        await Promise.all(page.slice(start, start + touchesAtOnce).map((one) => forget(one.user_id, [one.id])));
      }
      replayed += page.length;
      const last = page.at(-1);
      if (last === undefined || page.length < batchMax) return replayed;
      after = last.id;
    }
  }

  return {
    kind: redis.kind === 'single' ? 'redis' : `redis-${redis.kind}`,
    tokensNameUser: true,
    create,
    rotateRefresh,

    async find(userId, id) {
      const found = await redis.run(findFunction, [keyOf(userId, id)], [id]);
      const [session] = found === null ? [] : await live(db, userId, [found]);
      return session === undefined ? undefined : viewOf(session);
    },

    listByUser,

    async page(before, limit) {
      // A row goes with what ends its session; which of the others expired for want of use Redis knows.
      const rows = await listBegunBefore(db, before ?? lastId, limit);
      const sessions: OwnedSession[] = [];
      for (let start = 0; start < rows.length; start += touchesAtOnce) {
        const some = rows.slice(start, start + touchesAtOnce);
        const found = await Promise.all(
          some.map((row) => redis.run(findFunction, [keyOf(row.user_id, row.id)], [row.id])),
        );
        for (const [at, one] of found.entries()) {
          if (one !== null) sessions.push({ ...viewOf(one), user_id: some[at]?.user_id ?? '' });
        }
      }
      return { sessions, last: rows.length < limit ? null : (rows.at(-1)?.id ?? null) };
    },

    ownerOf: findBegunOwner,

    revoke: (tx, userId, id, { named }) => revoke(tx, userId, id, named),

    // Its counter was seen to be ahead, and a counter never goes back past a token that was answered.
    revokeReused: (tx, userId, id) => end(tx, userId, id),
    revokeAllByUser,
    forget,

    async touch(seen) {
      for (let start = 0; start < seen.length; start += touchesAtOnce) {
        const some = seen.slice(start, start + touchesAtOnce);
        await Promise.all(some.map(({ userId, id, ms }) => redis.run(touchFunction, keysOf(userId, id), [id, ms])));
      }
    },

    async sweepExpired(on) {
      while ((await deleteExpiredEnds(on, batchMax)) === batchMax);
      while ((await deleteExpiredBegun(on, batchMax)) === batchMax);
      // A fail-over within a Cluster is nobody's absence: it shows in nothing but a session that is back.
      await replay(replayedSeconds);
      return [];
    },

    count: () => redis.countKeys('session'),

    replay,
  };
}

const notReplicated = (): RedisUnavailable =>
  new RedisUnavailable('refused', { cause: new Error('no replica has confirmed the write in time') });

const endedOf = (userId: string, id: string, ageMs: number): EndedSession => ({
  id,
  user_id: userId,
  age_seconds: Math.max(0, ageMs) / 1_000,
});

const issuedOf = (id: string, value: RotatedThere): IssuedSession => ({
  id,
  counter: value.counter,
  auth_time: new Date(value.authMs),
  amr: value.fixed.amr,
  acr: value.fixed.acr,
  refresh_expires_in: value.ttlMs / 1_000,
  ends_in: value.endsInMs / 1_000,
});

const viewOf = ({ id, fixed, beganMs, seenMs, endsMs }: StoredThere): SessionView => ({
  id,
  amr: fixed.amr,
  ip: fixed.ip,
  user_agent: fixed.userAgent,
  created_at: new Date(beganMs),
  last_seen_at: new Date(seenMs),
  ends_at: new Date(endsMs),
});
