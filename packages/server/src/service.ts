/**
 * The composition root: what runs, in which order it starts, how it is restarted, how it stops.
 *
 * Children in start order (stopped in reverse): store → redis → passwords → keys → revocations (the beat) → mesh → discovery →
 * singletons → sealer → last-seen → mail → hints between workers, by Redis → control → http. Each that dies is started again with
 * backoff; too many deaths in a minute escalate, and the process ends.
 * Ready once all have started, and not any more as soon as the end begins: readiness first, then the listener with what is
 * in flight, then what runs, then the lease, then the store.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { childSpecs, listenerSpec } from './children.ts';
import { need, type Parts, type State, type WorkerPart } from './parts.ts';
import type { HttpService } from './platform/http/index.ts';
import type { Log } from './platform/log/index.ts';
import { systemRandom } from './platform/random/index.ts';
import { createSupervisor, type Supervisor } from './platform/supervision/index.ts';
import { createLoad, createTracing } from './platform/telemetry/index.ts';
import { systemClock, systemTimers } from './platform/time/index.ts';
import type { Settings } from './settings.ts';
import { jobNames } from './singletons.ts';
import { createTelemetry } from './telemetry.ts';
import { version } from './version.ts';

export interface ServiceOptions {
  readonly settings: Settings;
  readonly log: Log;
  /** Called when too many children died: the process should end with a failure. */
  readonly onEscalate?: (error: unknown) => void;
  /** Told of everybody who asks whether this node is ready, and of the answer. */
  readonly onProbed?: (peer: string, ready: boolean) => void;
  readonly worker?: WorkerPart;
}

export interface Service {
  /** For a host application on Fastify, after `start`: `await host.register(service.plugin)`. */
  readonly plugin: (instance: FastifyInstance) => Promise<void>;
  /** For any host on `node:http`, after `start`. Mount it before any body parser. */
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  /** Starts everything but the listener, for host applications. */
  start(): Promise<void>;
  /** Starts everything, and listens. */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** Not ready from now on, though everything is still answered: `stop` follows once those who look have seen it. */
  beginClosing(): void;
  stop(): Promise<void>;
  /** What runs, for drills and tests. */
  readonly supervisor: Supervisor;
  readonly node: string;
}

const restartsMax = 20;
const restartsWithinSeconds = 60;

export function createService({ settings, log, onEscalate, onProbed, worker }: ServiceOptions): Service {
  const clock = systemClock;
  const tracing = createTracing({
    endpoint: settings.otlpEndpoint,
    resource: { 'service.name': 'auth-service', 'service.version': version, 'service.instance.id': settings.nodeName },
    random: systemRandom,
    timers: systemTimers,
    fetch,
    onState: (now, reason) => log.warn({ collector: settings.otlpEndpoint, state: now }, reason),
  });
  const telemetry = createTelemetry({ clock, runtime: true, tracing });
  const load = createLoad({ monotonicMs: clock.monotonicMs, requests: telemetry.requests });
  const node = {
    incarnation: randomUUID(),
    name: settings.nodeName,
    address: null,
    version,
    startedAtMs: clock.wallMs(),
    servesStale: settings.revocationWhenStale === 'serve',
    stats: () => ({ singletons: jobNames, workers: 1, load: load() }),
  };
  if (worker !== undefined) for (let at = 0; at < worker.restarts; at += 1) telemetry.restarted('worker');
  const state: State = { closing: false, started: false };
  const parts: Parts = { settings, log, clock, telemetry, node, state, late: {}, onProbed, worker };

  const supervisor = createSupervisor({
    name: 'service',
    strategy: 'one_for_one',
    maxRestarts: restartsMax,
    withinSeconds: restartsWithinSeconds,
    clock,
    timers: systemTimers,
    random: Math.random,
    onRestart: (child, error) => {
      telemetry.restarted(child);
      log.warn({ child, error }, 'a part of the service ended and is started again');
    },
    onEscalate: (error) => {
      log.error({ error }, 'parts of the service keep ending; giving up');
      onEscalate?.(error);
    },
  });
  parts.brokenChildren = () =>
    supervisor
      .children()
      .filter((child) => child.state !== 'running')
      .map((child) => child.name);

  async function start(listening: boolean): Promise<void> {
    const specs = [...childSpecs(parts), ...(listening ? [listenerSpec(parts)] : [])];
    await supervisor.start(specs);
    state.started = true;
  }

  function beginClosing(): void {
    state.closing = true;
    parts.late.http?.beginClosing();
    parts.late.core?.feed.close();
  }

  const http = (): HttpService => need(parts.late.http, 'the service has not started');
  return {
    supervisor,
    node: node.name,
    plugin: (instance) => http().plugin(instance),
    handler: (request, response) => http().nodeHandler(request, response),
    start: () => start(false),
    async listen() {
      await start(true);
      return need(parts.late.address, 'the listener has no address');
    },
    beginClosing,
    async stop() {
      beginClosing();
      await supervisor.stop();
      await tracing.stop();
    },
  };
}
