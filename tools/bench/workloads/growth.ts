/**
 * What more nodes cost: one machine, one database, 1 to 20 node processes. What their beats take of PostgreSQL when nothing
 * happens, how long a revocation takes until every one of them has confirmed it, and what each of them holds in memory.
 *
 * And whether three nodes on one core validate together what one does there alone: nodes share nothing on that path.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeMessage, writeNews } from '../../../packages/server/src/cluster/hints/messages.rule.ts';
import { type Bench, generatorCore, interleave, median, ratioOf, serverCore } from '../lib/bench.ts';
import type { Job, JobResult } from '../lib/jobs.ts';
import { logIn, newPeople, register } from '../lib/people.ts';
import { cpuSecondsOf, treeOf } from '../lib/processes.ts';
import { atLeast, format, perSecond, type Row } from '../lib/report.ts';
import { type RunningService, startService } from '../lib/service.ts';
import { requests } from '../lib/traffic.ts';

const clusterSecret = randomBytes(48).toString('base64');
const settleSeconds = 4;

/** Nodes of one cluster. Hashes are cheap: none of this is about them. */
async function startNodes(bench: Bench, count: number, core: number | undefined): Promise<readonly RunningService[]> {
  const databaseUrl = await (await bench.postgres()).createDatabase();
  const node = (index: number): Promise<RunningService> =>
    startService({
      ...{ folder: bench.folder, core, databaseUrl },
      settings: {
        ...{ NODE_ENV: 'test', BCRYPT_COST: '4', PASSWORD_HASH_WORKERS: '1', DB_POOL_SIZE: '4' },
        ...{ PUBLIC_URL: 'http://localhost', NODE_NAME: `node-${index + 1}` },
        ...{
          ENABLE_CLUSTERING: 'true',
          CLUSTER_SECRET: clusterSecret,
          CLUSTER_PORT: '0',
          CLUSTER_ADDRESS: '127.0.0.1',
        },
      },
    });
  // The first alone: it makes the keys. A few at a time then, so that none is refused for being slow to start.
  const nodes = [await node(0)];
  while (nodes.length < count) {
    const few = Math.min(4, count - nodes.length);
    nodes.push(...(await Promise.all(Array.from({ length: few }, (_, index) => node(nodes.length + index)))));
  }
  await sleep(settleSeconds * 1_000);
  return nodes;
}

const cpuOfTree = (pid: number): number => treeOf(pid).reduce((sum, one) => sum + cpuSecondsOf(one), 0);

export async function growth(bench: Bench, wants: (name: string) => boolean): Promise<readonly Row[]> {
  const rows: Row[] = [];
  if (wants('nodes-on-one-core')) rows.push(await nodesOnOneCore(bench));
  if (wants('growth')) {
    for (const count of bench.quick ? [1, 3] : [1, 3, 5, 10, 20]) rows.push(await costOf(bench, count));
  }
  return rows;
}

