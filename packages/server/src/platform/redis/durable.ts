/**
 * Writes that wait for replicas, on a connection of their own. Those that come while a wait is under way go together with the next
 * one: WAIT covers everything that its connection wrote before, and a slow replica holds up one wait, not a queue of them.
 */
import type { Redis as Single } from 'ioredis';

interface Write {
  readonly send: (pipeline: ReturnType<Single['pipeline']>) => void;
  readonly replicas: number;
  readonly timeoutMs: number;
  readonly resolve: (answer: { readonly value: unknown; readonly acknowledged: number }) => void;
  readonly reject: (failure: unknown) => void;
}

export interface DurableLane {
  write(
    send: Write['send'],
    replicas: number,
    timeoutMs: number,
  ): Promise<{ readonly value: unknown; readonly acknowledged: number }>;
}

const batchMax = 256;

export function createDurableLane(client: Single): DurableLane {
  let waiting: Write[] = [];
  let busy = false;

  async function flush(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchMax);
      waiting = waiting.slice(batchMax);
      await sendBatch(client, batch);
    }
    busy = false;
  }

  return {
    write: (send, replicas, timeoutMs) =>
      new Promise((resolve, reject) => {
        waiting.push({ send, replicas, timeoutMs, resolve, reject });
        if (!busy) void flush();
      }),
  };
}

async function sendBatch(client: Single, batch: readonly Write[]): Promise<void> {
  try {
    const pipeline = client.pipeline();
    for (const { send } of batch) send(pipeline);
    pipeline.wait(
      Math.max(...batch.map((write) => write.replicas)),
      Math.max(...batch.map((write) => write.timeoutMs)),
    );
    const replies = (await pipeline.exec()) ?? [];
    const [waitFailed, acknowledged] = replies[batch.length] ?? [];
    batch.forEach((write, index) => {
      const [failed, value] = replies[index] ?? [new Error('Redis left a command unanswered')];
      if (failed !== null) write.reject(failed);
      else if (waitFailed !== null) write.reject(waitFailed);
      else write.resolve({ value, acknowledged: Number(acknowledged) });
    });
  } catch (failure) {
    for (const { reject } of batch) reject(failure);
  }
}
