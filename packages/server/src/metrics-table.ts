/**
 * Every metric of the service. The page of metrics is made of this table, and each name of it is exposed from the first moment,
 * also while its feature is off, so that dashboards and alerts can be written before it is on.
 */
import { durationBuckets, type MetricTable, shortBuckets } from './platform/telemetry/index.ts';

const hour = 3_600;
const day = 24 * hour;

export const metricsTable = {
  auth_http_request_duration_seconds: {
    type: 'histogram',
    help: 'Answers, by the pattern of their route; `unknown` where there is none.',
    labels: {
      route: { open: 150 },
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      status: { open: 60 },
    },
    buckets: durationBuckets,
    initial: [{ route: 'unknown', method: 'GET', status: '404' }],
  },
  auth_login_total: {
    type: 'counter',
    help: 'Logins, by how they ended.',
    labels: {
      result: [
        'success',
        'invalid_credentials',
        'account_locked',
        'account_disabled',
        'email_not_verified',
        'mfa_required',
        'webauthn_failed',
        'overloaded',
      ],
    },
  },
  auth_login_duration_seconds: {
    type: 'histogram',
    help: 'Time from request to answer of a login.',
    labels: {},
    buckets: durationBuckets,
  },
  auth_registrations_total: {
    type: 'counter',
    help: 'Registrations, by how they ended.',
    labels: { result: ['success', 'verification_sent', 'email_taken', 'validation_failed', 'overloaded'] },
  },
  auth_tokens_issued_total: {
    type: 'counter',
    help: 'Tokens that were issued.',
    labels: { kind: ['access', 'refresh'] },
  },
  auth_token_validations_total: {
    type: 'counter',
    help: 'Access tokens that were looked at. `served_stale`: valid as of the last proof; counted in `valid` too.',
    labels: { result: ['valid', 'served_stale', 'malformed', 'invalid', 'expired', 'revoked', 'stale'] },
  },
  auth_token_validation_duration_seconds: {
    type: 'histogram',
    help: 'Time within the process to look at one access token; one in 16 is timed.',
    labels: {},
    buckets: shortBuckets,
  },
  auth_api_key_validations_total: {
    type: 'counter',
    help: 'API keys that were looked at. `outdated`: held up until what its owner holds now is read.',
    labels: { result: ['valid', 'malformed', 'invalid', 'expired', 'revoked', 'outdated', 'stale'] },
  },
  auth_api_keys_held: { type: 'gauge', help: 'API keys in memory, those included that have ended.', labels: {} },
  auth_client_certificates_total: {
    type: 'counter',
    help: 'Requests that came with a client certificate in the place of a credential, by what it was worth.',
    labels: { result: ['valid', 'expired', 'not_yet_valid', 'wrong_use', 'unknown', 'changed'] },
  },
  auth_token_cache_total: {
    type: 'counter',
    help: 'Verified tokens that were found in memory or not.',
    labels: { result: ['hit', 'miss'] },
  },
  auth_revocations_total: {
    type: 'counter',
    help: 'Revocations that this node committed.',
    labels: { kind: ['session', 'token', 'user', 'key'] },
  },
  auth_revocations_live: {
    type: 'gauge',
    help: 'Revocations in memory that could still refuse a token.',
    labels: {},
  },
  auth_revocations_written_back_total: {
    type: 'counter',
    help: 'Revocations that a fail-over of the database had lost, written back from this node.',
    labels: {},
  },
  auth_revocation_propagation_seconds: {
    type: 'histogram',
    help: 'From the commit of a revocation until every live node had applied it.',
    labels: {},
    buckets: durationBuckets,
  },
  auth_revocation_feed_listeners: { type: 'gauge', help: 'Who waits for news of the revocation feed.', labels: {} },
  auth_revocation_feed_reads_total: {
    type: 'counter',
    help: 'Answers of the revocation feed, by where they came from.',
    labels: { source: ['memory', 'ledger'] },
  },
  auth_revocation_lag_seconds: {
    type: 'gauge',
    help: 'Time since this node was last proven to know every revocation.',
    labels: {},
  },
  auth_sessions_created_total: { type: 'counter', help: 'Sessions that began.', labels: {} },
  auth_sessions_ended_total: {
    type: 'counter',
    help: 'Sessions that ended, by why.',
    labels: {
      reason: [
        'logout',
        'logout_all',
        'revoked',
        'reuse',
        'limit',
        'expired',
        'disabled',
        'admin',
        'password_changed',
        'password_reset',
        'email_changed',
        'factor_removed',
        'reauthenticated',
        'recovery_code',
        'deleted',
      ],
    },
  },
  auth_sessions_active: { type: 'gauge', help: 'Sessions in the store, counted now and then.', labels: {} },
  auth_session_duration_seconds: {
    type: 'histogram',
    help: 'Age of sessions at their end.',
    labels: {},
    buckets: [60, 600, hour, 6 * hour, day, 3 * day, 7 * day, 14 * day, 30 * day],
  },
  auth_rate_limited_total: {
    type: 'counter',
    help: 'Requests that were turned away by a rate limit.',
    labels: { policy: ['login', 'register', 'refresh', 'recovery', 'mfa', 'api'] },
  },
  auth_rate_limit_degraded: {
    type: 'gauge',
    help: '1 while this node counts its share of the rate limits by itself, because Redis does not.',
    labels: {},
  },
  auth_lockouts_total: { type: 'counter', help: 'Accounts that were locked after failures.', labels: {} },
  auth_mfa_challenges_total: {
    type: 'counter',
    help: 'Second factors that were asked for.',
    labels: { method: ['totp', 'recovery_code', 'webauthn', 'email'], result: ['success', 'failure'] },
  },
  auth_password_hash_seconds: {
    type: 'histogram',
    help: 'Time to compute one password hash, without the wait.',
    labels: { algorithm: ['bcrypt', 'argon2id'] },
    buckets: durationBuckets,
  },
  auth_password_hash_queue: { type: 'gauge', help: 'Passwords that wait to be hashed.', labels: {} },
  auth_db_query_duration_seconds: {
    type: 'histogram',
    help: 'Statements on the database, by their name.',
    labels: { query: { open: 200 } },
    buckets: durationBuckets,
    initial: [{ query: 'health_ping' }],
  },
  auth_db_pool: {
    type: 'gauge',
    help: 'Connections to the database, and work that waits for one.',
    labels: { state: ['total', 'idle', 'waiting'] },
  },
  auth_redis_command_duration_seconds: {
    type: 'histogram',
    help: 'Commands to Redis.',
    labels: {},
    buckets: durationBuckets,
  },
  auth_redis_up: { type: 'gauge', help: '1 while Redis answers; 0 also where there is none.', labels: {} },
  auth_cache_requests_total: {
    type: 'counter',
    help: 'What was looked for in the caches of the process.',
    labels: { cache: ['token', 'keys', 'health'], result: ['hit', 'miss'] },
  },
  auth_cluster_nodes: {
    type: 'gauge',
    help: 'Nodes that this one knows, itself included.',
    labels: { status: ['up', 'suspect', 'down'] },
  },
  auth_cluster_messages_total: {
    type: 'counter',
    help: 'Messages between nodes. `refused`: one of the two does not hold the cluster secret. `dropped`: did not fit, came twice or late, or was none.',
    labels: { direction: ['sent', 'received'], type: ['hint', 'acknowledgement', 'membership', 'refused', 'dropped'] },
  },
  auth_singleton_runs_total: {
    type: 'counter',
    help: 'Runs of the jobs that one node does for all, on this node. `lost`: it was not to do it any more.',
    labels: { name: { open: 50 }, result: ['success', 'failure', 'lost'] },
    initial: [
      { name: 'session-sweeper', result: 'success' },
      { name: 'session-sweeper', result: 'failure' },
    ],
  },
  auth_mails_total: {
    type: 'counter',
    help: 'Mails, by what became of a try. `not_sent`: there is no way out; `dead`: given up.',
    labels: { result: ['sent', 'not_sent', 'postponed', 'dead'] },
  },
  auth_supervisor_restarts_total: {
    type: 'counter',
    help: 'Parts of the service that ended and were started again.',
    labels: { child: { open: 50 } },
    initial: [
      'worker',
      'store',
      'redis',
      'passwords',
      'password-worker',
      'keys',
      'revocations',
      'singletons',
      'sealer',
      'audit-watch',
      'last-seen',
      'mail',
      'worker-hints',
      'mesh',
      'discovery',
      'redis-hints',
      'control',
      'http',
      'listener',
    ].map((child) => ({ child })),
  },
} as const satisfies MetricTable;
