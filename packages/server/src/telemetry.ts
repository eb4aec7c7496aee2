/** The service's metrics, filled from what the rooms tell and, when somebody asks, from what they count themselves. */
import type { KeyRefusal } from '@auth-service/guard';
import type { Membership, MessageType, RunResult, Singletons } from './cluster/index.ts';
import type { Core } from './core.ts';
import type { LoginOutcome, PasskeyLoginOutcome, RegisterOutcome } from './login/index.ts';
import type { MailResult } from './mail/index.ts';
import type { Meters } from './meters.ts';
import { metricsTable } from './metrics-table.ts';
import type { PasswordHasher } from './passwords/index.ts';
import type { Database } from './platform/database/index.ts';
import type { CertificateProblem, HttpHooks } from './platform/http/index.ts';
import { createMetrics, type Tracing } from './platform/telemetry/index.ts';
import type { Clock } from './platform/time/index.ts';
import type { Settings } from './settings.ts';

export interface Telemetry extends Meters {
  mailed(result: MailResult): void;
  hashed(algorithm: 'bcrypt' | 'argon2id', seconds: number): void;
  queried(statement: string, seconds: number): void;
  askedRedis(seconds: number): void;
  redisIs(state: 'up' | 'away'): void;
  responded: HttpHooks['onResponse'];
  limited(policy: string): void;
  certificateJudged(problem: CertificateProblem | undefined): void;
  restarted(child: string): void;
  loggedIn(outcome: LoginOutcome | PasskeyLoginOutcome): void;
  registered(outcome: RegisterOutcome): void;
  singletonRan(name: string, result: RunResult): void;
  /** Between nodes. */
  messaged(direction: 'sent' | 'received', type: MessageType): void;
  /** Requests answered since the start. */
  requests(): number;
  watchPasswords(hasher: Pick<PasswordHasher, 'queued'>): void;
  watchLimits(limiter: { readonly state: 'shared' | 'per_node' }): void;
  watchPool(db: Pick<Database, 'pool'>): void;
  watchCore(core: Pick<Core, 'verifier' | 'apiKeyTable' | 'feed' | 'replica' | 'freshness'>): void;
  watchCluster(cluster: { membership: Pick<Membership, 'members'>; singletons: Pick<Singletons, 'rows'> }): void;
  render(): Promise<string>;
}

const loginResults = { logged_in: 'success', mfa_required: 'mfa_required' } as const;

type Policy = keyof Settings['rateLimits'];

