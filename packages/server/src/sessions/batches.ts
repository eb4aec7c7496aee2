/**
 * Questions that arrive while others are on their way to the database go together in the next statement. An answer is never
 * older than its question.
 */
import { RotationQueueFull } from './rotation.ts';

export interface Batches<Q, A> {
  ask(question: Q): Promise<A>;
}

interface Waiting<Q, A> {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
}

const batchMax = 256;
const lanes = 2;

export function createBatches<Q, A>(deps: {
  /** One answer for each question, in their order. */
  readonly run: (questions: readonly Q[]) => Promise<readonly A[]>;
  readonly queueMax: number;
}): Batches<Q, A> {
  let waiting: Waiting<Q, A>[] = [];
  let inFlight = 0;
  let scheduled = false;

  async function send(batch: readonly Waiting<Q, A>[]): Promise<void> {
    try {
      const answers = await deps.run(batch.map(({ question }) => question));
      if (answers.length !== batch.length) throw new Error('each question has one answer');
      batch.forEach(({ resolve }, index) => {
        resolve(answers[index] as A);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      inFlight -= 1;
      pump();
    }
  }

  function pump(): void {
    while (inFlight < lanes && waiting.length > 0) {
      const batch = waiting.slice(0, batchMax);
      waiting = waiting.slice(batchMax);
      inFlight += 1;
      void send(batch);
    }
  }

  return {
    ask(question) {
      if (waiting.length >= deps.queueMax) return Promise.reject(new RotationQueueFull('too many refreshes wait'));
      return new Promise((resolve, reject) => {
        waiting.push({ question, resolve, reject });
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
