/**
 * The session stores beside each other, in one run: `node tools/bench/session-stores.ts`.
 *
 * Rotations a second of rows in PostgreSQL (fsync on), of Redis alone, and of Redis with a replica that each answer waits for
 * (append-only file, written each second); and what a rotation costs PostgreSQL in each of them. The rounds take turns, so that what else the machine does meets all of them alike.
 */
import { openPostgres } from '../../packages/server/src/platform/database/index.ts';
import { play } from '../../packages/server/src/sessions/session-store.contract.ts';
import { createPostgresSessionStore } from '../../packages/server/src/sessions/session-store.postgres.ts';
import { startPostgres } from '../../tests/support/postgres.ts';
import { startRedis, type TestRedis } from '../../tests/support/redis.ts';
import { addressOf, openSessionStore } from '../../tests/support/session-stores.ts';
import { cpuSecondsOf, treeOf } from './lib/processes.ts';

const clients = 64;
const users = 400;
const sessionsOfUser = 5;
const rounds = 3;
const roundMs = 1_000;
const limits = { idleTtlSeconds: 600, maxAgeSeconds: 3_600, maxPerUser: 100 };

type Played = ReturnType<typeof play>;
/** Of PostgreSQL. */
interface Cost {
  cpuSeconds: number;
  walBytes: number;
}
interface Turning {
  readonly user: string;
  readonly id: string;
  counter: number;
}

const closing: (() => Promise<unknown>)[] = [];
try {
  await measure();
} finally {
  for (const close of closing.toReversed()) await close();
}

async function measure(): Promise<void> {
  const server = await startPostgres();
  closing.push(() => server.stop());
  const url = await server.createDatabase();
  const db = await openPostgres({ connection: url });
  closing.push(() => db.close());
  const alone = await redisServer({});
  const master = await redisServer({});
  await redisServer({ replicaof: `127.0.0.1 ${master.port}` });
  for (let seen = ''; !seen.includes('state=online'); ) seen = await master.command('INFO', 'replication');

  const stores: { name: string; played: Played; bytes: () => Promise<number> }[] = [];
  const size = async (): Promise<number> => {
    const [row] = await server.query("select pg_total_relation_size('sessions') as bytes", url);
    return Number(row?.['bytes']);
  };
  stores.push({
    name: 'PostgreSQL',
    played: play({ db, store: createPostgresSessionStore({ db, limits }) }),
    bytes: size,
  });
  for (const [name, redis] of [
    ['Redis', alone],
    ['Redis, a replica waited for', master],
  ] as const) {
    const { store, redis: client } = await openSessionStore({ address: addressOf(redis), db, limits });
    closing.push(() => client.close());
    const used = async (): Promise<number> =>
      Number(/used_memory_dataset:(\d+)/.exec(await redis.command('INFO', 'memory'))?.[1]);
    stores.push({ name, played: play({ db, store }), bytes: used });
  }

  const costSoFar = async (): Promise<Cost> => {
    const [row] = await server.query("select pg_current_wal_lsn() - '0/0' as bytes");
    const cpuSeconds = treeOf(server.pid).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
    return { cpuSeconds, walBytes: Number(row?.['bytes']) };
  };
  const lanes: { name: string; played: Played; sessions: Turning[]; each: number; rates: number[]; cost: Cost }[] = [];
  for (const { name, played, bytes } of stores) {
    const before = await bytes();
    const sessions: Turning[] = [];
    for (let made = 0; made < users; made += 20) {
      const owners = await Promise.all(Array.from({ length: 20 }, () => played.newUser()));
      for (let n = 0; n < sessionsOfUser; n += 1) {
        const begun = await Promise.all(owners.map((user) => played.begin(user)));
        sessions.push(...begun.map(({ id }, index) => ({ user: owners[index] ?? '', id, counter: 0 })));
      }
    }
    const each = ((await bytes()) - before) / sessions.length;
    lanes.push({ name, played, sessions, each, rates: [], cost: { cpuSeconds: 0, walBytes: 0 } });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const lane of lanes) {
      const before = await costSoFar();
      lane.rates.push(await rotationsPerSecond(lane.played, lane.sessions));
      const after = await costSoFar();
      lane.cost.cpuSeconds += after.cpuSeconds - before.cpuSeconds;
      lane.cost.walBytes += after.walBytes - before.walBytes;
    }
  }
  console.log(
    `${clients} clients, ${users * sessionsOfUser} sessions, median of ${rounds} rounds of ${roundMs / 1_000} s`,
  );
  for (const { name, rates, each, sessions, cost } of lanes) {
    const all = sessions.reduce((sum, { counter }) => sum + counter, 0);
    const sorted = rates.toSorted((a, b) => a - b);
    const [least, median, most] = [sorted[0], sorted[Math.floor(rounds / 2)], sorted.at(-1)].map((rate) =>
      Math.round(rate ?? 0),
    );
    console.log(`${name.padEnd(30)} ${median} rotations/s (${least} to ${most}), ${Math.round(each)} bytes a session`);
    const [cpu, wal] = [(cost.cpuSeconds / all) * 1e6, cost.walBytes / all].map(Math.round);
    console.log(`${''.padEnd(30)} of PostgreSQL: ${cpu} µs of a core and ${wal} bytes of its log a rotation`);
  }
}

async function redisServer(settings: Readonly<Record<string, string>>): Promise<TestRedis> {
  const server = await startRedis({ settings: { 'repl-diskless-sync-delay': '0', ...settings } });
  closing.push(() => server.stop());
  return server;
}

async function rotationsPerSecond({ rotate }: Played, sessions: readonly Turning[]): Promise<number> {
  const began = performance.now();
  let count = 0;
  const lane = async (offset: number): Promise<void> => {
    for (let at = offset; performance.now() - began < roundMs; at += clients) {
      const session = sessions[at % sessions.length];
      if (session === undefined) return;
      const rotation = await rotate(session.user, session.id, session.counter);
      if (rotation.kind === 'gone') throw new Error('a session was lost');
      session.counter = rotation.session.counter;
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, offset) => lane(offset)));
  return count / ((performance.now() - began) / 1_000);
}
