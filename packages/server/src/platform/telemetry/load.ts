/** How busy this process is, in a few figures, for those who look at the whole cluster. */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

export interface Load {
  /** Part of the time that the event loop was at work, 0 to 1. */
  readonly event_loop: number;
  readonly heap_mb: number;
  readonly requests_per_s: number;
}

const readEveryMs = 1_000;
const bytesOfMb = 1_048_576;

/** Answers the figures of the latest whole second or more; asking more often costs nothing. */
export function createLoad(deps: {
  readonly monotonicMs: () => number;
  /** Requests answered since the start. */
  readonly requests: () => number;
}): () => Load {
  let at = deps.monotonicMs();
  let loop = performance.eventLoopUtilization();
  let requests = deps.requests();
  let load: Load = { event_loop: 0, heap_mb: heapMb(), requests_per_s: 0 };
  return () => {
    const now = deps.monotonicMs();
    const ms = now - at;
    if (ms < readEveryMs) return load;
    const loopNow = performance.eventLoopUtilization();
    const requestsNow = deps.requests();
    load = {
      event_loop: Math.round(performance.eventLoopUtilization(loopNow, loop).utilization * 100) / 100,
      heap_mb: heapMb(),
      requests_per_s: Math.round(((requestsNow - requests) * 1_000) / ms),
    };
    at = now;
    loop = loopNow;
    requests = requestsNow;
    return load;
  };
}

const heapMb = (): number => Math.round(getHeapStatistics().used_heap_size / bytesOfMb);
