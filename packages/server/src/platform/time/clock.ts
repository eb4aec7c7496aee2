/**
 * Two clocks, never mixed: the wall's, for what is written down and compared with other machines, and the monotonic one,
 * for durations and deadlines. The monotonic clock does not go back, whatever is done to the wall's.
 */
export interface Clock {
  /** Milliseconds since 1970, UTC. May jump either way. */
  wallMs(): number;
  /** Milliseconds since some moment of this process's start. Never goes back. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
