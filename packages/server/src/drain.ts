/**
 * The time between "not ready" and the end of the listener, for those who send requests here to see it and to stop.
 *
 * A number of seconds is waited as it is. `auto` waits for whoever keeps asking `/health/ready`, until each was told "not
 * ready" as often as load balancers want to hear it before they believe it, and at most for `autoMsMax`. So a node that
 * nobody watches ends at once, and one behind a balancer loses no request.
 */
import type { Clock, Timers } from './platform/time/index.ts';

export interface Drain {
  /** Somebody asked whether this node is ready, and was told. */
  asked(peer: string, ready: boolean): void;
  /** Called once this node tells that it is not ready; resolves when the listener may close. */
  wait(): Promise<void>;
}

interface Watcher {
  /** Moments of the latest asks, oldest first. */
  readonly asks: number[];
  refusals: number;
}

/** Who asked so often within this time keeps asking; slower than every 15 s is no load balancer. */
const asksOfWatcher = 3;
const watchedWithinMs = 45_000;
/** The default of HAProxy (`fall`), of Kubernetes (`failureThreshold`), and no less than that of others. */
const refusalsBelieved = 3;
/** What was sent on its way before the last refusal arrived. */
const settleMs = 250;
const autoMsMax = 15_000;
const watchersMax = 256;

export function createDrain(options: {
  readonly seconds: number | 'auto';
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
}): Drain {
  const { clock, timers, seconds } = options;
  const watchers = new Map<string, Watcher>();
  let awaited: readonly Watcher[] = [];
  let done: (() => void) | undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      timers.after(ms, resolve);
    });

  function keepsAsking({ asks }: Watcher): boolean {
    const [first] = asks;
    return asks.length === asksOfWatcher && first !== undefined && clock.monotonicMs() - first <= watchedWithinMs;
  }

  function watcherOf(peer: string): Watcher {
    const known = watchers.get(peer);
    if (known !== undefined) return known;
    const [oldest] = watchers.keys();
    if (watchers.size >= watchersMax && oldest !== undefined) watchers.delete(oldest);
    const made: Watcher = { asks: [], refusals: 0 };
    watchers.set(peer, made);
    return made;
  }

  return {
    asked(peer, ready) {
      const watcher = watcherOf(peer);
      watcher.asks.push(clock.monotonicMs());
      if (watcher.asks.length > asksOfWatcher) watcher.asks.shift();
      if (ready) return;
      watcher.refusals += 1;
      if (awaited.every(({ refusals }) => refusals >= refusalsBelieved)) done?.();
    },
    async wait() {
      if (seconds !== 'auto') return pause(seconds * 1_000);
      awaited = [...watchers.values()].filter(keepsAsking);
      if (awaited.length === 0) return;
      // A node that was not ready before is believed already; what counts is said from now on.
      for (const watcher of awaited) watcher.refusals = 0;
      await new Promise<void>((resolve) => {
        done = resolve;
        timers.after(autoMsMax, resolve);
      });
      await pause(settleMs);
    },
  };
}
