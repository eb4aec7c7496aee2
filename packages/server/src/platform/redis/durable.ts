/**
 * Writes that wait for replicas, on a connection of their own. Those that come while a wait is under way go together with the next
 * one: WAIT covers everything that its connection wrote before, and a slow replica holds up one wait, not a queue of them.
 *
 * `where_there_is_one` wants one replica while the server has one, or had one a moment ago: a replica that was just lost, or a
 * server that was just cut off with its clients, is no reason to go on without.
 */
import type { Redis as Single } from 'ioredis';
import type { ReplicasWanted } from './redis.ts';

type Pipeline = ReturnType<Single['pipeline']>;

export interface DurableAnswer {
  readonly value: unknown;
  readonly acknowledged: number;
  readonly isEnough: boolean;
}

interface Write {
  readonly send: (pipeline: Pipeline) => void;
  readonly replicas: ReplicasWanted;
  readonly timeoutMs: number;
  readonly resolve: (answer: DurableAnswer) => void;
  readonly reject: (failure: unknown) => void;
}

export interface DurableLane {
  write(send: Write['send'], replicas: ReplicasWanted, timeoutMs: number): Promise<DurableAnswer>;
}

const batchMax = 256;
const askEveryMs = 1_000;
const rememberedMs = 5_000;

export function createDurableLane(client: Single, monotonicMs: () => number): DurableLane {
  let waiting: Write[] = [];
  let busy = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  let hadOneAt = Number.NEGATIVE_INFINITY;

  const wants = (replicas: ReplicasWanted): number => {
    if (replicas !== 'where_there_is_one') return replicas;
    return monotonicMs() - hadOneAt < rememberedMs ? 1 : 0;
  };

  function learn(info: unknown): void {
    if (/^slave\d+:.*\bstate=online\b/m.test(String(info))) hadOneAt = monotonicMs();
  }

  async function flush(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchMax);
      waiting = waiting.slice(batchMax);
      await sendBatch(batch);
    }
    busy = false;
  }

  async function sendBatch(batch: readonly Write[]): Promise<void> {
    try {
      const isFirst = askedAt === Number.NEGATIVE_INFINITY;
      const isDue = monotonicMs() - askedAt >= askEveryMs;
      if (isDue) askedAt = monotonicMs();
      // Who may not ask (an ACL) has no replica, as far as we know.
      if (isFirst) learn(await client.info('replication').catch(() => ''));
      const pipeline = client.pipeline();
      for (const { send } of batch) send(pipeline);
      if (isDue && !isFirst) pipeline.info('replication');
      const wanted = batch.map((write) => wants(write.replicas));
      pipeline.wait(Math.max(...wanted), Math.max(...batch.map((write) => write.timeoutMs)));
      const replies = (await pipeline.exec()) ?? [];
      if (isDue && !isFirst) learn(replies[batch.length]?.[1]);
      const [waitFailed, acknowledged] = replies.at(-1) ?? [];
      batch.forEach((write, index) => {
        const [failed, value] = replies[index] ?? [new Error('Redis left a command unanswered')];
        if (failed !== null) write.reject(failed);
        else if (waitFailed !== null) write.reject(waitFailed);
        else {
          const count = Number(acknowledged);
          write.resolve({ value, acknowledged: count, isEnough: count >= (wanted[index] ?? 0) });
        }
      });
    } catch (failure) {
      for (const { reject } of batch) reject(failure);
    }
  }

  return {
    write: (send, replicas, timeoutMs) =>
      new Promise((resolve, reject) => {
        waiting.push({ send, replicas, timeoutMs, resolve, reject });
        if (!busy) void flush();
      }),
  };
}
