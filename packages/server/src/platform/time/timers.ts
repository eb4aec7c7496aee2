/** Waiting as a parameter. */
export interface Timers {
  /**
   * Calls `run` once, not before `delayMs` have passed; answers the function that calls it off (as often as one likes).
   * A timer that waits keeps the process alive.
   */
  after(delayMs: number, run: () => void): () => void;
}

/** The longest delay that Node's timers take; a longer one would fire at once. */
const delayMsMax = 2_147_483_647;

export const systemTimers: Timers = {
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), delayMsMax));
    return () => clearTimeout(timer);
  },
};
