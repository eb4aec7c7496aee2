/** What every workload has at hand: the generator, PostgreSQL, a folder that goes with the run, and interleaved rounds. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type TestPostgres } from '../../../tests/support/postgres.ts';
import { root } from '../../tidy/files.ts';
import type { Alternated, AlternatingJob, Batch, Job, JobResult } from './jobs.ts';
import { type Peer, type Pinned, startPeer } from './processes.ts';

/** The server has the first core, the generator the second. */
export const serverCore = 0;
export const generatorCore = 1;

/** Of a comparison, to each of the two. */
const roundRequests = 25_000;

export const program = (name: string): string => join(root, 'tools/bench', name);

export interface Bench {
  readonly quick: boolean;
  readonly folder: string;
  /** Interleaved rounds of the fast workloads. */
  readonly rounds: number;
  postgres(): Promise<TestPostgres>;
  peer(name: string, options: Pinned): Peer;
  /** Runs a job on the generator's core; throws when an answer has a status that is not expected. */
  load(job: Job, expected?: readonly number[]): Promise<JobResult>;
  /** The same requests to two servers in turn, on the generator's core; throws at an answer that is not 200. */
  alternate(job: Omit<AlternatingJob, 'pairs' | 'secondsMax'>): Promise<Alternated>;
  /** A second generator beside the first, on any core. */
  loadBeside(job: Job): Promise<JobResult>;
  say(line: string): void;
  close(): Promise<void>;
}

export function createBench(options: { readonly quick: boolean; readonly rounds: number | undefined }): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'auth-bench-'));
  chmodSync(folder, 0o755);
  const peers: Peer[] = [];
  let postgres: Promise<TestPostgres> | undefined;
  const peer: Bench['peer'] = (name, where) => {
    const started = startPeer(program(name), [], where);
    peers.push(started);
    return started;
  };
  let generator: Peer | undefined;
  let second: Peer | undefined;

  async function run<Result>(on: Peer, job: object): Promise<Result> {
    const answer = await on.ask<{ result?: Result; failure?: string }>(job);
    if (answer.result === undefined) throw new Error(`the generator failed: ${answer.failure}`);
    return answer.result;
  }

  const rounds = options.rounds ?? (options.quick ? 4 : 9);
  return {
    quick: options.quick,
    folder,
    rounds,
    postgres: () => {
      postgres ??= startPostgres({ settings: { shared_buffers: '128MB', max_connections: '300' } });
      return postgres;
    },
    peer,
    async load(job, expected = [200]) {
      generator ??= peer('generator.ts', { core: generatorCore });
      const result = await run<JobResult>(generator, job);
      const others = Object.entries(result.statuses).filter(([status]) => !expected.includes(Number(status)));
      if (others.length > 0) throw new Error(`answers that were not expected: ${JSON.stringify(result.statuses)}`);
      return result;
    },
    async alternate(job) {
      const alternating = peer('alternating.ts', { core: generatorCore });
      // A round takes a second or two on a quiet machine.
      const pairs = Math.ceil((rounds * roundRequests) / job.batch);
      try {
        return await run<Alternated>(alternating, { ...job, pairs, secondsMax: 240 });
      } finally {
        await alternating.stop();
      }
    },
    loadBeside(job) {
      second ??= peer('generator.ts', { core: undefined });
      return run(second, job);
    },
    say: (line) => console.error(line),
    async close() {
      await Promise.all(peers.map((one) => one.stop()));
      await (await postgres)?.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
};

/**
 * Rounds of each in turn, A B C A B C …, so that what slows the machine for a while slows all of them. Ratios are taken within
 * a round, and their median is what counts.
 */
export async function interleave<T extends Readonly<Record<string, () => Promise<number>>>>(
  rounds: number,
  sides: T,
): Promise<{ readonly [Name in keyof T]: readonly number[] }> {
  const names = Object.keys(sides);
  const seen: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) seen[name]?.push((await sides[name]?.()) ?? Number.NaN);
  }
  return seen as { [Name in keyof T]: number[] };
}

export interface Compared {
  /** Answers a second of the server's processor time. */
  readonly ours: number;
  readonly bare: number;
  /** Medians of the ratios, pair by pair: by processor time, and by the clock. */
  readonly ratio: number;
  readonly byClock: number;
  /** Between which half of the pairs were. */
  readonly quartiles: readonly [number, number];
  /** How much of the clock's time the server of ours was running. */
  readonly busy: number;
}

export function compare({ ours, bare, batch }: Alternated): Compared {
  const ratios = (of: (batch: Batch) => number): readonly number[] =>
    ours.map((one, pair) => of(bare[pair] ?? one) / of(one));
  const byCpu = ratios((batch) => batch.cpuSeconds).toSorted((a, b) => a - b);
  const at = (share: number): number => byCpu[Math.floor((byCpu.length - 1) * share)] ?? Number.NaN;
  return {
    ours: batch / median(ours.map((one) => one.cpuSeconds)),
    bare: batch / median(bare.map((one) => one.cpuSeconds)),
    ratio: median(byCpu),
    byClock: median(ratios((batch) => batch.seconds)),
    quartiles: [at(0.25), at(0.75)],
    busy: median(ours.map((one) => one.cpuSeconds / one.seconds)),
  };
}

/** Median of the ratios, round by round. */
export const ratioOf = (ours: readonly number[], limit: readonly number[]): number =>
  median(ours.map((value, round) => value / (limit[round] ?? Number.NaN)));
