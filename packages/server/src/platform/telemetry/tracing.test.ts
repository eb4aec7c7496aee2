import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { createSeededRandom } from '../random/index.ts';
import { createManualClock } from '../time/index.ts';
import { createTracing, parseTraceparent, type SpanRecord, type TracingOptions } from './index.ts';

interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: object }[];
  readonly status: { readonly code: number };
}

/** A collector on loopback that keeps what it is sent. */
async function collector(context: TestContext, answer: () => number = () => 200) {
  const spans: SentSpan[] = [];
  const requests: {
    readonly url: string | undefined;
    readonly type: string | undefined;
    readonly resource: unknown;
  }[] = [];
  const server = createServer((request, response) => void take(request, response));
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    requests.push({
      url: request.url,
      type: request.headers['content-type'],
      resource: body.resourceSpans[0].resource,
    });
    const status = answer();
    if (status === 200) spans.push(...body.resourceSpans[0].scopeSpans[0].spans);
    response.writeHead(status, { 'Content-Type': 'application/json' }).end('{}');
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, requests };
}

function create(endpoint: string | undefined, given: Partial<TracingOptions> = {}) {
  const clock = createManualClock();
  const states: string[] = [];
  const tracing = createTracing({
    endpoint,
    resource: { 'service.name': 'auth-service', 'service.instance.id': 'a' },
    random: createSeededRandom(1),
    timers: clock,
    fetch,
    onState: (state, reason) => states.push(`${state}: ${reason}`),
    ...given,
  });
  return { tracing, clock, states };
}

const record = (given: Partial<SpanRecord> = {}): SpanRecord => ({
  name: 'GET /health',
  attributes: { 'http.response.status_code': 200, slow: false, ratio: 0.5 },
  startMs: 1_800_000_000_000,
  endMs: 1_800_000_000_001.5,
  status: 'ok',
  ...given,
});

describe('tracing', () => {
  test('spans arrive at the collector in the form of OTLP', async (context) => {
    const { endpoint, spans, requests } = await collector(context);
    const { tracing } = create(`${endpoint}/`);
    tracing.span(record());
    tracing.span(record({ name: 'POST /x', status: 'error', endMs: 0 }));
    await tracing.flush();
    assert.equal(requests[0]?.url, '/v1/traces');
    assert.equal(requests[0]?.type, 'application/json');
    assert.deepEqual(requests[0]?.resource, {
      attributes: [
        { key: 'service.name', value: { stringValue: 'auth-service' } },
        { key: 'service.instance.id', value: { stringValue: 'a' } },
      ],
    });
    const [first, second] = spans;
    assert.match(first?.traceId ?? '', /^[0-9a-f]{32}$/);
    assert.match(first?.spanId ?? '', /^[0-9a-f]{16}$/);
    assert.notEqual(first?.traceId, second?.traceId);
    assert.equal(first?.startTimeUnixNano, '1800000000000000000');
    assert.equal(first?.endTimeUnixNano, '1800000000001500000');
    assert.deepEqual(first?.attributes, [
      { key: 'http.response.status_code', value: { intValue: '200' } },
      { key: 'slow', value: { boolValue: false } },
      { key: 'ratio', value: { doubleValue: 0.5 } },
    ]);
    assert.deepEqual([first?.status.code, second?.status.code], [1, 2]);
    assert.equal(second?.endTimeUnixNano, second?.startTimeUnixNano, 'no span ends before it begins');
    assert.deepEqual(tracing.figures(), { sent: 2, dropped: 0 });
  });

  test('the trace of a request is continued, and its wish not to be sampled obeyed', async (context) => {
    const { endpoint, spans } = await collector(context);
    const { tracing } = create(endpoint);
    const [traceId, parentId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
    tracing.span(record({ traceparent: `00-${traceId}-${parentId}-01` }));
    tracing.span(record({ traceparent: `00-${traceId}-${parentId}-00` }));
    tracing.span(record({ traceparent: 'junk' }));
    await tracing.stop();
    assert.equal(spans.length, 2);
    assert.equal(spans[0]?.traceId, traceId);
    assert.equal(spans[0]?.parentSpanId, parentId);
    assert.equal(spans[1]?.parentSpanId, undefined);
  });

  test('LOG-01 what looks like a secret does not leave with a span', async (context) => {
    const { endpoint, spans } = await collector(context);
    const { tracing } = create(endpoint);
    const token = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl';
    tracing.span(record({ name: `GET /${token}`, attributes: { note: `Bearer ${token}` } }));
    await tracing.flush();
    assert.equal(spans.length, 1);
    assert.ok(!JSON.stringify(spans).includes('eyJzdWIiOiIxIn0'));
  });

  test('spans are sent by themselves after a while, and at once when there are many', async (context) => {
    const { endpoint, spans, requests } = await collector(context);
    const { tracing, clock } = create(endpoint);
    tracing.span(record());
    assert.equal(clock.pending(), 1);
    clock.advance(5_000);
    await tracing.flush();
    assert.equal(spans.length, 1);
    for (let span = 0; span < 512; span++) tracing.span(record());
    await tracing.flush();
    assert.equal(spans.length, 513);
    assert.equal(requests.length, 2);
    assert.equal(clock.pending(), 0);
  });

  test('a collector that refuses or is away costs the spans alone, and its state is told once', async (context) => {
    let status = 503;
    const { endpoint, spans } = await collector(context, () => status);
    const { tracing, states } = create(endpoint);
    for (let round = 0; round < 3; round++) {
      tracing.span(record());
      await tracing.flush();
    }
    status = 200;
    tracing.span(record());
    await tracing.flush();
    assert.deepEqual(states, ['away: the collector answered 503', 'up: spans are taken again']);
    assert.equal(spans.length, 1);
    assert.deepEqual(tracing.figures(), { sent: 1, dropped: 3 });

    const gone = create('http://127.0.0.1:1');
    gone.tracing.span(record());
    await gone.tracing.stop();
    assert.deepEqual(gone.states, ['away: the collector is away']);
  });

  test('a collector that hangs leaves bounded memory, and what is too much is dropped and counted', async () => {
    let release: ((response: Response) => void) | undefined;
    const hanging = () =>
      new Promise<Response>((resolve) => {
        release = resolve;
      });
    const { tracing } = create('http://collector', { fetch: hanging });
    for (let span = 0; span < 10_000; span++) tracing.span(record());
    // A first batch is on its way, the rest waits or is dropped.
    assert.equal(tracing.figures().dropped, 10_000 - 512 - 2_048);
    assert.ok(release !== undefined);
    release(new Response(null, { status: 200 }));
  });

  test('without an endpoint nothing is kept, and after a stop neither', async () => {
    const { tracing, clock } = create(undefined, { fetch: () => assert.fail('it was called') });
    tracing.span(record());
    await tracing.flush();
    await tracing.stop();
    assert.equal(tracing.enabled, false);
    assert.equal(clock.pending(), 0);
  });
});

test('traceparent is read as the standard says, and nothing else is', () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const parent = '00f067aa0ba902b7';
  assert.deepEqual(parseTraceparent(`00-${trace}-${parent}-01`), { traceId: trace, parentId: parent, sampled: true });
  assert.equal(parseTraceparent(`cc-${trace}-${parent}-03-later`)?.sampled, true);
  const wrong = [
    undefined,
    '',
    `ff-${trace}-${parent}-01`,
    `00-${trace}-${parent}-01-more`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${trace}-${parent}`,
    `00-${trace}-${parent}-01\n`,
  ];
  for (const header of wrong) assert.equal(parseTraceparent(header), undefined, header);
});
