/**
 * Rotations coalesced: refreshes that arrive while a batch is on its way to the database go together in the next one, as
 * one compare-and-swap statement. Each token of a batch is of another session; a second request for the same session waits
 * for the next batch, where the database decides again. Batches are sorted by session id, so that two nodes lock rows in
 * the same order. No answer is given before the statement's commit.
 */
import type { Presented, SessionOfUser } from './session-store.ts';

export interface Rotations {
  /** The rotated session, or `undefined` when this token did not win. */
  rotate(presented: Presented): Promise<SessionOfUser | undefined>;
}

interface Waiting extends Presented {
  readonly resolve: (row: SessionOfUser | undefined) => void;
  readonly reject: (error: unknown) => void;
}

const batchMax = 256;
const lanes = 2;

export class RotationQueueFull extends Error {
  override readonly name = 'RotationQueueFull';
}

export function createRotations(deps: {
  readonly run: (batch: readonly Presented[]) => Promise<readonly SessionOfUser[]>;
  readonly queueMax: number;
}): Rotations {
  let waiting: Waiting[] = [];
  let inFlight = 0;
  /** Sessions whose rotation is on its way: at most one lane holds a session. */
  const busy = new Set<string>();

  function nextBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    for (const one of waiting) {
      if (batch.length < batchMax && !busy.has(one.sessionId)) {
        busy.add(one.sessionId);
        batch.push(one);
      } else left.push(one);
    }
    waiting = left;
    return batch.sort((a, b) => (a.sessionId < b.sessionId ? -1 : 1));
  }

  async function send(batch: readonly Waiting[]): Promise<void> {
    try {
      const rows = await deps.run(batch);
      const byId = new Map(rows.map((row) => [row.id, row]));
      for (const one of batch) one.resolve(byId.get(one.sessionId));
    } catch (error) {
      for (const one of batch) one.reject(error);
    } finally {
      for (const one of batch) busy.delete(one.sessionId);
      inFlight -= 1;
      pump();
    }
  }

  function pump(): void {
    while (inFlight < lanes && waiting.length > 0) {
      const batch = nextBatch();
      if (batch.length === 0) return;
      inFlight += 1;
      void send(batch);
    }
  }

  let scheduled = false;
  return {
    rotate(presented) {
      if (waiting.length >= deps.queueMax) return Promise.reject(new RotationQueueFull('too many rotations wait'));
      return new Promise((resolve, reject) => {
        waiting.push({ ...presented, resolve, reject });
        if (scheduled) return;
        scheduled = true;
        // What arrives in this turn of the loop goes together.
        setImmediate(() => {
          scheduled = false;
          pump();
        });
      });
    },
  };
}
