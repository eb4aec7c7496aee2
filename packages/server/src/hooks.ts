/** What the HTTP platform asks the rooms: who calls, may they go on, how did it end. */
import type { Core } from './core.ts';
import type { OperationsGuard } from './operations/index.ts';
import type {
  AuthenticationOutcome,
  CertificateProblem,
  GuardedAccess,
  HttpHooks,
  RateLimitVerdict,
  RequestContext,
} from './platform/http/index.ts';
import { type RateLimiter, type RateLimitResult, rateLimitHeaders } from './rate-limit/index.ts';
import { bearerOf, createBearer } from './sessions/index.ts';
import type { Settings } from './settings.ts';

export function createHooks(deps: {
  readonly settings: Settings;
  readonly core: Core;
  readonly limiter: RateLimiter | null;
  readonly operationsGuard: OperationsGuard;
  readonly onLimited: (policy: string) => void;
  readonly onResponse: HttpHooks['onResponse'];
  readonly onCertificate: (problem: CertificateProblem | undefined) => void;
}): HttpHooks {
  const { settings, core, limiter } = deps;
  const bearer = createBearer({
    verifier: core.verifier,
    now: () => core.clock.wallMs() / 1_000,
    onSeen: core.sessions.seen,
    keys: core.apiKeyTable,
    issuer: settings.publicUrl,
    audience: settings.jwtAudience,
    onKeyUsed: core.apiKeys.used,
    onCertificate: deps.onCertificate,
  });
  const judge = (
    request: RequestContext,
    access: Extract<GuardedAccess, { kind: 'bearer' }>,
  ): AuthenticationOutcome => {
    const outcome = bearer(request, access);
    if (outcome.kind === 'refused') return outcome;
    return { kind: 'authenticated', auth: outcome.kind === 'principal' ? outcome.principal : null };
  };
  const tokens = { metrics: settings.metricsToken?.reveal(), cluster: settings.clusterStatusToken?.reveal() };
  function verdictOf(result: RateLimitResult): RateLimitVerdict {
    if (!result.allowed) deps.onLimited(result.policy);
    const { allowed, retryAfterSeconds } = result;
    return { allowed, headers: rateLimitHeaders(result), retryAfterSeconds };
  }
  return {
    authenticate(request, access) {
      if (access.kind === 'operations') {
        return deps.operationsGuard(request, tokens[access.guard]) ?? { kind: 'authenticated', auth: undefined };
      }
      return core.keyKnown(bearerOf(request))?.then(() => judge(request, access)) ?? judge(request, access);
    },
    rateLimit(policy, bucket) {
      if (limiter === null) return undefined;
      const result = limiter.take(policy, bucket);
      return result instanceof Promise ? result.then(verdictOf) : verdictOf(result);
    },
    onResponse: deps.onResponse,
  };
}
