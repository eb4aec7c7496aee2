/**
 * What ends a process of ours: the first signal in good order; a second one, a while later, at once; an error that nobody
 * handled, with exit code 1.
 */
import { exitFailed, exitOk } from './cli/index.ts';
import type { Log } from './platform/log/index.ts';
import type { ProgramHost } from './program.ts';

/** Signals this close together are one: a terminal's Ctrl-C under npm arrives twice. */
const sameSignalMs = 1_000;

export interface Ending {
  /** Resolves once, with the exit code that the end was asked for with. */
  readonly asked: Promise<number>;
  ask(code: number): void;
  /** Ends the process as it is, when what should have ended has not. */
  forceAfter(ms: number): void;
}

export function watchForEnd(
  host: Pick<ProgramHost, 'onSignal' | 'onFailure' | 'monotonicMs' | 'exit'>,
  log: Log,
  /** `true`: this signal is dealt with, and ends nothing. */
  take: (signal: string) => boolean = () => false,
): Ending {
  const asked = Promise.withResolvers<number>();
  let signalledAt: number | undefined;
  host.onSignal((signal) => {
    const now = host.monotonicMs();
    if (signalledAt === undefined) {
      if (take(signal)) return;
      signalledAt = now;
      log.info({ signal }, 'stopping');
      asked.resolve(exitOk);
    } else if (now - signalledAt > sameSignalMs) {
      log.warn({ signal }, 'a second signal: exiting at once');
      log.flush();
      host.exit(exitFailed);
    }
  });
  host.onFailure((error) => {
    log.error({ error }, 'an error that nobody handled; the process ends');
    asked.resolve(exitFailed);
  });
  return {
    asked: asked.promise,
    ask: asked.resolve,
    forceAfter(ms) {
      // Whatever hangs, the process ends: what was answered is durable already.
      const forced = setTimeout(() => {
        log.error({}, 'stopping took too long; exiting');
        log.flush();
        host.exit(exitFailed);
      }, ms);
      forced.unref();
    },
  };
}
