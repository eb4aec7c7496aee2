/**
 * What runs in the service, each as a supervised child, in start order. What children make as they start stands in `late`,
 * for those that start after them; a child that is started again finds it there.
 */
import { controlPath } from './beside.ts';
import { discoverySpec, lateHints, makeHintBus, meshSpec } from './children-cluster.ts';
import { mailSpec } from './children-mail.ts';
import { redisHintsSpecs, redisSpecs } from './children-redis.ts';
import { controlPathMax, openControl } from './cli/index.ts';
import { createIpcTransport } from './cluster/index.ts';
import { type Core, createCore } from './core.ts';
import { findOrMakeRootSecret } from './keys/index.ts';
import { makeHttp } from './make-http.ts';
import { isEmbedded, openStore } from './open-store.ts';
import { type Late, need, type Parts } from './parts.ts';
import { createPasswordHasher, type PasswordHasher } from './passwords/index.ts';
import { every } from './periodic.ts';
import { checkPostgresSettings, migrate } from './platform/database/index.ts';
import { systemRandom } from './platform/random/index.ts';
import type { ChildSpec } from './platform/supervision/index.ts';
import { singletonsSpec } from './singletons.ts';

const anchorLogMs = 3_600_000;
const everyMs = { seal: 1_000, seen: 2_000, keys: 30_000, replica: 1_000, maintain: 300_000, watch: 30_000 } as const;

/** Everything but the listener. */
export function childSpecs(parts: Parts): readonly ChildSpec[] {
  const { settings, log, late, telemetry } = parts;
  const core = (): Core => need(late.core, 'the rooms are not wired yet');
  return [
    storeSpec(parts),
    ...redisSpecs(parts),
    {
      name: 'passwords',
      restart: 'permanent',
      stopTimeoutMs: 5_000,
      async start() {
        const hasher = createPasswordHasher({
          algorithm: settings.passwordHash,
          bcryptCost: settings.bcryptCost,
          workers: settings.passwordHashWorkers,
          nice: settings.passwordHashNice,
          queueLimit: settings.passwordHashQueueMax,
          observe: telemetry.hashed,
          onWorkerExit: (error) => {
            telemetry.restarted('password-worker');
            log.warn({ child: 'password-worker', error }, 'a hashing thread died and is replaced');
          },
        });
        late.passwords = hasher;
        telemetry.watchPasswords(hasher);
        return {
          stop() {
            delete late.passwords;
            return hasher.stop();
          },
        };
      },
    },
    {
      name: 'keys',
      restart: 'permanent',
      stopTimeoutMs: 1_000,
      async start({ failed }) {
        late.core ??= await wire(parts);
        await core().load();
        return every(everyMs.keys, () => core().keys.refresh(), failed);
      },
    },
    {
      name: 'revocations',
      restart: 'permanent',
      stopTimeoutMs: 3_000,
      async start({ failed }) {
        const beat = need(core().beat ?? undefined, 'this process has no beat');
        await beat.start(failed);
        const sweep = setInterval(() => core().replica.sweep(core().clock.wallMs() / 1_000, 8), everyMs.replica);
        sweep.unref();
        return {
          stop: () => {
            clearInterval(sweep);
            // A part that is started again while its node goes on answering, stale as it may be, is still to be counted.
            return beat.stop({ keepLease: parts.node.servesStale && !parts.state.closing });
          },
        };
      },
    },
    meshSpec(parts),
    discoverySpec(parts),
    singletonsSpec(parts),
    {
      // On each node: any number of sealers are right at once, and an event waits for no other node.
      name: 'sealer',
      restart: 'permanent',
      stopTimeoutMs: 2_000,
      start: async ({ failed }) => every(everyMs.seal, () => core().audit.seal(), failed),
    },
    {
      // What each process saw of the log, it sees again; and the log lines keep the anchors where no database is.
      name: 'audit-watch',
      restart: 'permanent',
      stopTimeoutMs: 2_000,
      start: async ({ failed }) => every(everyMs.watch, watchAudit(core, log), failed),
    },
    {
      name: 'last-seen',
      restart: 'permanent',
      stopTimeoutMs: 2_000,
      async start({ failed }) {
        const flush = (): Promise<unknown> => Promise.all([core().sessions.flushSeen(), core().apiKeys.flushUsed()]);
        const running = every(everyMs.seen, flush, failed);
        return {
          async stop() {
            await running.stop();
            await flush().catch(() => undefined);
          },
        };
      },
    },
    mailSpec(parts),
    workerHintsSpec(parts),
    ...redisHintsSpecs(parts),
    controlSpec(parts),
    httpSpec(parts),
  ];
}

/** The end of the log with its MAC, an hour apart at most often; and an error, as long as it lasts, when it is not what it was. */
function watchAudit(core: () => Core, log: Parts['log']): () => Promise<void> {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let toldSeq = 0;
  return async () => {
    const { audit, clock } = core();
    const found = await audit.watch();
    if (found.kind === 'lost') {
      log.error(
        { seq: found.seq, reason: found.reason },
        'the audit log is not what it was; see: auth-service audit verify',
      );
      return;
    }
    const { head } = found;
    if (head === undefined || head.seq === toldSeq || clock.monotonicMs() - toldAtMs < anchorLogMs) return;
    toldAtMs = clock.monotonicMs();
    toldSeq = head.seq;
    log.info({ audit_anchor: head }, 'the end of the audit log');
  };
}