async function costOf(bench: Bench, count: number): Promise<Row> {
  const postgres = await bench.postgres();
  const nodes = await startNodes(bench, count, undefined);
  try {
    const idleSeconds = bench.quick ? 4 : 10;
    const before = { database: cpuOfTree(postgres.pid), nodes: nodes.map(({ pid }) => cpuOfTree(pid)) };
    await sleep(idleSeconds * 1_000);
    const databaseShare = ((cpuOfTree(postgres.pid) - before.database) / idleSeconds) * 100;
    const shares = nodes.map(({ pid }, index) => ((cpuOfTree(pid) - (before.nodes[index] ?? 0)) / idleSeconds) * 100);
    const resident = nodes.map((node) => node.residentMib());
    const receipts = await revoke(bench, nodes);
    return {
      workload: `${count} node${count === 1 ? '' : 's'}`,
      ours: `p50 ${format(receipts.latency.p50)} ms`,
      ...{ limit: '', ratio: undefined, bar: undefined },
      note: [
        `logout until all confirmed: p99 ${format(receipts.latency.p99)} ms, everywhere ${receipts.everywhere} of ${receipts.revoked}`,
        `idle: PostgreSQL ${format(databaseShare)} % of a core, a node ${format(median(shares))} %`,
        `${format(median(resident))} MiB a node`,
        `${bytesOf(count)} bytes of messages a logout`,
      ].join('; '),
      raw: { receipts, databaseShare, shares, resident },
    };
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

/** What is sent for one logout: to each other node the entry, from each its word, in a frame and a record of TLS. */
function bytesOf(count: number): number {
  const transaction = { xid: '1000000', storeEpoch: `${randomUUID()}/00000001/${Date.now() / 1_000}` };
  const entry = { kind: 'session', subject: randomUUID(), min_epoch: 0, expires_at: 2_000_000_000 } as const;
  const texts = [writeNews(transaction, [entry]), writeMessage({ kind: 'acknowledgement', ...transaction })];
  const frameAndRecord = 2 + 22;
  return (count - 1) * texts.reduce((sum, text) => sum + text.length + frameAndRecord, 0);
}

interface Receipts {
  readonly latency: JobResult['latencyMs'];
  readonly revoked: number;
  readonly everywhere: number;
}

/** Logouts at one node, four at a time. */
async function revoke(bench: Bench, nodes: readonly RunningService[]): Promise<Receipts> {
  const [first] = nodes;
  if (first === undefined) throw new Error('a cluster has a node');
  const people = newPeople(4);
  await register(bench, first, people);
  const sessions = await logIn(bench, first, people, bench.quick ? 100 : 400);
  const result = await bench.load({
    ...{ port: first.port, connections: 4, seconds: 120, warmUpSeconds: 0, collect: true },
    traffic: { kind: 'once', requests: sessions.map((session) => requests.logout(session.accessToken)) },
  });
  const everywhere = result.bodies.filter((body) => body.includes('"effective_everywhere":true')).length;
  return { latency: result.latencyMs, revoked: result.bodies.length, everywhere };
}

/** One node alone on a core, and three that share it, in turn. */
async function nodesOnOneCore(bench: Bench): Promise<Row> {
  const [alone, together] = [await startNodes(bench, 1, serverCore), await startNodes(bench, 3, serverCore)];
  try {
    const one = await validators(bench, alone);
    const three = await validators(bench, together);
    await one();
    await three();
    const seen = await interleave(bench.rounds, { three, one });
    const ratio = ratioOf(seen.three, seen.one);
    return {
      workload: 'validate, three nodes on one core',
      ours: perSecond(median(seen.three)),
      limit: `one node there ${perSecond(median(seen.one))}`,
      ratio,
      bar: atLeast(ratio, 0.9),
      note: 'per second of the core, 48 clients in all',
      raw: seen,
    };
  } finally {
    await Promise.all([...alone, ...together].map((node) => node.stop()));
  }
}

/** Answers a second of the nodes' processor time, all nodes at once, a generator each. */
async function validators(bench: Bench, nodes: readonly RunningService[]): Promise<() => Promise<number>> {
  const jobs: { readonly ask: (job: Job) => Promise<JobResult>; readonly job: Job }[] = [];
  for (const node of nodes) {
    const [session] = await register(bench, node, newPeople(1));
    const peer = bench.peer('generator.ts', { core: generatorCore });
    jobs.push({
      ask: async (job) => {
        const answer = await peer.ask<{ result?: JobResult; failure?: string }>(job);
        if (answer.result === undefined) throw new Error(`the generator failed: ${answer.failure}`);
        return answer.result;
      },
      job: {
        ...{ port: node.port, serverPid: node.pid, connections: 48 / nodes.length },
        ...{ seconds: bench.quick ? 1 : 2, warmUpSeconds: 0.5 },
        traffic: { kind: 'cycle', requests: [requests.validate(session?.accessToken ?? '')] },
      },
    });
  }
  return async () => {
    const results = await Promise.all(jobs.map(({ ask, job }) => ask(job)));
    const answers = results.reduce((sum, one) => sum + one.answers, 0);
    return answers / results.reduce((sum, one) => sum + one.serverCpuSeconds, 0);
  };
}
