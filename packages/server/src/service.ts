/**
 * The composition root: what runs, in which order it starts, how it is restarted, how it stops.
 *
 * Children in start order (stopped in reverse): store → passwords → keys → revocations (the beat) → sealer → sweeper →
 * control → http. Each that dies is started again with backoff; too many deaths in a minute escalate, and the process ends.
 * Ready once all have started, and not any more as soon as the end begins: readiness first, then the listener with what is
 * in flight, then what runs, then the lease, then the store.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { controlPath } from './beside.ts';
import { controlPathMax, openControl } from './cli/index.ts';
import { type Core, createCore } from './core.ts';
import { createHooks } from './hooks.ts';
import { findOrMakeRootSecret } from './keys/index.ts';
import { createTelemetry, type Telemetry } from './meters.ts';
import { isEmbedded, openStore } from './open-store.ts';
import { createHealth, createOperationsGuard } from './operations/index.ts';
import { createPasswordHasher, type PasswordHasher } from './passwords/index.ts';
import { checkPostgresSettings, type Database, migrate } from './platform/database/index.ts';
import { createClientAddress, createHttp, type HttpService } from './platform/http/index.ts';
import type { Log } from './platform/log/index.ts';
import { systemRandom } from './platform/random/index.ts';
import { type ChildSpec, createSupervisor, type Supervisor } from './platform/supervision/index.ts';
import { type Clock, systemClock, systemTimers } from './platform/time/index.ts';
import { createLocalRateLimiter } from './rate-limit/index.ts';
import { type BeatNode, deleteDeadNodes, deleteExpiredRevocations } from './revocation/index.ts';
import { createRoutes } from './routes.ts';
import type { Settings } from './settings.ts';
import { createValidateFast } from './tokens/index.ts';
import { version } from './version.ts';

export interface ServiceOptions {
  readonly settings: Settings;
  readonly log: Log;
  /** Called when too many children died: the process should end with a failure. */
  readonly onEscalate?: (error: unknown) => void;
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
  stop(): Promise<void>;
  /** What runs, for drills and tests. */
  readonly supervisor: Supervisor;
  readonly node: string;
}

const everyMs = { seal: 1_000, seen: 2_000, sweep: 30_000, keys: 30_000, replica: 1_000, maintain: 300_000 } as const;
const ledgerBatch = 5_000;
const restartsMax = 20;
const restartsWithinSeconds = 60;

export function createService({ settings, log, onEscalate }: ServiceOptions): Service {
  const clock = systemClock;
  const node = {
    incarnation: randomUUID(),
    name: settings.nodeName,
    address: null,
    version,
    startedAtMs: clock.wallMs(),
    servesStale: settings.revocationWhenStale === 'serve',
  };
  const telemetry = createTelemetry({ settings, clock, log });
  const state: State = { closing: false, started: false };
  const parts: Parts = { settings, log, clock, telemetry, node, state, late: {} };

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
    async stop() {
      state.closing = true;
      parts.late.http?.beginClosing();
      await supervisor.stop();
      await telemetry.stop();
    },
  };
}

interface State {
  closing: boolean;
  started: boolean;
}

/** What children make as they start, for those that start after them. */
interface Late {
  db?: Database;
  passwords?: PasswordHasher;
  core?: Core;
  http?: HttpService;
  address?: { readonly url: string; readonly port: number };
}

interface Parts {
  readonly settings: Settings;
  readonly log: Log;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly node: BeatNode;
  readonly state: State;
  readonly late: Late;
  brokenChildren?: () => readonly string[];
}

function need<T>(value: T | undefined, otherwise: string): T {
  if (value === undefined) throw new Error(otherwise);
  return value;
}

function childSpecs(parts: Parts): readonly ChildSpec[] {
  const { settings, log, late, telemetry } = parts;
  const core = (): Core => need(late.core, 'the rooms are not wired yet');
  return [
    storeSpec(parts),
    {
      name: 'passwords',
      restart: 'permanent',
      stopTimeoutMs: 5_000,
      async start() {
        const hasher = createPasswordHasher({
          algorithm: settings.passwordHash,
          bcryptCost: settings.bcryptCost,
          workers: settings.passwordHashWorkers,
          queueLimit: settings.passwordHashQueueMax,
          observe: telemetry.hashed,
          onWorkerExit: (error) => {
            telemetry.restarted('password-worker');
            log.warn({ child: 'password-worker', error }, 'a hashing thread died and is replaced');
          },
        });
        late.passwords = hasher;
        telemetry.watchPasswords(hasher);
        return { stop: () => hasher.stop() };
      },
    },
    {
      name: 'keys',
      restart: 'permanent',
      stopTimeoutMs: 1_000,
      async start({ failed }) {
        late.core ??= await wire(parts);
        await core().load();
        return every(everyMs.keys, () => core().keys.maintain(), failed);
      },
    },
    {
      name: 'revocations',
      restart: 'permanent',
      stopTimeoutMs: 3_000,
      async start({ failed }) {
        const beat = need(core().beat ?? undefined, 'this process has no beat');
        await beat.start(failed);
        const sweep = setInterval(() => core().replica.sweep(parts.clock.wallMs() / 1_000, 8), everyMs.replica);
        sweep.unref();
        return {
          stop: () => {
            clearInterval(sweep);
            return beat.stop();
          },
        };
      },
    },
    {
      name: 'sealer',
      restart: 'permanent',
      stopTimeoutMs: 2_000,
      start: async ({ failed }) => every(everyMs.seal, () => core().audit.seal(), failed),
    },
    {
      name: 'last-seen',
      restart: 'permanent',
      stopTimeoutMs: 2_000,
      async start({ failed }) {
        const running = every(everyMs.seen, () => core().sessions.flushSeen(), failed);
        return {
          async stop() {
            await running.stop();
            await core()
              .sessions.flushSeen()
              .catch(() => undefined);
          },
        };
      },
    },
    {
      name: 'sweeper',
      restart: 'permanent',
      stopTimeoutMs: 2_000,
      start: async ({ failed }) => every(everyMs.sweep, () => sweep(parts, core()), failed),
    },
    controlSpec(parts),
    httpSpec(parts),
  ];
}