export function createTelemetry(options: {
  readonly clock: Clock;
  readonly runtime: boolean;
  readonly tracing: Pick<Tracing, 'enabled' | 'span'>;
}): Telemetry {
  const { clock, tracing } = options;
  const metrics = createMetrics(metricsTable, { runtime: options.runtime });
  const startedAt = clock.monotonicMs();
  const loginSeconds = metrics.observer('auth_login_duration_seconds', {});
  /** The hot route's series, settled: looking the labels up costs more than counting. */
  const hot = { route: '/api/auth/validate-token', method: 'POST', status: '200' } as const;
  const hotSeconds = metrics.observer('auth_http_request_duration_seconds', hot);
  let unwatchPasswords = (): void => undefined;
  let unwatchLimits = (): void => undefined;
  let requests = 0;

  return {
    beat: () => undefined,
    writtenBack: (entries) => metrics.count('auth_revocations_written_back_total', {}, entries),
    revoked: (entry) => metrics.count('auth_revocations_total', { kind: entry.kind }),
    propagated: metrics.observer('auth_revocation_propagation_seconds', {}),
    sessionStarted: () => metrics.count('auth_sessions_created_total', {}),
    sessionEnded(reason, ageSeconds) {
      metrics.count('auth_sessions_ended_total', { reason });
      metrics.observe('auth_session_duration_seconds', {}, ageSeconds);
    },
    tokensIssued() {
      metrics.count('auth_tokens_issued_total', { kind: 'access' });
      metrics.count('auth_tokens_issued_total', { kind: 'refresh' });
    },
    secondFactor: (method, result) => metrics.count('auth_mfa_challenges_total', { method, result }),
    lockedOut: () => metrics.count('auth_lockouts_total', {}),
    mailed: (result) => metrics.count('auth_mails_total', { result }),
    hashed: (algorithm, seconds) => metrics.observe('auth_password_hash_seconds', { algorithm }, seconds),
    queried: (query, seconds) => metrics.observe('auth_db_query_duration_seconds', { query }, seconds),
    askedRedis: metrics.observer('auth_redis_command_duration_seconds', {}),
    redisIs: (state) => metrics.set('auth_redis_up', {}, state === 'up' ? 1 : 0),
    responded(route, method, status, seconds, requestId, traceparent) {
      requests += 1;
      if (status === 200 && route === hot.route && method === hot.method) hotSeconds(seconds);
      else {
        const labels = { route, method, status: String(status) } as Parameters<typeof metrics.observe>[1] & {
          route: string;
          method: 'GET';
          status: string;
        };
        metrics.observe('auth_http_request_duration_seconds', labels, seconds);
      }
      if (route === '/api/auth/login') loginSeconds(seconds);
      if (!tracing.enabled) return;
      const endMs = clock.wallMs();
      tracing.span({
        name: `${method} ${route}`,
        attributes: {
          'http.request.method': method,
          'http.route': route,
          'http.response.status_code': status,
          'request.id': requestId,
        },
        startMs: endMs - seconds * 1_000,
        endMs,
        status: status >= 500 ? 'error' : 'ok',
        traceparent,
      });
    },
    limited: (policy) => metrics.count('auth_rate_limited_total', { policy: policy as Policy }),
    certificateJudged: (problem) => metrics.count('auth_client_certificates_total', { result: problem ?? 'valid' }),
    restarted: (child) => metrics.count('auth_supervisor_restarts_total', { child }),
    loggedIn(outcome) {
      metrics.count('auth_login_total', {
        result: outcome.kind === 'refused' ? outcome.code : loginResults[outcome.kind],
      });
    },
    registered(outcome) {
      const result = outcome.kind === 'refused' ? outcome.code : outcome.kind;
      metrics.count('auth_registrations_total', { result: result === 'registered' ? 'success' : result });
    },
    validated: metrics.observer('auth_token_validation_duration_seconds', {}),
    messaged: (direction, type) => metrics.count('auth_cluster_messages_total', { direction, type }),
    singletonRan: (name, result) => metrics.count('auth_singleton_runs_total', { name, result }),
    requests: () => requests,

    watchPasswords(hasher) {
      unwatchPasswords();
      unwatchPasswords = metrics.onCollect(() => metrics.set('auth_password_hash_queue', {}, hasher.queued()));
    },
    watchLimits(limiter) {
      unwatchLimits();
      const look = (): void => metrics.set('auth_rate_limit_degraded', {}, limiter.state === 'per_node' ? 1 : 0);
      unwatchLimits = metrics.onCollect(look);
    },
    watchPool(db) {
      metrics.onCollect(() => {
        const { total, idle, waiting } = db.pool();
        for (const [state, value] of Object.entries({ total, idle, waiting })) {
          metrics.set('auth_db_pool', { state: state as 'total' | 'idle' | 'waiting' }, value);
        }
      });
    },
    watchCore({ verifier, apiKeyTable, feed, replica, freshness }) {
      metrics.onCollect(() => {
        for (const [result, count] of Object.entries(apiKeyTable.figures())) {
          metrics.total('auth_api_key_validations_total', { result: result as 'valid' | KeyRefusal }, count);
        }
        metrics.set('auth_revocation_feed_listeners', {}, feed.listeners());
        const reads = feed.figures();
        for (const source of ['memory', 'ledger'] as const)
          metrics.total('auth_revocation_feed_reads_total', { source }, reads[source]);
        metrics.set('auth_api_keys_held', {}, apiKeyTable.size());
        const { hit, miss, servedStale, ...results } = verifier.figures();
        for (const result of ['valid', 'malformed', 'invalid', 'expired', 'revoked', 'stale'] as const) {
          metrics.total('auth_token_validations_total', { result }, results[result]);
        }
        metrics.total('auth_token_validations_total', { result: 'served_stale' }, servedStale);
        metrics.total('auth_token_cache_total', { result: 'hit' }, hit);
        metrics.total('auth_token_cache_total', { result: 'miss' }, miss);
        metrics.total('auth_cache_requests_total', { cache: 'token', result: 'hit' }, hit);
        metrics.total('auth_cache_requests_total', { cache: 'token', result: 'miss' }, miss);
        metrics.set('auth_revocations_live', {}, replica.live());
        // Never proven: as old as the process.
        const lag = Math.min(freshness.lagMs(), clock.monotonicMs() - startedAt);
        metrics.set('auth_revocation_lag_seconds', {}, lag / 1_000);
      });
    },
    watchCluster({ membership, singletons }) {
      metrics.onCollect(() => {
        const count = { up: 0, suspect: 0, down: 0 };
        for (const { status } of membership.members()) count[status] += 1;
        for (const status of ['up', 'suspect', 'down'] as const)
          metrics.set('auth_cluster_nodes', { status }, count[status]);
        // One node counts for all.
        const counted = singletons.rows().find((row) => row.name === 'statistics')?.detail['sessions'];
        if (typeof counted === 'number') metrics.set('auth_sessions_active', {}, counted);
      });
    },
    render: () => metrics.render(),
  };
}
