/** What this node knows of its own health; see `index.ts`. */
import type { Freshness, Replica } from '@auth-service/guard';
import { type Database, statement } from '../platform/database/index.ts';
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
/** One ping serves everybody who asks within this time. */
const pingKeptMs = 250;

export function createHealth(deps: {
  readonly db: Database;
  readonly clock: Clock;
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
}): Health {
  const { db, clock, freshness } = deps;
  const startedAt = clock.monotonicMs();
  let last: { readonly at: number; readonly result: Promise<number | null> } | null = null;

  /** Milliseconds of a round trip, or `null` when the database did not answer. */
  function databaseLatency(): Promise<number | null> {
    const now = clock.monotonicMs();
    if (last !== null && now - last.at < pingKeptMs) return last.result;
    const result = db.run(ping, []).then(
      () => clock.monotonicMs() - now,
      () => null,
    );
    last = { at: now, result };
    return result;
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
      const latency = await databaseLatency();
      const broken = deps.brokenChildren();
      const fresh = freshness.isFresh();
      const lag = freshness.lagMs();
      const isDegraded = latency === null || broken.length > 0 || !fresh;
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
          redis: { status: 'off' },
          revocations: {
            status: fresh ? 'ok' : 'stale',
            lag_ms: Number.isFinite(lag) ? round(lag) : null,
            live: deps.replica.live(),
          },
          cluster: { status: 'off' },
          supervision: { status: broken.length === 0 ? 'ok' : 'degraded', restarting: broken },
        },
        node: deps.node,
        version: deps.version,
        uptime_s: Math.floor((clock.monotonicMs() - startedAt) / 1_000),
      };
    },
  };
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
