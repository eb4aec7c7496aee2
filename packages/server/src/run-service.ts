/** `auth-service start`: the service in a process of its own, until a signal or a failure ends it. */

import { exitFailed, exitOk } from './cli/index.ts';
import { createLog } from './platform/log/index.ts';
import type { ProgramHost } from './program.ts';
import { createService } from './service.ts';
import type { Settings } from './settings.ts';
import { describeStartFailure } from './start-failure.ts';
import { version } from './version.ts';

/** Signals this close together are one: a terminal's Ctrl-C under npm arrives twice. */
const sameSignalMs = 1_000;
const settledAfterMs = 1_000;

export async function runService(host: ProgramHost, settings: Settings, warnings: readonly string[]): Promise<number> {
  const log = createLog({ level: settings.logLevel, format: settings.logFormat, destination: host.terminal.stdout });
  for (const warning of warnings) log.warn({}, warning);

  const ended = Promise.withResolvers<number>();
  const service = createService({
    settings,
    log,
    onEscalate: () => ended.resolve(exitFailed),
  });
  let signalledAt: number | undefined;
  host.onSignal((signal) => {
    const now = host.monotonicMs();
    if (signalledAt === undefined) {
      signalledAt = now;
      log.info({ signal }, 'stopping');
      ended.resolve(exitOk);
    } else if (now - signalledAt > sameSignalMs) {
      log.warn({ signal }, 'a second signal: exiting at once');
      log.flush();
      host.exit(exitFailed);
    }
  });
  host.onFailure((error) => {
    log.error({ error }, 'an error that nobody handled; the process ends');
    ended.resolve(exitFailed);
  });

  let code: number;
  try {
    const starting = service.listen();
    const first = await Promise.race([starting, ended.promise]);
    if (typeof first !== 'number') {
      const { database } = settings;
      const store = database.kind === 'embedded' ? `embedded in ${database.dataDir}` : `postgres at ${database.place}`;
      const took = Math.round(host.uptimeMs());
      log.info(
        { version, ready_ms: took },
        `listening on ${first.url} (store: ${store}; node: ${service.node}); API reference: ${first.url}/docs`,
      );
      if (database.kind === 'embedded') {
        log.info({}, 'the embedded store serves one small node; set DATABASE_URL for PostgreSQL');
      }
    }
    // What loading left behind is a quarter of the memory that an idle service would go on holding.
    const settled = setTimeout(host.collectGarbage, settledAfterMs);
    code = await ended.promise;
    clearTimeout(settled);
  } catch (error) {
    const known = describeStartFailure(error, settings);
    if (known === undefined) log.error({ error }, 'the service could not start');
    else log.error({}, known);
    code = exitFailed;
  }
  // Whatever hangs, the process ends: what was answered is durable already.
  const forced = setTimeout(() => {
    log.error({}, 'stopping took too long; exiting');
    log.flush();
    host.exit(exitFailed);
  }, settings.shutdownTimeoutMs + 5_000);
  forced.unref();
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
