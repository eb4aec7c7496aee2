/** What this node knows of its own health; see `index.ts`. */
import type { Freshness, Replica } from '@auth-service/guard';
import { type Database, statement } from '../platform/database/index.ts';
import type { Redis } from '../platform/redis/index.ts';
import type { Clock } from '../platform/time/index.ts';

export interface HealthReport {
  readonly status: 'ok' | 'degraded' | 'unavailable';
  readonly checks: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly node: string;
  readonly version: string;
  readonly uptime_s: number;
}

export interface Health {
  report(): Promise<HealthReport>;
  /** Whether this node should get requests: started, not closing, fresh. `peer` asked. */
  ready(peer: string): boolean;
}

const ping = statement<[], { one: number }>('health_ping', 'select 1 as one');
const pingKeptMs = 250;

export function createHealth(deps: {
  readonly db: Database;
  readonly clock: Clock;
  /** `undefined`: none is configured. */
  readonly redis: Pick<Redis, 'ping' | 'kind' | 'mastersAway'> | undefined;
  /** Who counts the rate limits; `undefined`: this process, as it should. */
  readonly limits: () => 'shared' | 'per_node' | undefined;
  readonly freshness: Freshness;
  readonly replica: Pick<Replica, 'live'>;
  readonly serveWhenStale: boolean;
  readonly node: string;
  readonly version: string;
  readonly started: () => boolean;
  readonly closing: () => boolean;
  /** Told of everybody who asks whether this node is ready. */
  readonly onProbed: (peer: string, ready: boolean) => void;
  /** Children of the supervisor that are not running. */
  readonly brokenChildren: () => readonly string[];
  readonly cluster: () => Readonly<Record<string, unknown>> & { readonly status: 'off' | 'ok' | 'degraded' };
}): Health {
  const { db, clock, freshness } = deps;
  const startedAt = clock.monotonicMs();
  const databaseLatency = keptFor(clock, () => latencyOf(clock, () => db.run(ping, [])));
  const redisLatency = keptFor(clock, () => latencyOf(clock, async () => deps.redis?.ping()));

  async function redisCheck() {
    const { redis } = deps;
    if (redis === undefined) return { isWhole: true, check: { status: 'off' } };
    const [latency, limits] = [await redisLatency(), deps.limits()];
    const check = {
      status: latency === null ? 'unavailable' : 'ok',
      latency_ms: latency === null ? null : round(latency),
      kind: redis.kind,
      ...(redis.kind === 'cluster' ? { masters_away: redis.mastersAway } : {}),
      ...(limits === undefined ? {} : { rate_limits: limits }),
    };
    return { isWhole: latency !== null && redis.mastersAway === 0 && limits !== 'per_node', check };
  }

  const vouches = (): boolean => freshness.isFresh() || deps.serveWhenStale;
  const ready = (): boolean => deps.started() && !deps.closing() && vouches();

  return {
    ready(peer) {
      const isReady = ready();
      deps.onProbed(peer, isReady);
      return isReady;
    },
    async report() {
      const [latency, redis] = await Promise.all([databaseLatency(), redisCheck()]);
      const broken = deps.brokenChildren();
      const fresh = freshness.isFresh();
      const lag = freshness.lagMs();
      const cluster = deps.cluster();
      const isPartial = !redis.isWhole || cluster.status === 'degraded' || broken.length > 0;
      const isDegraded = latency === null || !fresh || isPartial;
      return {
        status: !ready() ? 'unavailable' : isDegraded ? 'degraded' : 'ok',
        checks: {
          database:
            latency === null
              ? { status: 'unavailable', latency_ms: null, store: db.kind }
              : {
                  status: 'ok',
                  latency_ms: round(latency),
                  store: db.kind,
                  ...(db.kind === 'embedded' ? { note: 'one small node; use PostgreSQL for more' } : {}),
                },
          redis: redis.check,
          revocations: {
            status: fresh ? 'ok' : 'stale',
            lag_ms: Number.isFinite(lag) ? round(lag) : null,
            live: deps.replica.live(),
          },
          cluster,
          supervision: { status: broken.length === 0 ? 'ok' : 'degraded', restarting: broken },
        },
        node: deps.node,
        version: deps.version,
        uptime_s: Math.floor((clock.monotonicMs() - startedAt) / 1_000),
      };
    },
  };
}

/** Milliseconds of a round trip, or `null` when there was no answer. */
async function latencyOf(clock: Clock, ask: () => Promise<unknown>): Promise<number | null> {
  const began = clock.monotonicMs();
  try {
    await ask();
    return clock.monotonicMs() - began;
  } catch {
    return null;
  }
}

/** One ping serves everybody who asks within a moment. */
function keptFor<T>(clock: Clock, ask: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly result: Promise<T> } | undefined;
  return () => {
    const now = clock.monotonicMs();
    if (last === undefined || now - last.at >= pingKeptMs) last = { at: now, result: ask() };
    return last.result;
  };
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
