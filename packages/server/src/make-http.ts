/** The HTTP platform with the rooms' routes, hooks and limits. */
import { createHooks } from './hooks.ts';
import { createHealth, createOperationsGuard } from './operations/index.ts';
import { need, type Parts } from './parts.ts';
import { createClientAddress, createHttp, type HttpService } from './platform/http/index.ts';
import { systemRandom } from './platform/random/index.ts';
import { createLocalRateLimiter } from './rate-limit/index.ts';
import { createRoutes } from './routes.ts';
import { createValidateFast } from './tokens/index.ts';
import { version } from './version.ts';

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
    brokenChildren: () => parts.brokenChildren?.() ?? [],
  });
  const limiter = settings.rateLimitEnabled
    ? createLocalRateLimiter({ policies: settings.rateLimits, clock, random: systemRandom })
    : null;
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
    renderMetrics: telemetry.render,
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
