/**
 * The load generator of comparisons: the same requests to one server and the other in turn, in short batches. Beside other
 * work a machine changes from second to second: two batches of some hundredths of a second stand next to each other in time,
 * each pair is in the other order than the one before, and there are many pairs, so what others do meets both alike.
 *
 * All connections are open from the begin to the end. A batch begins when the one before has been answered, and the processor
 * time of its server is read when that waits again: then the kernel has written up all of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, openConnection } from './lib/connection.ts';
import type { Alternated, AlternatingJob, Batch } from './lib/jobs.ts';
import { exactCpuSecondsOf } from './lib/processes.ts';

/** Long enough for a server that has written its last answer to wait for the next request. */
const settleMs = 2;
/** Of each side before the first that counts: code is compiled, and what is remembered of requests is there. */
const warmUpBatches = 4;

class Side {
  readonly #job: AlternatingJob;
  readonly #requests: readonly Buffer[];
  readonly #pid: number;
  #connections: readonly Connection[] = [];
  #sent = 0;
  #answered = 0;
  #at = 0;
  #finish: (error?: Error) => void = () => undefined;

  constructor(job: AlternatingJob, pid: number) {
    this.#job = job;
    this.#pid = pid;
    this.#requests = job.requests.map((text) => Buffer.from(text, 'latin1'));
  }

  async open(port: number): Promise<void> {
    const lanes = Array.from({ length: this.#job.connections }, (_, lane) => lane);
    this.#connections = await Promise.all(
      lanes.map((lane) =>
        openConnection(
          port,
          ({ status }) => this.#onAnswer(lane, status),
          (error) => this.#finish(error),
        ),
      ),
    );
  }

  async batch(): Promise<Batch> {
    this.#sent = 0;
    this.#answered = 0;
    const done = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error === undefined ? resolve() : reject(error));
    });
    const cpuBefore = exactCpuSecondsOf(this.#pid);
    const beganMs = performance.now();
    for (const lane of this.#connections.keys()) this.#send(lane);
    await done;
    const seconds = (performance.now() - beganMs) / 1_000;
    await sleep(settleMs);
    return { seconds, cpuSeconds: exactCpuSecondsOf(this.#pid) - cpuBefore };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #send(lane: number): void {
    if (this.#sent === this.#job.batch) return;
    this.#sent += 1;
    const request = this.#requests[this.#at % this.#requests.length];
    this.#at += 1;
    if (request !== undefined) this.#connections[lane]?.send(request);
  }

  #onAnswer(lane: number, status: number): void {
    this.#answered += 1;
    if (status !== 200) this.#finish(new Error(`an answer that was not expected: ${status}`));
    else if (this.#answered === this.#job.batch) this.#finish();
    else this.#send(lane);
  }
}

async function run(job: AlternatingJob): Promise<Alternated> {
  const ours = new Side(job, job.ours.pid);
  const bare = new Side(job, job.bare.pid);
  const seen: { ours: Batch[]; bare: Batch[] } = { ours: [], bare: [] };
  await Promise.all([ours.open(job.ours.port), bare.open(job.bare.port)]);
  try {
    for (let count = 0; count < warmUpBatches; count += 1) {
      await ours.batch();
      await bare.batch();
    }
    const untilMs = performance.now() + job.secondsMax * 1_000;
    for (let pair = 0; pair < job.pairs && performance.now() < untilMs; pair += 1) {
      if (pair % 2 === 0) seen.ours.push(await ours.batch());
      seen.bare.push(await bare.batch());
      if (pair % 2 === 1) seen.ours.push(await ours.batch());
    }
  } finally {
    ours.close();
    bare.close();
  }
  return { ...seen, batch: job.batch };
}

process.on('message', (job: AlternatingJob) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ failure: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
