/** The HTTP platform with the rooms' routes, hooks and limits. */
import { createHooks } from './hooks.ts';
import { createHealth, createOperationsGuard } from './operations/index.ts';
import { need, type Parts } from './parts.ts';
import { createClientAddress, createHttp, type HttpService } from './platform/http/index.ts';
import { systemRandom } from './platform/random/index.ts';
import { mergeExpositions } from './platform/telemetry/index.ts';
import { createLocalRateLimiter, createPrimaryRateLimiter, type RateLimiter } from './rate-limit/index.ts';
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
  const health = createHealth({
    db: core.db,
    clock,
    freshness: core.freshness,
    replica: core.replica,
    serveWhenStale: settings.revocationWhenStale === 'serve',
    node: node.name,
    version,
    started: () => state.started,
    closing: () => state.closing,
    onProbed: (peer, ready) => parts.onProbed?.(peer, ready),
    brokenChildren: () => parts.brokenChildren?.() ?? [],
  });
  const limiter = settings.rateLimitEnabled ? makeRateLimiter(parts) : null;
  const hooks = createHooks({
    settings,
    core,
    limiter,
    operationsGuard: createOperationsGuard(clientAddress),
    onLimited: telemetry.limited,
    onResponse: telemetry.responded,
  });
  const routes = createRoutes({
    core,
    health,
    cluster: {
      db: core.db,
      node,
      beat: need(core.beat ?? undefined, 'a beat'),
      replica: core.replica,
      freshness: core.freshness,
    },
    renderMetrics: renderMetrics(parts),
    onLogin: telemetry.loggedIn,
    onRegister: telemetry.registered,
    version,
    publicUrl: settings.publicUrl,
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
    limits: { connections: settings.connectionsMax },
    log,
    realm: 'auth-service',
    newRequestId: () => `${idPrefix}-${(requests++).toString(36)}`,
    monotonicMs: clock.monotonicMs,
    fastPath: createValidateFast(core.verifier),
  });
}

function makeRateLimiter({ settings, clock, worker }: Parts): RateLimiter {
  const local = createLocalRateLimiter({ policies: settings.rateLimits, clock, random: systemRandom });
  if (worker === undefined) return local;
  return createPrimaryRateLimiter({
    local,
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
