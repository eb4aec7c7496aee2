/**
 * What the whole machine gives: register and login at the configured cost beside the hash alone, the mixed traffic of a day, and
 * what a login flood does to validation. The service is pinned nowhere; the generator's core is also the service's.
 */
import { type Bench, interleave, median, ratioOf } from '../lib/bench.ts';
import type { Job, JobResult } from '../lib/jobs.ts';
import { logIn, newPeople, type Person, register, type Session } from '../lib/people.ts';
import { atLeast, atMost, format, perSecond, type Row } from '../lib/report.ts';
import { type RunningService, startService } from '../lib/service.ts';
import { requests } from '../lib/traffic.ts';

/** The service's default. */
const bcryptCost = 12;
const personCount = 24;
const validatesPerSecond = 500;
const percent = { validate: 90, refresh: 5, login: 3 } as const;

interface Setting {
  readonly bench: Bench;
  readonly service: RunningService;
  readonly people: readonly Person[];
  readonly sessions: readonly Session[];
  readonly loginRequests: readonly string[];
  /** Hashes a second, by the last round that measured them. */
  hashesPerSecond: number;
}

export async function allCores(bench: Bench, wants: (name: string) => boolean): Promise<readonly Row[]> {
  const names = ['register', 'login', 'mixed', 'flood'];
  if (!names.some(wants)) return [];
  const databaseUrl = await (await bench.postgres()).createDatabase();
  const service = await startService({ folder: bench.folder, core: undefined, databaseUrl });
  try {
    const people = newPeople(personCount);
    const sessions = await register(bench, service, people);
    const loginRequests = people.map((person) => requests.login(person.email, person.password));
    const setting: Setting = { bench, service, people, sessions, loginRequests, hashesPerSecond: Number.NaN };
    const rows: Row[] = [];
    if (wants('login') || wants('register') || wants('mixed')) rows.push(...(await hashing(setting, wants)));
    if (wants('mixed')) rows.push(await mixed(setting));
    if (wants('flood')) rows.push(...(await flood(setting)));
    return rows;
  } finally {
    await service.stop();
  }
}

async function hashing(setting: Setting, wants: (name: string) => boolean): Promise<readonly Row[]> {
  const { bench, service, loginRequests } = setting;
  const seconds = bench.quick ? 4 : 6;
  const bare = bench.peer('bare-crypto.ts', { core: undefined });
  const closed = { port: service.port, serverPid: service.pid, connections: 8, seconds, warmUpSeconds: 0.5 } as const;
  const logins: JobResult[] = [];
  const registrations: JobResult[] = [];
  const loginRound = async (): Promise<number> => {
    logins.push(await bench.load({ ...closed, traffic: { kind: 'cycle', requests: loginRequests } }));
    return logins.at(-1)?.steadyRate ?? 0;
  };
  const registerRound = async (): Promise<number> => {
    const texts = newPeople(seconds * 60).map((person) => requests.register(person.email, person.password));
    registrations.push(await bench.load({ ...closed, traffic: { kind: 'once', requests: texts } }, [201]));
    return registrations.at(-1)?.steadyRate ?? 0;
  };
  const rounds = await interleave(bench.quick ? 2 : 4, {
    hash: async () =>
      (await bare.ask<{ perSecond: number }>({ kind: 'hash', seconds: seconds + 0.5, cost: bcryptCost })).perSecond,
    login: loginRound,
    register: wants('register') ? registerRound : () => Promise.resolve(Number.NaN),
  });
  await bare.stop();
  setting.hashesPerSecond = median(rounds.hash);
  const limit = `bcrypt ${bcryptCost} alone ${perSecond(setting.hashesPerSecond)}`;
  const row = (workload: string, side: readonly number[], seen: readonly JobResult[], isBar: boolean): Row => {
    const ratio = ratioOf(side, rounds.hash);
    const p50 = format(median(seen.map((one) => one.latencyMs.p50)));
    return {
      ...{ workload, ours: perSecond(median(side)), limit, ratio },
      bar: isBar ? atLeast(ratio, 0.95) : undefined,
      note: `8 clients on all cores, p50 ${p50} ms`,
      raw: { rounds: side, hash: rounds.hash, seen },
    };
  };
  return [
    ...(wants('register') ? [row('register', rounds.register, registrations, false)] : []),
    row('login', rounds.login, logins, true),
  ];
}

async function mixed(setting: Setting): Promise<Row> {
  const { bench, service, people, loginRequests, hashesPerSecond } = setting;
  const sessions = await logIn(bench, service, people, personCount);
  const result = await bench.load({
    ...{ port: service.port, serverPid: service.pid, connections: personCount },
    ...{ seconds: bench.quick ? 5 : 10, warmUpSeconds: 1 },
    traffic: {
      ...{ kind: 'mixed', percent, logins: loginRequests },
      validates: setting.sessions.map((session) => requests.validate(session.accessToken)),
      tokens: sessions.map((session) => session.refreshToken),
    },
  });
  const limit = hashesPerSecond / (percent.login / 100);
  const rate = result.answers / result.seconds;
  return {
    workload: 'mixed 90/5/3/2',
    ours: perSecond(rate),
    limit: `hash alone at 3 % ${perSecond(limit)}`,
    ratio: rate / limit,
    bar: undefined,
    note: `validate/refresh/login/logout, ${personCount} clients, p50 ${format(result.latencyMs.p50)} ms; the logins' hashes bound it`,
    raw: { result },
  };
}

async function flood({ bench, service, sessions, loginRequests }: Setting): Promise<readonly Row[]> {
  const seconds = bench.quick ? 4 : 6;
  const paced: Job = {
    ...{ port: service.port, connections: 32, rate: validatesPerSecond, seconds, warmUpSeconds: 0.5 },
    traffic: { kind: 'cycle', requests: sessions.map((session) => requests.validate(session.accessToken)) },
  };
  const idle: JobResult[] = [];
  const flooded: JobResult[] = [];
  const logins: JobResult[] = [];
  const rounds = await interleave(bench.quick ? 2 : 4, {
    idle: async () => {
      const result = await bench.load(paced);
      idle.push(result);
      return result.latencyMs.p99;
    },
    flooded: async () => {
      const beside = bench.loadBeside({
        ...{ port: service.port, connections: 32, seconds: seconds + 1.5, warmUpSeconds: 0 },
        traffic: { kind: 'cycle', requests: loginRequests },
      });
      await new Promise((done) => setTimeout(done, 700));
      const result = await bench.load(paced);
      logins.push(await beside);
      flooded.push(result);
      return result.latencyMs.p99;
    },
  });
  const ratio = ratioOf(rounds.flooded, rounds.idle);
  const ms = (value: number): string => `${format(value)} ms`;
  const p50 = (seen: readonly JobResult[]): string => ms(median(seen.map((one) => one.latencyMs.p50)));
  return [
    {
      workload: 'validate p99 in a login flood',
      ours: ms(median(rounds.flooded)),
      limit: `idle ${ms(median(rounds.idle))}`,
      ratio,
      bar: atMost(ratio, 3),
      note: `${validatesPerSecond} validations/s beside 32 clients that log in; p50 ${p50(flooded)}, idle ${p50(idle)}`,
      raw: { rounds, idle, flooded, logins },
    },
    {
      ...{
        workload: 'memory, PostgreSQL, after a login flood',
        ours: `${format(service.residentMib())} MiB`,
        limit: '',
      },
      ...{ ratio: undefined, bar: undefined, note: 'resident, with the hashing threads', raw: {} },
    },
  ];
}
