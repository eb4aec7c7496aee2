/** Three processes on one PostgreSQL: whatever becomes of them, each job has one runner at a time, and soon has one again. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { type Program, startProgram } from '../support/processes.ts';
import { until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';

const file = new URL('./programs/singleton-node.ts', import.meta.url);
const jobs = 6;
/** As the contract has it. */
const takeOverSecondsMax = besideOthers(10);

interface Run {
  readonly job: string;
  readonly node: string;
  readonly fence: number;
  /** Seconds, on the database's clock. */
  readonly at: number;
}

describe('singletons on three processes', () => {
  let server: TestPostgres;
  let url: string;
  const nodes = new Map<string, Program>();

  const start = async (name: string): Promise<Program> => {
    const program = startProgram(file, [url, name]);
    nodes.set(name, program);
    await program.line((line) => line === 'started');
    return program;
  };
  const history = async (): Promise<readonly Run[]> =>
    (await server.query(
      'select job, node, fence::int as fence, extract(epoch from at)::float8 as at from runs order by id',
      url,
    )) as unknown as readonly Run[];
  const nowSeconds = async (): Promise<number> => {
    const [row] = await server.query('select extract(epoch from clock_timestamp())::float8 as now', url);
    return Number(row?.['now']);
  };
  /** Where each job ran last. */
  const places = async (): Promise<ReadonlyMap<string, string>> =>
    new Map((await history()).map((run) => [run.job, run.node]));
  const jobsAt = async (name: string): Promise<readonly string[]> =>
    [...(await places())].filter(([, node]) => node === name).map(([job]) => job);
  const nodeWithMost = async (): Promise<string> => {
    const counts = new Map<string, number>();
    for (const node of (await places()).values()) counts.set(node, (counts.get(node) ?? 0) + 1);
    return [...counts].toSorted((one, other) => other[1] - one[1])[0]?.[0] ?? '';
  };
  const one = (name: string): Program => {
    const program = nodes.get(name);
    assert.ok(program !== undefined, name);
    return program;
  };

  /** Waits until each of these jobs has run on another node; answers the longest pause between a run there and one elsewhere. */
  async function movedFrom(name: string, moved: readonly string[], since: number): Promise<number> {
    assert.ok(moved.length > 0, 'it had some');
    const firstElsewhere = (runs: readonly Run[], job: string) =>
      runs.find((run) => run.job === job && run.node !== name && run.at > since);
    const runs = await until('every job elsewhere', async () => {
      const all = await history();
      return moved.every((job) => firstElsewhere(all, job) !== undefined) && all;
    });
    return Math.max(...moved.map((job) => (firstElsewhere(runs, job)?.at ?? Number.POSITIVE_INFINITY) - since));
  }

  before(async () => {
    server = await startPostgres({ fsync: false });
    url = await server.createDatabase();
    // The id is given by the one sequence of the one table: rows of one job stand in the order of their writes.
    await server.query(
      'create table runs (id bigserial, job text, node text, fence bigint, at timestamptz default clock_timestamp())',
      url,
    );
    await Promise.all([start('a'), start('b')]);
    await until('every job runs', async () => (await places()).size === jobs);
  });
  after(async () => {
    for (const [, program] of nodes) await program.kill('SIGKILL');
    await server.stop();
  });

  test('a node that joins is handed its share, without a pause in any job', async () => {
    await start('c');
    const joined = await nowSeconds();
    await until('three nodes with jobs, or six jobs that settled on two', async () => {
      const [row] = await server.query(
        `select count(distinct node)::int as n from singletons where owner is not null`,
        url,
      );
      return row?.['n'] === 3 || (await nowSeconds()) - joined > 8;
    });
    const all = (await history()).filter((run) => run.at > joined);
    for (let job = 0; job < jobs; job += 1) {
      const times = all.filter((run) => run.job === `job-${job}`).map((run) => run.at);
      const pauses = times.slice(1).map((at, index) => at - (times[index] ?? at));
      assert.ok(times.length > 3, `job-${job} ran ${times.length} times`);
      assert.ok(Math.max(...pauses) < besideOthers(5), `job-${job} paused for ${Math.max(...pauses)} s`);
    }
  });

  test('F-36 SIGTERM: it leaves no lease behind that its jobs would have to wait for, and they run elsewhere', async (t) => {
    const name = await nodeWithMost();
    const moved = await jobsAt(name);
    const since = await nowSeconds();
    const leases = () => server.query(`select name from singletons where node = '${name}' and owner is not null`, url);
    assert.ok((await leases()).length > 0, 'it has leases while it runs');
    const ended = await one(name).kill('SIGTERM');
    assert.equal(ended.code, 0);
    assert.deepEqual(await leases(), []);
    const seconds = await movedFrom(name, moved, since);
    t.diagnostic(`${moved.length} jobs, the last after ${seconds.toFixed(1)} s`);
    await start(name);
  });

  test('F-36 kill -9: its jobs run elsewhere when their leases have ended', async (t) => {
    const name = await nodeWithMost();
    const moved = await jobsAt(name);
    await one(name).kill('SIGKILL');
    const seconds = await movedFrom(name, moved, await nowSeconds());
    t.diagnostic(`${moved.length} jobs, the last after ${seconds.toFixed(1)} s`);
    assert.ok(seconds < takeOverSecondsMax, `${seconds} s`);
    await start(name);
  });

  test('F-03, F-36 a node that was stopped for longer than its lease: its late writes are refused by the fence', async (t) => {
    const name = await nodeWithMost();
    const moved = await jobsAt(name);
    const program = one(name);
    process.kill(program.pid, 'SIGSTOP');
    const since = await nowSeconds();
    const seconds = await movedFrom(name, moved, since);
    t.diagnostic(`${moved.length} jobs, the last after ${seconds.toFixed(1)} s`);
    assert.ok(seconds < takeOverSecondsMax, `${seconds} s`);
    const thawed = (await history()).length;
    process.kill(program.pid, 'SIGCONT');
    await program.line((line) => line.startsWith('refused') && line.endsWith('FenceLost'));
    await sleep(1_500);
    const fences = new Map((await history()).slice(0, thawed).map((run) => [run.job, run.fence]));
    for (const run of (await history()).slice(thawed)) {
      assert.ok(run.fence >= (fences.get(run.job) ?? 0), `${run.job} was written by ${run.node} under an old fence`);
    }
  });

  test('F-36 in the whole history no two nodes wrote under one fence, and none after a later one', async () => {
    const runs = await history();
    assert.ok(runs.length > 100, `${runs.length} runs`);
    const holders = new Map<number, string>();
    const latest = new Map<string, number>();
    for (const { job, node, fence } of runs) {
      assert.equal(holders.get(fence) ?? `${job} ${node}`, `${job} ${node}`);
      holders.set(fence, `${job} ${node}`);
      assert.ok(fence >= (latest.get(job) ?? 0), `${job} was written by ${node} under an old fence`);
      latest.set(job, fence);
    }
    for (const [name, program] of nodes) assert.equal(program.errors(), '', name);
  });
});
