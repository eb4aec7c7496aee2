/**
 * `auth-service start`: the service in a process of its own, until a signal or a failure ends it. As a worker it is its
 * primary that ends it, and the end of the primary.
 */
import { exitFailed, exitOk } from './cli/index.ts';
import { createDrain, type Drain } from './drain.ts';
import { type Ending, watchForEnd } from './ending.ts';
import { createLog, type Log } from './platform/log/index.ts';
import { systemClock, systemTimers } from './platform/time/index.ts';
import { type Channel, createChannel, readyTopic, stopTopic } from './platform/workers/index.ts';
import type { ProgramHost } from './program.ts';
import { createService, type Service } from './service.ts';
import type { Settings } from './settings.ts';
import { describeStartFailure } from './start-failure.ts';
import { version } from './version.ts';
import { beginClosingTopic, probedTopic, signalledTopic } from './worker-topics.ts';

const settledAfterMs = 1_000;

export async function runService(host: ProgramHost, settings: Settings, warnings: readonly string[]): Promise<number> {
  const worker = host.parent === undefined ? undefined : createChannel(host.parent, { timers: systemTimers });
  const log = createLog({
    level: settings.logLevel,
    format: settings.logFormat,
    destination: host.terminal.stdout,
    ...(worker === undefined ? {} : { fields: { node: settings.nodeName } }),
  });
  // A worker's settings are those of its primary, which has said so.
  if (worker === undefined) for (const warning of warnings) log.warn({}, warning);

  const drain = createDrain({ seconds: settings.shutdownDrainSeconds, clock: systemClock, timers: systemTimers });
  const ending = watchForEnd(host, log, worker === undefined ? undefined : (signal) => leaveToPrimary(worker, signal));
  const service = createService({
    settings,
    log,
    onEscalate: () => ending.ask(exitFailed),
    onProbed: worker === undefined ? drain.asked : (peer, ready) => worker.cast(probedTopic, [peer, ready]),
    ...(worker === undefined || host.parent === undefined
      ? {}
      : { worker: { channel: worker, place: host.parent.place, restarts: host.parent.restarts } }),
  });
  if (worker !== undefined) obeyPrimary(host, worker, service, ending, log);

  let code: number;
  try {
    const first = await Promise.race([service.listen(), ending.asked]);
    if (typeof first !== 'number') {
      if (worker === undefined) sayListening(host, settings, service, first.url, log);
      else worker.cast(readyTopic, first);
    }
    // What loading left behind is a quarter of the memory that an idle service would go on holding.
    const settled = setTimeout(host.collectGarbage, settledAfterMs);
    code = await ending.asked;
    clearTimeout(settled);
    if (worker === undefined && typeof first !== 'number' && code === exitOk) await standBack(service, drain);
  } catch (error) {
    const known = describeStartFailure(error, settings);
    if (known === undefined) log.error({ error }, 'the service could not start');
    else log.error({}, known);
    code = exitFailed;
  }
  ending.forceAfter(settings.shutdownTimeoutMs + 5_000);
  try {
    await service.stop();
  } catch (error) {
    log.error({ error }, 'stopping failed');
    code = exitFailed;
  }
  log.info({ exit_code: code }, 'stopped');
  log.flush();
  host.exit(code);
  return code;
}

function sayListening(host: ProgramHost, settings: Settings, service: Service, url: string, log: Log): void {
  const { database } = settings;
  const store = database.kind === 'embedded' ? `embedded in ${database.dataDir}` : `postgres at ${database.place}`;
  const took = Math.round(host.uptimeMs());
  log.info(
    { version, ready_ms: took, issuer: settings.publicUrl },
    `listening on ${url} (store: ${store}; node: ${service.node}); API reference: ${url}/docs`,
  );
  if (database.kind === 'embedded') {
    log.info({}, 'the embedded store serves one small node; set DATABASE_URL for PostgreSQL');
  }
}

/** Not ready any more, and still there, until those who send requests have seen it. */
function standBack(service: Service, drain: Drain): Promise<void> {
  service.beginClosing();
  return drain.wait();
}

/** A terminal's Ctrl-C reaches every process, and systemd's SIGTERM too: the primary says what becomes of it. */
function leaveToPrimary(primary: Channel, signal: string): boolean {
  if (signal === 'SIGTERM') primary.cast(signalledTopic, signal);
  return true;
}

function obeyPrimary(host: ProgramHost, primary: Channel, service: Service, ending: Ending, log: Log): void {
  primary.on(beginClosingTopic, () => service.beginClosing());
  primary.on(stopTopic, () => ending.ask(exitOk));
  host.parent?.onGone(() => {
    primary.close();
    log.error({}, 'the primary process is gone: this worker ends');
    ending.ask(exitFailed);
  });
}
