/**
 * The experiments: what is done to the bed while the standard load runs, and what must be true of it beyond the checker's
 * rules. Ids are those of the project's list of faults. Each resolves when its fault has ended; recovery is watched after that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bed, BedOptions, Shape } from './bed/bed.ts';
import type { NodeMachine } from './bed/nodes.ts';
import type { RedisCluster } from './bed/redis.ts';
import type { LinkQuality } from './bed/slow-links.ts';
import { quantiles } from './checker.ts';
import type { Client } from './client.ts';
import { exhaustConnections, fillDisk, floodLogins } from './harm.ts';
import type { Call } from './history.ts';
import type { Load, Rates } from './load.ts';

export interface Context {
  readonly bed: Bed;
  readonly load: Load;
  readonly clients: readonly Client[];
  /** A figure of this experiment alone, for the report. */
  note(text: string): void;
  /** A promise of this experiment alone: a violation when it does not hold. */
  demand(holds: boolean, text: string): void;
  /** Answers of an operation sent since then. */
  since(ms: number, op: Call['op'], node?: string): readonly Call[];
}

export interface Experiment {
  readonly id: string;
  readonly title: string;
  /** Least that must tie the nodes together for the fault to be one. */
  readonly needs?: 'mesh' | 'redis';
  readonly bed?: Partial<Pick<BedOptions, 'clock' | 'slowLinks' | 'env' | 'staleness'>>;
  readonly rates?: Partial<Rates>;
  /** Sessions of each user at the start; more where many are to be revoked. */
  readonly sessionsEach?: number;
  run(context: Context): Promise<void>;
}

export const fits = (experiment: Experiment, shape: Shape): boolean =>
  experiment.needs === undefined || shape.startsWith('redis') || shape === experiment.needs;

const seconds = (count: number): Promise<void> => sleep(count * 1_000);

function redisOf({ bed }: Context): RedisCluster {
  if (bed.redis === undefined) throw new Error('this experiment needs Redis');
  return bed.redis;
}

/** Every link of a node but the one to its clients. */
function othersOf(bed: Bed, node: NodeMachine): readonly Bed['postgresHost'][] {
  return [bed.postgresHost, ...(bed.redis?.hosts ?? []), ...bed.nodes.map((one) => one.host)].filter(
    (host) => host !== node.host,
  );
}

const cutNode =
  (from: 'database' | 'redis' | 'nodes', how: 'drop' | 'reject', forSeconds: number) =>
  async (context: Context): Promise<void> => {
    const { bed } = context;
    const [, n2] = bed.nodes;
    const others = {
      database: () => [bed.postgresHost],
      redis: () => redisOf(context).hosts,
      nodes: () => bed.nodes.map((one) => one.host).filter((host) => host !== n2.host),
    }[from]();
    const began = performance.now();
    for (const other of others) bed.network.cutBoth(n2.host, other, how);
    await seconds(forSeconds);
    if (from === 'database') {
      const first = context.since(began, 'login', n2.name).find((call) => call.status === 503);
      if (first !== undefined) context.note(`first login refused ${Math.round(first.endMs - began)} ms after the cut`);
    } else {
      const bad = context.since(began, 'validate').filter((call) => !call.good);
      context.demand(bad.length === 0, `every validation succeeds meanwhile; ${bad.length} did not`);
    }
    bed.network.heal();
  };

const slowFor =
  (quality: LinkQuality, forSeconds: number) =>
  async ({ bed, since, note }: Context): Promise<void> => {
    const began = performance.now();
    bed.slow?.set(quality);
    await seconds(forSeconds);
    bed.slow?.set({ delayMs: 0, stalled: 0 });
    for (const op of ['validate', 'refresh', 'logout'] as const) {
      const calls = since(began, op);
      note(`${op}: ${calls.filter((call) => call.good).length} of ${calls.length} good`);
    }
  };

