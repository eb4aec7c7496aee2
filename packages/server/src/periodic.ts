/** Work that is done every so often, one round at a time. */
import { DatabaseUnavailable } from './platform/database/index.ts';
import { RedisUnavailable } from './platform/redis/index.ts';

/** Failures of a round in a row before the child is called broken. A store that is away is not its fault, and does not count. */
const failuresMax = 30;

/** Runs `work` every so often, one round at a time; a failed round is tried again at the next. */
export function every(
  ms: number,
  work: () => Promise<unknown>,
  failed: (error: unknown) => void,
): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let busy = false;
  let failures = 0;
  const round = async (): Promise<void> => {
    busy = true;
    try {
      await work();
      failures = 0;
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable || error instanceof RedisUnavailable)) failures += 1;
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
