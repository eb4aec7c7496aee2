/** The HTTP platform with the rooms' routes, hooks and limits. */
import { createClusterCheck } from './children-cluster.ts';
import { createCookieCarrier } from './cookies/index.ts';
import { createHooks } from './hooks.ts';
import { createHealth, createOperationsGuard } from './operations/index.ts';
import { need, type Parts } from './parts.ts';
import { createClientAddress, createHttp, type HttpService } from './platform/http/index.ts';
import { systemRandom } from './platform/random/index.ts';
import { mergeExpositions } from './platform/telemetry/index.ts';
import {
  createLocalRateLimiter,
  createPrimaryRateLimiter,
  createRedisRateLimiter,
  type LocalRateLimiter,
  type RateLimiter,
  type RatePolicy,
} from './rate-limit/index.ts';
import { createRoutes } from './routes.ts';
import { createValidateFast } from './tokens/index.ts';
import { version } from './version.ts';
import { figuresTopic, takeTopic } from './worker-topics.ts';

/** More than the primary gives the workers. */
const figuresDeadlineMs = 3_000;

export function makeHttp(parts: Parts): HttpService {
  const { settings, log, clock, telemetry, node, state, late } = parts;
  const core = need(late.core, 'the rooms are wired');
  const clientAddress = createClientAddress(settings.trustProxy);
  const limiter = makeLimiter(parts, () => 1 + (core.beat?.peers().length ?? 0));
  const health = createHealth({
    db: core.db,
    clock,
    redis: late.redis,
    limits: () => limiter?.state,
    freshness: core.freshness,
    replica: core.replica,
    serveWhenStale: settings.revocationWhenStale === 'serve',
    node: node.name,
    version,
    started: () => state.started,
    closing: () => state.closing,
    onProbed: (peer, ready) => parts.onProbed?.(peer, ready),
    brokenChildren: () => parts.brokenChildren?.() ?? [],
    cluster: createClusterCheck(parts),
  });
  const hooks = createHooks({
    settings,
    core,
    limiter,
    operationsGuard: createOperationsGuard(clientAddress),
    onLimited: telemetry.limited,
    onResponse: telemetry.responded,
    onCertificate: telemetry.certificateJudged,
  });
  const shared = late.redis === undefined ? 'in-process' : stateNames[late.redis.kind];
  const routes = createRoutes({
    core,
    health,
    cluster: {
      stores: {
        database: core.db.kind,
        sessions: settings.sessionStore === 'redis' ? shared : core.db.kind,
        state: shared,
      },
      clustering: settings.cluster,
      node,
      ...need(late.cluster, 'the cluster is wired'),
      beat: need(core.beat ?? undefined, 'a beat'),
      replica: core.replica,
      freshness: core.freshness,
    },
    renderMetrics: renderMetrics(parts),
    onLogin: telemetry.loggedIn,
    onRegister: telemetry.registered,
    onStreamFailed: (error) => log.warn({ error }, 'a stream of the revocation feed ended'),
    version,
    publicUrl: settings.publicUrl,
    cookies: settings.cookieMode !== 'off',
    audience: settings.jwtAudience,
  });
  let requests = 0;
  const idPrefix = systemRandom.bytes(6).toString('hex');
  const trusts = settings.trustProxy !== false;
  return createHttp({
    routes,
    hooks,
    clientAddress,
    trustedHttps: (peer, headers) =>
      trusts &&
      headers['x-forwarded-proto'] === 'https' &&
      clientAddress(peer, [String(headers['x-forwarded-for'] ?? '')]).address !==
        clientAddress(peer, undefined).address,
    corsOrigins: settings.corsOrigins,
    carrier:
      settings.cookieMode === 'off'
        ? undefined
        : createCookieCarrier({
            sameSite: settings.cookieMode,
            publicUrl: settings.publicUrl,
            origins: settings.corsOrigins,
            clears: settings.cookieLogoutClears,
          }),
    limits: { connections: settings.connectionsMax },
    log,
    realm: 'auth-service',
    newRequestId: () => `${idPrefix}-${(requests++).toString(36)}`,
    monotonicMs: clock.monotonicMs,
    wallMs: clock.wallMs,
    fastPath: createValidateFast(core.verifier),
  });
}

/** Of this process, or of all workers of this machine. */
function makeMachineLimiter({ settings, clock, worker }: Parts): RateLimiter {
  const { rateLimits, workers } = settings;
  const limiterOf = (policies: Readonly<Record<string, RatePolicy>>): LocalRateLimiter =>
    createLocalRateLimiter({ policies, clock, random: systemRandom });
  if (worker === undefined) return limiterOf(rateLimits);
  // What decides when the primary does not: its share, so that all of them together keep about to the limit.
  const shares = Object.fromEntries(
    Object.entries(rateLimits).map(
      ([name, { limit, windowSeconds }]) => [name, { limit: Math.ceil(limit / workers), windowSeconds }] as const,
    ),
  );
  return createPrimaryRateLimiter({
    local: limiterOf(shares),
    shares,
    ask: (body, deadlineMs) => worker.channel.ask(takeTopic, body, deadlineMs),
  });
}

/** Of a worker: the figures of all of them, since a scrape reaches any. Its own alone when the primary does not answer. */
function renderMetrics({ telemetry, worker }: Parts): () => Promise<string> {
  if (worker === undefined) return telemetry.render;
  const own = { value: String(worker.place), text: () => telemetry.render() };
  worker.channel.on(figuresTopic, own.text);
  return async () => {
    try {
      const all = (await worker.channel.ask(figuresTopic, null, figuresDeadlineMs)) as readonly WorkerFigures[];
      return mergeExpositions(
        'worker',
        all.map(({ worker: value, text }) => ({ value, text })),
      );
    } catch {
      return mergeExpositions('worker', [{ value: own.value, text: await own.text() }]);
    }
  };
}

interface WorkerFigures {
  readonly worker: string;
  readonly text: string;
}

const stateNames = { single: 'redis', sentinel: 'redis-sentinel', cluster: 'redis-cluster' } as const;

/** Without Redis decisions are the machine's; with it they are shared, and the machine's own are the way out. */
function makeLimiter(parts: Parts, nodes: () => number): RateLimiter | null {
  const { settings, late, clock, log, telemetry, worker } = parts;
  if (!settings.rateLimitEnabled) return null;
  const alone = makeMachineLimiter(parts);
  const { redis } = late;
  if (redis === undefined) return alone;
  const limiter = createRedisRateLimiter({
    ...{ redis, alone, clock },
    policies: settings.rateLimits,
    // Each worker is a node, and those of a machine count together.
    countedBy: () => Math.ceil(nodes() / (worker === undefined ? 1 : settings.workers)),
    onState(state) {
      if (state === 'shared') log.info({}, 'rate limits are shared by all nodes again');
      else log.warn({}, 'rate limits: Redis does not count, each node counts its share by itself');
    },
  });
  telemetry.watchLimits(limiter);
  return limiter;
}
