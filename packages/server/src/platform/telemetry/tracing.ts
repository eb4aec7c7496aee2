/**
 * Traces, sent to an OpenTelemetry collector (OTLP over HTTP, JSON), when there is one.
 *
 * - A span costs its caller an object; it is sent later, with others. Without an endpoint nothing is kept at all.
 * - A collector that is away, slow or refusing costs bounded memory and the spans, never an answer.
 * - A span holds what its caller puts in, with what looks like a secret taken out.
 *
 * The protocol is spoken here: the SDK of OpenTelemetry is some 30 packages, and what a service with finished spans needs of
 * it is one POST. https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import { redactText } from '../log/index.ts';
import type { Random } from '../random/index.ts';
import type { Timers } from '../time/index.ts';
import { parseTraceparent } from './traceparent.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanRecord {
  /** Of low cardinality: a method and a route's pattern, never a path as sent. */
  readonly name: string;
  readonly attributes: SpanAttributes;
  /** Wall clock. */
  readonly startMs: number;
  readonly endMs: number;
  readonly status: 'ok' | 'error';
  /** The header of the request that is answered; its trace is continued, and its wish not to be sampled obeyed. */
  readonly traceparent?: string | undefined;
  readonly kind?: 'server' | 'internal';
}

export interface Tracing {
  readonly enabled: boolean;
  span(record: SpanRecord): void;
  /** Sends what waits. Never throws. */
  flush(): Promise<void>;
  stop(): Promise<void>;
  figures(): { readonly sent: number; readonly dropped: number };
}

export interface TracingOptions {
  /** `OTEL_EXPORTER_OTLP_ENDPOINT`: `/v1/traces` is put behind it. */
  readonly endpoint: string | undefined;
  /** `service.name`, `service.version`, `service.instance.id`, … */
  readonly resource: SpanAttributes;
  readonly random: Pick<Random, 'bytes'>;
  readonly timers: Timers;
  readonly fetch: typeof fetch;
  /** Told once when sending begins to fail, and once when it works again. */
  readonly onState?: (state: 'up' | 'away', reason: string) => void;
}

const waitingMax = 2_048;
const batchMax = 512;
const flushIntervalMs = 5_000;
const sendTimeoutMs = 5_000;

const off: Tracing = {
  enabled: false,
  span: () => undefined,
  flush: async () => undefined,
  stop: async () => undefined,
  figures: () => ({ sent: 0, dropped: 0 }),
};

export function createTracing(options: TracingOptions): Tracing {
  const { endpoint, random, timers } = options;
  if (endpoint === undefined) return off;
  const target = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  let waiting: object[] = [];
  let cancelTimer: (() => void) | undefined;
  let sending: Promise<void> | undefined;
  let stopped = false;
  let away = false;
  let sent = 0;
  let dropped = 0;

  function span(record: SpanRecord): void {
    const parent = parseTraceparent(record.traceparent);
    if (stopped || parent?.sampled === false) return;
    if (waiting.length >= waitingMax) {
      dropped += 1;
      return;
    }
    waiting.push({
      traceId: parent?.traceId ?? random.bytes(16).toString('hex'),
      spanId: random.bytes(8).toString('hex'),
      ...(parent === undefined ? {} : { parentSpanId: parent.parentId }),
      name: redactText(record.name),
      kind: record.kind === 'internal' ? 1 : 2,
      startTimeUnixNano: nanoseconds(record.startMs),
      endTimeUnixNano: nanoseconds(Math.max(record.startMs, record.endMs)),
      attributes: attributesOf(record.attributes),
      status: { code: record.status === 'error' ? 2 : 1 },
    });
    if (waiting.length >= batchMax) void flush();
    else cancelTimer ??= timers.after(flushIntervalMs, () => void flush());
  }

  function flush(): Promise<void> {
    sending ??= sendAll().finally(() => {
      sending = undefined;
      if (waiting.length > 0 && !stopped) cancelTimer ??= timers.after(flushIntervalMs, () => void flush());
    });
    return sending;
  }

  async function sendAll(): Promise<void> {
    cancelTimer?.();
    cancelTimer = undefined;
    // What comes while this runs waits for the next time, so that this comes to an end.
    for (let batches = Math.ceil(waiting.length / batchMax); batches > 0; batches--) {
      const spans = waiting.splice(0, batchMax);
      const failure = await send(spans);
      if (failure === undefined) sent += spans.length;
      else dropped += spans.length;
      if ((failure !== undefined) !== away) {
        away = failure !== undefined;
        options.onState?.(away ? 'away' : 'up', failure ?? 'spans are taken again');
      }
      if (away) return;
    }
  }

  async function send(spans: readonly object[]): Promise<string | undefined> {
    const resource = { attributes: attributesOf(options.resource) };
    const scope = { name: 'auth-service' };
    try {
      const response = await options.fetch(target, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] }),
        signal: AbortSignal.timeout(sendTimeoutMs),
        redirect: 'error',
      });
      await response.body?.cancel();
      return response.ok ? undefined : `the collector answered ${response.status}`;
    } catch (error) {
      return error instanceof Error && error.name === 'TimeoutError'
        ? 'the collector took too long'
        : 'the collector is away';
    }
  }

  return {
    enabled: true,
    span,
    flush,
    async stop() {
      if (stopped) return;
      stopped = true;
      await sending;
      await flush();
      cancelTimer?.();
      dropped += waiting.length;
      waiting = [];
    },
    figures: () => ({ sent, dropped }),
  };
}

/** JSON cannot hold nanoseconds since 1970 as a number. */
const nanoseconds = (ms: number): string => (BigInt(Math.round(ms * 1_000)) * 1_000n).toString();

function attributesOf(attributes: SpanAttributes): readonly object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: redactText(value) };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