function storeSpec(parts: Parts): ChildSpec {
  const { settings, log, late, telemetry } = parts;
  return {
    name: 'store',
    restart: 'permanent',
    stopTimeoutMs: 10_000,
    async start({ failed }) {
      const existing = late.db;
      if (existing !== undefined) {
        // The thread of the embedded store died; everybody keeps the same store and finds it again.
        if (isEmbedded(existing)) await existing.reopen();
      } else {
        const opened = await openStore(settings, {
          observe: telemetry.queried,
          onWarning: (message) => log.warn({ child: 'store' }, message),
          onState: (now) => {
            if (now === 'up') log.info({ child: 'store' }, 'the database is back');
            else log.warn({ child: 'store' }, 'the database is away; what needs it answers 503');
            if (now === 'away' && settings.database.kind === 'embedded') failed(new Error('the embedded store ended'));
          },
        });
        late.db = opened;
        telemetry.watchPool(opened);
        if (settings.migrateOnStart) {
          const { applied } = await migrate(opened);
          if (applied.length > 0) log.info({ applied }, 'the database schema was brought up to date');
        }
        if (!isEmbedded(opened)) {
          for (const warning of (await checkPostgresSettings(opened)).warnings) log.warn({ child: 'store' }, warning);
        }
      }
      const db = need(late.db, 'the store is open');
      const upkeep = isEmbedded(db)
        ? every(
            everyMs.maintain,
            () => db.maintain(),
            () => undefined,
          )
        : undefined;
      return {
        async stop() {
          await upkeep?.stop();
          if (parts.state.closing) await db.close();
        },
      };
    },
  };
}

/** The rooms are wired once; children that are started again find them. */
async function wire(parts: Parts): Promise<Core> {
  const { settings, late, telemetry, node, clock, log } = parts;
  const db = need(late.db, 'the store is open');
  const passwords = need(late.passwords, 'the hasher runs');
  const rootSecret = settings.jwtSecret?.reveal() ?? findOrMakeRootSecret(settings.dataDir);
  const core = createCore({
    settings,
    rootSecret,
    db,
    clock,
    random: systemRandom,
    meters: telemetry,
    passwords,
    node,
  });
  telemetry.watchCore(core);
  const { bootstrapAdmin } = settings;
  if (bootstrapAdmin !== undefined) {
    const made = await core.users.bootstrap(bootstrapAdmin.email, bootstrapAdmin.password.reveal());
    if (made?.kind === 'done') log.info({ user_id: made.value.id }, 'created the first administrator');
    if (made?.kind === 'refused') throw new Error(`BOOTSTRAP_ADMIN_EMAIL or its password: ${made.detail}`);
  }
  return core;
}

function controlSpec({ settings, late, log }: Parts): ChildSpec {
  return {
    name: 'control',
    restart: 'permanent',
    stopTimeoutMs: 1_000,
    async start() {
      const nothing = { stop: async () => undefined };
      if (settings.database.kind !== 'embedded') return nothing;
      const path = controlPath(settings.database.dataDir);
      if (Buffer.byteLength(path) > controlPathMax) {
        log.warn({ path }, 'the path of DATA_DIR is too long for a socket: the command line cannot reach this service');
        return nothing;
      }
      const onFailure = (error: unknown): string => {
        log.error({ error }, 'a command failed');
        return 'the command failed; the log of the service says why';
      };
      const control = await openControl({ path, rooms: need(late.core, 'the rooms are wired'), onFailure });
      return { stop: () => control.close() };
    },
  };
}

/** The HTTP service without a listener: what a host application mounts. */
function httpSpec(parts: Parts): ChildSpec {
  return {
    name: 'http',
    restart: 'permanent',
    stopTimeoutMs: parts.settings.shutdownTimeoutMs + 1_000,
    async start() {
      parts.late.http ??= makeHttp(parts);
      await parts.late.http.ready();
      return { stop: async () => undefined };
    },
  };
}

function listenerSpec({ settings, late }: Parts): ChildSpec {
  return {
    name: 'listener',
    restart: 'permanent',
    stopTimeoutMs: settings.shutdownTimeoutMs + 1_000,
    async start() {
      const http = need(late.http, 'the HTTP service is made');
      const { host, port, tls } = settings;
      late.address = await http.listen(tls === undefined ? { host, port } : { host, port, tls });
      return { stop: () => http.close({ timeoutMs: settings.shutdownTimeoutMs }) };
    },
  };
}

function makeHttp(parts: Parts): HttpService {
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

async function sweep(parts: Parts, core: Core): Promise<void> {
  await core.sessions.sweep();
  await core.lockout.sweep();
  while ((await deleteExpiredRevocations(core.db, ledgerBatch)) === ledgerBatch && !parts.state.closing);
  await deleteDeadNodes(core.db);
  parts.telemetry.sessionsCounted(await core.sessions.count());
}

/** Failures of a round in a row before the child is called broken. A store that is away is not its fault, and passes. */
const failuresMax = 30;

/** Runs `work` every so often, one round at a time; a failed round is tried again at the next. */
function every(ms: number, work: () => Promise<unknown>, failed: (error: unknown) => void): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let busy = false;
  let failures = 0;
  const round = async (): Promise<void> => {
    busy = true;
    try {
      await work();
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures >= failuresMax) failed(error);
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => {
    if (!busy) running = round();
  }, ms);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
