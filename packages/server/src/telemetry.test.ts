import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpanRecord } from './platform/telemetry/index.ts';
import { createManualClock } from './platform/time/index.ts';
import { createTelemetry } from './telemetry.ts';

test('an answer is one observation and, when traces are on, one span of its route, which says nothing of the path', async () => {
  const spans: SpanRecord[] = [];
  for (const enabled of [true, false]) {
    const tracing = { enabled, span: (span: SpanRecord) => void spans.push(span) };
    const telemetry = createTelemetry({ clock: createManualClock(1_000_000), runtime: false, tracing });
    telemetry.responded('/api/auth/sessions/:session_id', 'DELETE', 503, 0.25, 'request-1', '00-aa-bb-01');
    const series = '{route="/api/auth/sessions/:session_id",method="DELETE",status="503"}';
    assert.ok((await telemetry.render()).includes(`auth_http_request_duration_seconds_count${series} 1\n`));
  }
  assert.deepEqual(spans, [
    {
      name: 'DELETE /api/auth/sessions/:session_id',
      attributes: {
        'http.request.method': 'DELETE',
        'http.route': '/api/auth/sessions/:session_id',
        'http.response.status_code': 503,
        'request.id': 'request-1',
      },
      startMs: 999_750,
      endMs: 1_000_000,
      status: 'error',
      traceparent: '00-aa-bb-01',
    },
  ]);
});
