/**
 * The masters of a Cluster, one by one: a call for a master that has just failed fails at once, and one call in a while tries it.
 * When another node takes its slots over, calls go there, and nothing of this is in the way.
 */
import { RedisUnavailable } from './redis.ts';

export interface Shards {
  /** Throws at once while `shard` is known to be away. */
  demand(shard: string): void;
  failed(shard: string): void;
  answered(shard: string): void;
  clear(): void;
}

const pauseMs = 200;

export function createShards(monotonicMs: () => number): Shards {
  /** When the next call may try it. As many as the Cluster has nodes. */
  const away = new Map<string, number>();
  return {
    demand(shard) {
      const until = away.get(shard);
      if (until === undefined) return;
      const now = monotonicMs();
      if (now < until) throw new RedisUnavailable('away');
      away.set(shard, now + pauseMs);
    },
    failed: (shard) => {
      away.set(shard, monotonicMs() + pauseMs);
    },
    answered: (shard) => {
      if (away.size > 0) away.delete(shard);
    },
    clear: () => away.clear(),
  };
}
