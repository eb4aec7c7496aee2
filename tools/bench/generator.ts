/**
 * The load generator: a process of its own on a core of its own. It is sent one job at a time and answers what it saw.
 *
 * Closed by default: each connection asks again when it is answered. With a rate it is open: requests leave when they are due,
 * and their time runs from then, so that a server that stalls is charged for everything that waited meanwhile. The generator's
 * own lateness is not charged to the server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Connection, openConnection } from './lib/connection.ts';
import type { Job, JobResult, Latency } from './lib/jobs.ts';
import { cpuSecondsOf } from './lib/processes.ts';
import { createSource, type Source } from './lib/traffic.ts';

/** Latencies of one job; doubles when full. */
class Samples {
  #values = new Float64Array(1 << 16);
  length = 0;

  add(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length] = value;
    this.length += 1;
  }

  percentiles(): Latency {
    const sorted = this.#values.subarray(0, this.length).toSorted();
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
  }
}

/** What is counted between the begin and the end of a job. */
class Tally {
  readonly samples = new Samples();
  readonly statuses: Record<string, number> = {};
  readonly bodies: string[] = [];
  readonly #job: Job;
  #counting = false;
  #beganMs = 0;
  #firstMs = 0;
  #lastMs = 0;
  #serverCpu = 0;
  #ownCpu = 0;

  constructor(job: Job) {
    this.#job = job;
  }

  begin(): void {
    this.#counting = true;
    this.#serverCpu = this.#serverCpuNow();
    this.#ownCpu = cpuSecondsOf(process.pid);
    this.#beganMs = performance.now();
  }

  end(): void {
    this.#counting = false;
    this.#serverCpu = this.#serverCpuNow() - this.#serverCpu;
    this.#ownCpu = cpuSecondsOf(process.pid) - this.#ownCpu;
  }

  add(nowMs: number, tookMs: number, status: number, body: () => string): void {
    if (!this.#counting) return;
    this.samples.add(tookMs);
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    if (this.samples.length === 1) this.#firstMs = nowMs;
    this.#lastMs = nowMs;
    if (this.#job.collect === true) this.bodies.push(body());
  }

  result(source: Source): JobResult {
    const answers = this.samples.length;
    return {
      answers,
      seconds: (this.#lastMs - this.#beganMs) / 1_000,
      steadyRate: answers < 2 ? 0 : ((answers - 1) * 1_000) / (this.#lastMs - this.#firstMs),
      statuses: this.statuses,
      kinds: source.kinds(),
      latencyMs: this.samples.percentiles(),
      serverCpuSeconds: this.#serverCpu,
      generatorCpuSeconds: this.#ownCpu,
      bodies: this.bodies,
      tokens: source.tokens(),
    };
  }

  #serverCpuNow(): number {
    return this.#job.serverPid === undefined ? 0 : cpuSecondsOf(this.#job.serverPid);
  }
}

interface Lane {
  connection: Connection | undefined;
  sentMs: number;
}

/** The connections of one job, and what waits for one of them. */
class Run {
  readonly source: Source;
  readonly tally: Tally;
  readonly #job: Job;
  readonly #lanes: readonly Lane[];
  readonly #idle: number[] = [];
  /** Since when: requests that were due when no connection was idle. */
  readonly #due: number[] = [];
  #under = 0;
  #over = false;
  #finish: (error?: Error) => void = () => undefined;

  constructor(job: Job) {
    this.#job = job;
    this.source = createSource(job.traffic);
    this.tally = new Tally(job);
    this.#lanes = Array.from({ length: job.connections }, () => ({ connection: undefined, sentMs: 0 }));
  }

  async run(): Promise<void> {
    const { warmUpSeconds, seconds, rate } = this.#job;
    const finished = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error === undefined ? resolve() : reject(error));
    });
    await Promise.all(this.#lanes.map((lane, index) => this.#open(lane, index)));
    const timers: NodeJS.Timeout[] = [];
    if (warmUpSeconds === 0) this.tally.begin();
    else timers.push(setTimeout(() => this.tally.begin(), warmUpSeconds * 1_000));
    timers.push(setTimeout(() => this.#stop(), (warmUpSeconds + seconds) * 1_000));
    if (rate === undefined) for (const index of this.#lanes.keys()) this.#send(index, performance.now());
    else timers.push(this.#pace(rate));
    try {
      await finished;
      // What is under way is answered before the connections go, so that chains of refresh tokens stay whole.
      for (let waited = 0; this.#under > 0 && waited < 500; waited += 1) await sleep(10);
    } finally {
      for (const timer of timers) clearTimeout(timer);
      for (const lane of this.#lanes) lane.connection?.close();
    }
  }

  async #open(lane: Lane, index: number): Promise<void> {
    lane.connection = await openConnection(
      this.#job.port,
      (answer) => {
        try {
          this.#answered(index, answer);
        } catch (error) {
          this.#finish(error instanceof Error ? error : new Error(String(error)));
        }
      },
      (error) => this.#finish(error),
    );
  }

  #stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.tally.end();
    this.#finish();
  }

  #send(index: number, sinceMs: number): void {
    const lane = this.#lanes[index];
    const request = this.source.next(index);
    if (lane === undefined || request === undefined) {
      if (this.#under === 0) this.#stop();
      return;
    }
    this.#under += 1;
    lane.sentMs = sinceMs;
    lane.connection?.send(request);
  }

  #answered(index: number, { status, body }: Answer): void {
    const now = performance.now();
    this.#under -= 1;
    this.source.answered(index, status, body);
    this.tally.add(now, now - (this.#lanes[index]?.sentMs ?? now), status, body);
    if (this.#over) return;
    const since = this.#job.rate === undefined ? now : this.#due.shift();
    if (since === undefined) this.#idle.push(index);
    else this.#send(index, since);
  }

  /** Each millisecond sends what has become due; what finds no idle connection waits. */
  #pace(rate: number): NodeJS.Timeout {
    this.#idle.push(...this.#lanes.keys());
    const startMs = performance.now();
    let sent = 0;
    return setInterval(() => {
      const now = performance.now();
      for (const target = ((now - startMs) / 1_000) * rate; sent < target; sent += 1) {
        const index = this.#idle.shift();
        if (index === undefined) this.#due.push(now);
        else this.#send(index, now);
      }
    }, 1);
  }
}

async function runJob(job: Job): Promise<JobResult> {
  const run = new Run(job);
  await run.run();
  return run.tally.result(run.source);
}

process.on('message', (job: Job) => {
  runJob(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ failure: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
