import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsTable } from './metrics-table.ts';
import { createMetrics } from './platform/telemetry/index.ts';

/** The names and labels that dashboards and alerts rely on. */
const promised: Readonly<Record<string, readonly string[]>> = {
  auth_http_request_duration_seconds: ['route', 'method', 'status'],
  auth_login_total: ['result'],
  auth_login_duration_seconds: [],
  auth_registrations_total: ['result'],
  auth_tokens_issued_total: ['kind'],
  auth_token_validations_total: ['result'],
  auth_token_validation_duration_seconds: [],
  auth_token_cache_total: ['result'],
  auth_revocations_total: ['kind'],
  auth_revocations_live: [],
  auth_revocations_written_back_total: [],
  auth_revocation_propagation_seconds: [],
  auth_revocation_lag_seconds: [],
  auth_sessions_created_total: [],
  auth_sessions_ended_total: ['reason'],
  auth_sessions_active: [],
  auth_session_duration_seconds: [],
  auth_rate_limited_total: ['policy'],
  auth_rate_limit_degraded: [],
  auth_lockouts_total: [],
  auth_mfa_challenges_total: ['method', 'result'],
  auth_password_hash_seconds: ['algorithm'],
  auth_password_hash_queue: [],
  auth_db_query_duration_seconds: ['query'],
  auth_db_pool: ['state'],
  auth_redis_command_duration_seconds: [],
  auth_redis_up: [],
  auth_cache_requests_total: ['cache', 'result'],
  auth_cluster_nodes: ['status'],
  auth_cluster_messages_total: ['direction', 'type'],
  auth_singleton_runs_total: ['name', 'result'],
  auth_supervisor_restarts_total: ['child'],
  auth_mails_total: ['result'],
  auth_api_keys_held: [],
  auth_api_key_validations_total: ['result'],
  auth_client_certificates_total: ['result'],
  auth_revocation_feed_listeners: [],
  auth_revocation_feed_reads_total: ['source'],
};

test('the table has the promised names with the promised labels, and no other', () => {
  const labels = Object.entries(metricsTable).map(([name, metric]) => [name, Object.keys(metric.labels)]);
  assert.deepEqual(Object.fromEntries(labels), promised);
});

test('every name has a sample before anything happened', async () => {
  const text = await createMetrics(metricsTable, { runtime: false }).render();
  for (const [name, metric] of Object.entries(metricsTable)) {
    const sample = metric.type === 'histogram' ? `${name}_count` : name;
    assert.match(text, new RegExp(`^${sample}(\\{[^}]*\\})? 0$`, 'm'), name);
  }
});
