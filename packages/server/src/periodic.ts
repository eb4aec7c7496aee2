/** Work that is done every so often, one round at a time. */

/** Failures of a round in a row before the child is called broken. A store that is away is not its fault, and passes. */
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