function storeSpec(parts: Parts): ChildSpec {
  const { settings, log, late, telemetry } = parts;
  // Of the latest start: what an earlier one was given is not listened to any more.
  let tellFailed: (error: unknown) => void = () => undefined;
  return {
    name: 'store',
    restart: 'permanent',
    stopTimeoutMs: 10_000,
    async start({ failed }) {
      tellFailed = failed;
      const existing = late.db;
      if (existing !== undefined) {
        // The thread of the embedded store died; everybody keeps the same store and finds it again.
        if (isEmbedded(existing)) await existing.reopen();
      } else {
        let isAway = false;
        const opened = await openStore(settings, {
          observe: telemetry.queried,
          onWarning: (message) => log.warn({ child: 'store' }, message),
          onState: (now) => {
            if (now === 'up' && isAway) log.info({ child: 'store' }, 'the database is back');
            if (now === 'away') log.warn({ child: 'store' }, 'the database is away; what needs it answers 503');
            isAway = now === 'away';
            if (isAway && settings.database.kind === 'embedded') tellFailed(new Error('the embedded store ended'));
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

/** Whichever hasher runs now; none for the moment in which it is started again, and that is an overload. */
function currentHasher(late: Late): Pick<PasswordHasher, 'hash' | 'verify' | 'accepts'> {
  const busy = { kind: 'overloaded' } as const;
  return {
    accepts: () => late.passwords?.accepts() ?? false,
    hash: async (password) => late.passwords?.hash(password) ?? busy,
    verify: async (password, encoded) => late.passwords?.verify(password, encoded) ?? busy,
  };
}

/** The rooms are wired once; children that are started again find them. */
async function wire(parts: Parts): Promise<Core> {
  const { settings, late, telemetry, node, clock, log } = parts;
  const db = need(late.db, 'the store is open');
  const rootSecret = settings.jwtSecret?.reveal() ?? findOrMakeRootSecret(settings.dataDir, systemRandom);
  const core = createCore({
    settings,
    rootSecret,
    db,
    redis: late.redis,
    clock,
    random: systemRandom,
    meters: {
      ...telemetry,
      writtenBack(entries) {
        telemetry.writtenBack(entries);
        log.warn(
          { revocations: entries },
          'the database has failed over: what it lost of what is known here was written back',
        );
      },
    },
    passwords: currentHasher(late),
    node,
    onMail: () => late.pokeMail?.(),
    hints: lateHints(parts),
    onClockSkew(skewMs) {
      if (skewMs === 0) log.info({}, 'the clock of this machine agrees with the database again');
      else log.warn({ skew_ms: skewMs }, 'the clock of this machine is wrong: the database is believed; set it by NTP');
    },
  });
  late.hints = makeHintBus(parts, core);
  telemetry.watchCore(core);
  const { bootstrapAdmin } = settings;
  if (bootstrapAdmin !== undefined) {
    const made = await core.users.bootstrap(bootstrapAdmin.email, bootstrapAdmin.password.reveal());
    if (made?.kind === 'done') log.info({ user_id: made.value.id }, 'created the first administrator');
    if (made?.kind === 'refused')
      throw new Error(`BOOTSTRAP_ADMIN_EMAIL and BOOTSTRAP_ADMIN_PASSWORD make no administrator. ${made.detail}`);
  }
  return core;
}

/** The way between the workers of this machine. */
function workerHintsSpec({ late, node, worker }: Parts): ChildSpec {
  return {
    name: 'worker-hints',
    restart: 'permanent',
    stopTimeoutMs: 1_000,
    async start() {
      if (worker === undefined || late.hints === undefined) return { stop: async () => undefined };
      const { channel } = worker;
      const way = await late.hints.attach(createIpcTransport({ channel, incarnation: node.incarnation }));
      return { stop: () => way.detach() };
    },
  };
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

export function listenerSpec(parts: Parts): ChildSpec {
  const { settings, late } = parts;
  return {
    name: 'listener',
    restart: 'permanent',
    stopTimeoutMs: settings.shutdownTimeoutMs + 1_000,
    async start() {
      // One that was closed says so in every answer; a listener that is started again gets a new one.
      if (late.http?.closing() === true && !parts.state.closing) late.http = makeHttp(parts);
      const http = need(late.http, 'the HTTP service is made');
      const { host, port, tls } = settings;
      // After a restart on the port that it had, also where any free one was asked for; workers are given the same by their primary.
      const where = { host, port: (parts.worker === undefined ? late.address?.port : undefined) ?? port };
      late.address = await http.listen(tls === undefined ? where : { ...where, tls });
      return { stop: () => http.close({ timeoutMs: settings.shutdownTimeoutMs }) };
    },
  };
}
