/** What `WORKERS` cost and bring: start, memory and validations a second with 1, 2 and 4 of them, all on every core. */
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, interleave, median, ratioOf } from '../lib/bench.ts';
import { newPeople, register } from '../lib/people.ts';
import { cpuSecondsOf, treeOf } from '../lib/processes.ts';
import { format, perSecond, type Row } from '../lib/report.ts';
import { type RunningService, startService } from '../lib/service.ts';
import { requests } from '../lib/traffic.ts';

const counts = [1, 2, 4] as const;
const idleSeconds = 4;
const connections = 32;
const secondsMax = 60;

interface Started {
  readonly count: number;
  readonly service: RunningService;
  readonly validate: string;
  /** From the start of the primary until every worker answers. */
  readonly allSeconds: number;
  readonly idleMib: number;
}

export async function workers(bench: Bench, wants: (name: string) => boolean): Promise<readonly Row[]> {
  if (!wants('workers')) return [];
  const started: Started[] = [];
  try {
    for (const count of counts) started.push(await start(bench, count));
    const perCpuSecond = new Map<number, number[]>();
    const run = async ({ count, service, validate }: Started): Promise<number> => {
      const before = cpuSecondsOfAll(service.pid);
      const result = await bench.load({
        ...{ port: service.port, connections, seconds: bench.quick ? 1.5 : 3, warmUpSeconds: 0 },
        traffic: { kind: 'cycle', requests: [validate] },
      });
      const spent = cpuSecondsOfAll(service.pid) - before;
      perCpuSecond.set(count, [...(perCpuSecond.get(count) ?? []), result.answers / spent]);
      return result.steadyRate;
    };
    // Each worker compiles for itself.
    for (const each of started) await run(each);
    perCpuSecond.clear();
    const sides = Object.fromEntries(started.map((each) => [String(each.count), () => run(each)]));
    const rounds = await interleave(bench.quick ? 3 : 7, sides);
    return started.map((each) =>
      row(each, rounds[String(each.count)] ?? [], rounds['1'] ?? [], median(perCpuSecond.get(each.count) ?? [])),
    );
  } finally {
    for (const { service } of started) await service.stop();
  }
}

/** On a database of its own: services that share one are nodes of each other, and beat for each other. */
async function start(bench: Bench, count: number): Promise<Started> {
  const databaseUrl = await (await bench.postgres()).createDatabase();
  // The first start makes keys; what is measured is a service that comes back.
  await (await startService({ folder: bench.folder, core: undefined, databaseUrl })).stop();
  const settings = { WORKERS: String(count), DB_POOL_SIZE: '4' };
  const beganMs = performance.now();
  const service = await startService({ folder: bench.folder, core: undefined, databaseUrl, settings });
  while ((await workersThatAnswer(service.port)) < count) {
    if (performance.now() - beganMs > secondsMax * 1_000) throw new Error(`${count} workers did not come up`);
    await sleep(20);
  }
  const allSeconds = (performance.now() - beganMs) / 1_000;
  await sleep(idleSeconds * 1_000);
  const idleMib = service.residentMib();
  const [session] = await register(bench, service, newPeople(1));
  return { count, service, allSeconds, idleMib, validate: requests.validate(session?.accessToken ?? '') };
}

const cpuSecondsOfAll = (primary: number): number => treeOf(primary).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);

/** One scrape tells of all. */
function workersThatAnswer(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/metrics', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text.match(/^process_start_time_seconds[{ ]/gm)?.length ?? 0));
    }).on('error', reject);
  });
}

function row(
  { count, service, allSeconds, idleMib }: Started,
  rates: readonly number[],
  alone: readonly number[],
  perCpuSecond: number,
): Row {
  const processes = count === 1 ? 'one process' : `${count} workers and their primary`;
  return {
    workload: `WORKERS=${count}`,
    ours: perSecond(median(rates)),
    limit: count === 1 ? '' : `one process ${perSecond(median(alone))}`,
    ratio: count === 1 ? undefined : ratioOf(rates, alone),
    bar: undefined,
    note: `${processes}: first answer after ${format(service.startSeconds)} s, all after ${format(allSeconds)} s, idle ${format(idleMib)} MiB resident, ${format(perCpuSecond)} a second of processor time; the generator has one of the cores`,
    raw: { rates, perCpuSecond, startSeconds: service.startSeconds, allSeconds, idleMib },
  };
}