export const experiments: readonly Experiment[] = [
  {
    id: 'F-00',
    title: 'no fault',
    async run(context) {
      const began = performance.now();
      await seconds(12);
      const bad = (['validate', 'refresh', 'login', 'logout'] as const)
        .flatMap((op) => context.since(began, op))
        .filter((call) => !call.good);
      context.demand(bad.length === 0, `every request succeeds; ${bad.length} did not`);
    },
  },
  {
    id: 'F-01',
    title: 'a node killed (`kill -9`) and started again, three times',
    async run({ bed }) {
      for (const node of bed.nodes) {
        await node.kill9();
        await seconds(2);
        await node.start();
        await seconds(1);
      }
    },
  },
  {
    id: 'F-02',
    title: 'all nodes killed at once, then started together',
    async run({ bed, note }) {
      await Promise.all(bed.nodes.map((node) => node.kill9()));
      await seconds(1);
      const began = performance.now();
      await Promise.all(bed.nodes.map((node) => node.start()));
      note(`all ready ${Math.round(performance.now() - began)} ms after the start`);
    },
  },
  {
    id: 'F-03',
    title: 'a node frozen (`SIGSTOP`) for 9 s, longer than every lease',
    async run({ bed, since, demand }) {
      const [, n2] = bed.nodes;
      n2.freeze();
      const frozen = performance.now();
      await seconds(9);
      n2.thaw();
      const stuck = since(frozen, 'validate').filter((call) => !call.good && call.node !== n2.name);
      demand(stuck.length === 0, `the other nodes validate as always; ${stuck.length} did not`);
    },
  },
  {
    id: 'F-06',
    title: 'PostgreSQL killed (`kill -9`), away for 8 s',
    async run({ bed, since, demand, note }) {
      const began = performance.now();
      await bed.postgres.kill9();
      await seconds(8);
      const within = since(began, 'validate').filter(
        (call) => call.sentMs < began + (bed.options.staleness - 1.5) * 1_000,
      );
      const bad = within.filter((call) => !call.good);
      demand(bad.length === 0, `validation goes on for the staleness bound; ${bad.length} of ${within.length} did not`);
      const back = performance.now();
      await bed.postgres.restart();
      note(`the database needed ${Math.round(performance.now() - back)} ms to start`);
    },
  },
  { id: 'F-10a', title: 'a node cut from PostgreSQL, packets dropped, 8 s', run: cutNode('database', 'drop', 8) },
  { id: 'F-10b', title: 'a node cut from PostgreSQL, packets rejected, 8 s', run: cutNode('database', 'reject', 8) },
  { id: 'F-10c', title: 'a node cut from the other nodes, 8 s', needs: 'mesh', run: cutNode('nodes', 'drop', 8) },
  {
    id: 'F-10d',
    title: 'a node cut from the other nodes, packets rejected, 8 s',
    needs: 'mesh',
    run: cutNode('nodes', 'reject', 8),
  },
  {
    id: 'F-10e',
    title: 'a node cut from Redis, packets dropped, 8 s',
    needs: 'redis',
    run: cutNode('redis', 'drop', 8),
  },
  {
    id: 'F-10f',
    title: 'a node cut from Redis, packets rejected, 8 s',
    needs: 'redis',
    run: cutNode('redis', 'reject', 8),
  },
  {
    id: 'F-11a',
    title: 'one-way partitions: from a node to PostgreSQL, then back, 6 s each; the same between two nodes',
    async run({ bed }) {
      const [n1, n2] = bed.nodes;
      for (const [from, to] of [
        [n2.host, bed.postgresHost],
        [bed.postgresHost, n2.host],
        [n1.host, n2.host],
        [n2.host, n1.host],
      ] as const) {
        bed.network.cut(from, to, 'drop');
        await seconds(6);
        bed.network.heal();
      }
    },
  },
  {
    id: 'F-11b',
    title: 'a flapping link: a node away from everything for 1 s, there for 1 s, twelve times',
    async run({ bed }) {
      const [, n2] = bed.nodes;
      for (let turn = 0; turn < 12; turn += 1) {
        for (const other of othersOf(bed, n2)) bed.network.cutBoth(n2.host, other, 'drop');
        await seconds(1);
        bed.network.heal();
        await seconds(1);
      }
    },
  },
  {
    id: 'F-12',
    title: 'a node isolated (link down) for 12 s during 200 revocations elsewhere',
    sessionsEach: 11,
    rates: { logout: 0 },
    async run({ bed, load, note, demand }) {
      const [n1, n2, n3] = bed.nodes;
      const before = load.revocations.length;
      const looks = load.verifications.length;
      bed.network.link(n2.host, 'down');
      const end = performance.now() + 12_000;
      const revoking: Promise<void>[] = [];
      for (let at = 0; at < 200; at += 1) {
        revoking.push(load.revokeAt(at % 2 === 0 ? n1.name : n3.name));
        await sleep(40);
      }
      await sleep(end - performance.now());
      const accepted = load.verifications.slice(looks).filter((one) => one.valid && one.node === n2.name).length;
      bed.network.link(n2.host, 'up');
      await Promise.all(revoking);
      const done = load.revocations.length - before;
      note(`${done} revocations; the isolated node still accepted ${accepted} times, within the bound`);
      demand(done >= 180, `the others go on revoking: ${done} of 200 were acknowledged`);
    },
  },
  {
    id: 'F-13',
    title: 'slow and lossy links: 200 ms a round trip, 5 % of the pieces 200 ms to 1 s late, 15 s',
    bed: { slowLinks: true },
    run: slowFor({ delayMs: 100, stalled: 0.05 }, 15),
  },
  {
    id: 'F-13b',
    title: 'slow links: 50 ms a round trip, 1 % of the pieces 200 ms to 1 s late, 15 s',
    bed: { slowLinks: true },
    run: slowFor({ delayMs: 25, stalled: 0.01 }, 15),
  },
  {
    id: 'F-14',
    title: 'the disk of PostgreSQL full for 10 s',
    async run({ bed, since, note }) {
      const began = performance.now();
      const empty = fillDisk(bed.dataDisk);
      await seconds(10);
      empty();
      const refused = since(began, 'login').filter((call) => call.status === 503).length;
      note(`${refused} logins refused meanwhile`);
    },
  },
  {
    id: 'F-17',
    title: 'the wall clock of a node 1 h ahead for 6 s, then 1 h behind for 6 s',
    bed: { clock: true },
    async run({ bed }) {
      const [, n2] = bed.nodes;
      for (const offset of [3_600, -3_600]) {
        n2.setClock(offset);
        await seconds(6);
      }
      n2.setClock(0);
      // The faked clock reads its setting once a second.
      await seconds(1);
    },
  },
  {
    id: 'F-19',
    title: 'no connection of PostgreSQL left, and those of the nodes ended again and again, for 6 s',
    async run({ bed, since, note, demand }) {
      const began = performance.now();
      const taken = await exhaustConnections(bed.postgres);
      await seconds(6);
      note(`${taken.held()} connections held by somebody else`);
      await taken.release();
      const refused = (['login', 'refresh', 'logout'] as const)
        .flatMap((op) => since(began, op))
        .filter((call) => call.status === 503);
      note(`${refused.length} logins, refreshes and logouts refused`);
      demand(refused.length > 0, 'the fault is felt');
    },
  },
  {
    id: 'F-25',
    title: 'a login flood (100/s, half of them wrong) for 12 s, a node killed and started meanwhile',
    bed: { env: { BCRYPT_COST: '8' } },
    async run({ bed, load, clients, since, note, demand }) {
      const began = performance.now();
      const flood = floodLogins(clients, load.users.slice(0, 5), 100);
      await seconds(4);
      await bed.nodes[2].kill9();
      await seconds(2);
      await bed.nodes[2].start();
      await seconds(4);
      const answers = await flood.stop();
      note(`answers to the flood: ${[...answers].map(([answer, count]) => `${answer} ${count}`).join(', ')}`);
      const odd = [...answers.keys()].filter(
        (answer) => /^\d/.test(answer) && !['200', '401', '429', '503'].includes(answer),
      );
      demand(odd.length === 0, `the flood is answered 200, 401, 429 or 503; there were ${odd.join(', ')}`);
      const { p50, p99 } = quantiles(
        since(began, 'validate')
          .filter((call) => call.good)
          .map((call) => call.endMs - call.sentMs),
      );
      note(`validations meanwhile: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, generator on the same cores`);
      const refused = since(began, 'validate').filter((call) => call.status === 503).length;
      demand(refused === 0, `no validation is refused for the flood; ${refused} were`);
    },
  },
  {
    id: 'F-29',
    title: 'connections of a node to PostgreSQL silently forgotten by a middlebox',
    async run({ bed, note }) {
      const [, n2] = bed.nodes;
      const lost = bed.network.forget(n2.host, bed.postgresHost);
      note(`${lost} connections went silent`);
      await seconds(6);
    },
  },
  {
    id: 'F-35',
    title: 'SIGTERM to each node in turn under load, and a new start',
    async run({ bed, demand, note }) {
      for (const node of bed.nodes) {
        const began = performance.now();
        const code = await node.terminate();
        note(`${node.name} ended after ${Math.round(performance.now() - began)} ms`);
        demand(code === 0, `${node.name} ends with 0; it was ${code}`);
        await node.start();
      }
    },
  },
  {
    id: 'F-40',
    title: 'every link of every node cut for 1.5 s, half the staleness bound: a validation does no I/O',
    async run({ bed, since, demand }) {
      const began = performance.now();
      for (const node of bed.nodes) for (const other of othersOf(bed, node)) bed.network.cut(other, node.host, 'drop');
      await seconds(1.5);
      bed.network.heal();
      const calls = since(began, 'validate');
      const bad = calls.filter((call) => !call.good);
      demand(
        calls.length > 30 && bad.length === 0,
        `every validation succeeds: ${bad.length} of ${calls.length} did not`,
      );
    },
  },
  {
    id: 'F-04',
    title: 'each Redis master killed (`kill -9`) in turn',
    needs: 'redis',
    async run(context) {
      const redis = redisOf(context);
      for (let turn = 0; turn < 2; turn += 1) {
        const [master] = redis.masters();
        if (master === undefined) throw new Error('Redis has no master');
        await redis.kill(master);
        await seconds(7);
        await redis.start();
      }
    },
  },
  {
    id: 'F-05',
    title: 'all of Redis killed for 8 s, back with nothing in it',
    needs: 'redis',
    async run(context) {
      const redis = redisOf(context);
      const began = performance.now();
      await Promise.all(redis.hosts.map((host) => redis.kill(host)));
      await seconds(8);
      const bad = context.since(began, 'validate').filter((call) => !call.good);
      context.demand(bad.length === 0, `every validation succeeds meanwhile; ${bad.length} did not`);
      if (context.bed.options.shape === 'redis-sessions') context.load.sessionsWiped();
      await redis.start({ wiped: true });
    },
  },
  {
    id: 'F-08',
    title: 'a Redis master frozen for 10 s; it wakes as the old master',
    needs: 'redis',
    async run(context) {
      const redis = redisOf(context);
      const [master] = redis.masters();
      if (master === undefined) throw new Error('Redis has no master');
      redis.signal(master, 'SIGSTOP');
      await seconds(10);
      redis.signal(master, 'SIGCONT');
      await seconds(1);
    },
  },
  {
    id: 'F-09',
    title: 'a node and one Redis master on the minority side for 8 s',
    needs: 'redis',
    async run(context) {
      const redis = redisOf(context);
      const { bed } = context;
      const [, n2] = bed.nodes;
      const [master] = redis.masters();
      if (master === undefined) throw new Error('Redis has no master');
      for (const inside of [n2.host, master]) {
        for (const outside of othersOf(bed, n2)) if (outside !== master) bed.network.cutBoth(inside, outside, 'drop');
      }
      await seconds(8);
      bed.network.heal();
    },
  },
  {
    id: 'F-41',
    title: 'no Redis and no way between the nodes, 10 s: the 50 ms beat alone',
    needs: 'mesh',
    async run({ bed, load, note, demand }) {
      for (const node of bed.nodes) {
        for (const other of othersOf(bed, node))
          if (other !== bed.postgresHost) bed.network.cut(other, node.host, 'drop');
      }
      await seconds(2);
      const before = load.revocations.length;
      await seconds(8);
      const receipts = load.revocations.slice(before).map((one) => one.answeredMs - one.sentMs);
      bed.network.heal();
      const worst = Math.max(0, ...receipts);
      note(`${receipts.length} receipts, the slowest after ${Math.round(worst)} ms`);
      demand(
        receipts.length > 10 && worst <= 1_200,
        `receipts come within 1.2 s; the slowest took ${Math.round(worst)} ms`,
      );
    },
  },
];
