/**
 * What one core gives: validate, refresh and logout, the server pinned to one core and the generator to another. Passwords are
 * hashed with argon2id here, because the workloads need many sessions and measure none of the hashing.
 */
import { request as httpRequest } from 'node:http';
import { type Bench, compare, interleave, median, ratioOf, serverCore } from '../lib/bench.ts';
import type { JobResult, Traffic } from '../lib/jobs.ts';
import { logIn, newPeople, type Person, readSession, register, type Session } from '../lib/people.ts';
import type { Peer } from '../lib/processes.ts';
import { atLeast, format, perSecond, type Row } from '../lib/report.ts';
import { type RunningService, startService } from '../lib/service.ts';
import { requests } from '../lib/traffic.ts';

const sessionCount = 64;
const distinctTokens = 10_000;
const connections = 32;
/** The service's default for its pool. */
const databaseConnections = 10;

interface Setting {
  readonly bench: Bench;
  readonly service: RunningService;
  readonly databaseUrl: string;
  readonly people: readonly Person[];
  readonly sessions: readonly Session[];
}

export async function oneCore(bench: Bench, wants: (name: string) => boolean): Promise<readonly Row[]> {
  const names = ['validate', 'validate-10k', 'refresh', 'logout', 'memory'];
  if (!names.some(wants)) return [];
  const databaseUrl = await (await bench.postgres()).createDatabase();
  const service = await startService({
    folder: bench.folder,
    core: serverCore,
    databaseUrl,
    settings: { PASSWORD_HASH: 'argon2id' },
  });
  try {
    const people = newPeople(sessionCount);
    const setting = { bench, service, databaseUrl, people, sessions: await register(bench, service, people) };
    const rows: Row[] = [];
    if (wants('validate')) rows.push(await validateSame(setting));
    if (wants('validate-10k')) rows.push(await validateDistinct(setting));
    if (wants('refresh')) rows.push(...(await refresh(setting)));
    if (wants('logout')) rows.push(await logout(setting));
    if (wants('memory')) {
      const mib = service.residentMib();
      rows.push({
        ...{ workload: 'memory, PostgreSQL, after load', ours: `${format(mib)} MiB`, limit: '' },
        ...{ ratio: undefined, bar: undefined, note: 'resident, all processes of the service', raw: { mib } },
      });
    }
    return rows;
  } finally {
    await service.stop();
  }
}

interface Side {
  readonly port: number;
  readonly pid: number;
}

async function compareWithBare(
  setting: Setting,
  workload: string,
  traffic: Extract<Traffic, { kind: 'cycle' }>,
): Promise<Row> {
  const { bench, service, sessions } = setting;
  const bare = bench.peer('bare-http.ts', { core: serverCore });
  const { port } = await bare.ask<{ port: number }>(await answerOf(service.port, sessions[0]?.accessToken ?? ''));
  // Warm: each token has been verified once, and code is compiled.
  await bench.load({
    port: service.port,
    traffic: { ...traffic, kind: 'once' },
    connections,
    seconds: 60,
    warmUpSeconds: 0,
  });
  const alone = await bench.load({ port: service.port, traffic, connections, seconds: 2, warmUpSeconds: 1 });
  await bench.load({ port, traffic, connections, seconds: 2, warmUpSeconds: 0 });
  const { requests: asked } = traffic;
  const seen = await bench.alternate({
    ours: service,
    bare: { port, pid: bare.pid },
    requests: asked,
    connections,
    batch: 2_500,
  });
  await bare.stop();
  const { ours, bare: limit, ratio, byClock, quartiles, busy } = compare(seen);
  return {
    workload,
    ours: perSecond(ours),
    limit: `bare node:http ${perSecond(limit)}`,
    ratio,
    bar: atLeast(ratio, 0.8),
    note:
      `per second of the core; ${seen.ours.length} pairs, half of them ${quartiles.map((one) => one.toFixed(2)).join(' to ')}; ` +
      `by the clock ${byClock.toFixed(2)} with the core ${Math.round(busy * 100)} % busy, p99 ${format(alone.latencyMs.p99)} ms`,
    raw: { ...seen },
  };
}

const rateOf = (result: JobResult): number => result.answers / result.seconds;

/** The service's own answer, for the bare server to send: the same headers in the same order, and the same body. */
function answerOf(port: number, token: string): Promise<{ headers: readonly string[]; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json' };
    const options = {
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: '/api/auth/validate-token',
      headers,
      agent: false,
    };
    const asked = httpRequest(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => {
        const own: string[] = [];
        for (let at = 0; at < response.rawHeaders.length; at += 2) {
          const name = response.rawHeaders[at] ?? '';
          // These Node writes by itself.
          if (!/^(date|connection|keep-alive)$/i.test(name)) own.push(name, response.rawHeaders[at + 1] ?? '');
        }
        if (!body.startsWith('{"valid":true')) reject(new Error(`a live token was answered ${body}`));
        else resolve({ headers: own, body });
      });
    });
    asked.on('error', reject);
    asked.on('timeout', () => asked.destroy(new Error('the service does not answer')));
    asked.end(JSON.stringify({ token }));
  });
}

const validateSame = (setting: Setting): Promise<Row> =>
  compareWithBare(setting, 'validate, same token', {
    kind: 'cycle',
    requests: [requests.validate(setting.sessions[1]?.accessToken ?? '')],
  });

async function validateDistinct(setting: Setting): Promise<Row> {
  const { bench, service, people } = setting;
  // Sessions of their own: the chains of the others stay whole.
  const sessions = await logIn(bench, service, people, sessionCount);
  let refreshTokens = sessions.map((session) => session.refreshToken);
  const tokens = new Set<string>();
  while (tokens.size < distinctTokens) {
    const { bodies, tokens: successors } = await bench.load({
      port: service.port,
      traffic: { kind: 'rotate', path: '/api/auth/refresh-token', tokens: refreshTokens },
      connections: refreshTokens.length,
      ...{ seconds: 1, warmUpSeconds: 0, collect: true },
    });
    refreshTokens = [...successors];
    for (const body of bodies) tokens.add(readSession(body).accessToken);
  }
  const chosen = [...tokens].slice(0, distinctTokens);
  return compareWithBare(setting, 'validate, 10,000 tokens', {
    kind: 'cycle',
    requests: chosen.map(requests.validate),
  });
}

interface Commits {
  readonly commits: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** What the clients of one side hold between rounds. */
interface Chain extends Side {
  tokens: readonly string[];
}

async function refresh({ bench, service, databaseUrl, sessions }: Setting): Promise<readonly Row[]> {
  const bare: Peer = bench.peer('bare-sql.ts', { core: serverCore });
  const prepared = await bare.ask<{ tokens: readonly string[] }>({
    ...{ kind: 'prepare', url: databaseUrl },
    ...{ connections: databaseConnections, rows: sessionCount },
  });
  const { port } = await bare.ask<{ port: number }>({ kind: 'serve' });
  const chain = async (side: Chain, path: string, seen: JobResult[]): Promise<number> => {
    const result = await bench.load({
      ...{ port: side.port, serverPid: side.pid, connections: side.tokens.length },
      traffic: { kind: 'rotate', path, tokens: side.tokens },
      ...{ seconds: bench.quick ? 1.2 : 2, warmUpSeconds: 0.3 },
    });
    side.tokens = result.tokens;
    seen.push(result);
    return rateOf(result);
  };
  const our: Chain = { port: service.port, pid: service.pid, tokens: sessions.map((session) => session.refreshToken) };
  const served: Chain = { port, pid: bare.pid, tokens: prepared.tokens };
  const ours: JobResult[] = [];
  const commits: Commits[] = [];
  const http: JobResult[] = [];
  await chain(our, '/api/auth/refresh-token', []);
  await chain(served, '/', []);
  const rounds = await interleave(bench.rounds, {
    ours: () => chain(our, '/api/auth/refresh-token', ours),
    commits: async () => {
      const one = await bare.ask<Commits>({ kind: 'run', seconds: bench.quick ? 1.2 : 2 });
      commits.push(one);
      return one.commits / one.seconds;
    },
    http: () => chain(served, '/', http),
  });
  await bare.stop();
  const ratio = ratioOf(rounds.ours, rounds.commits);
  const busy = median(ours.map((one) => one.serverCpuSeconds / one.seconds));
  const p99 = format(median(ours.map((one) => one.latencyMs.p99)));
  return [
    {
      workload: 'refresh',
      ours: perSecond(median(rounds.ours)),
      limit: `bare SQL commit ${perSecond(median(rounds.commits))}`,
      ratio,
      bar: atLeast(ratio, 0.8),
      note: `${sessionCount} clients; the core ${Math.round(busy * 100)} % busy, p99 ${p99} ms`,
      raw: { rounds, ours, commits },
    },
    {
      workload: 'refresh, beside a bare server',
      ours: perSecond(median(rounds.ours)),
      limit: `node:http + pg ${perSecond(median(rounds.http))}`,
      ratio: ratioOf(rounds.ours, rounds.http),
      bar: undefined,
      note: 'the bare server runs one statement a request and signs nothing',
      raw: { http },
    },
  ];
}

async function logout({ bench, service, people }: Setting): Promise<Row> {
  const batch = bench.quick ? 100 : 250;
  const rounds: JobResult[] = [];
  for (let round = 0; round < Math.min(3, bench.rounds); round += 1) {
    const sessions = await logIn(bench, service, people, batch);
    rounds.push(
      await bench.load({
        port: service.port,
        serverPid: service.pid,
        traffic: { kind: 'once', requests: sessions.map((session) => requests.logout(session.accessToken)) },
        ...{ connections: 16, seconds: 60, warmUpSeconds: 0 },
      }),
    );
  }
  const p50 = format(median(rounds.map((one) => one.latencyMs.p50)));
  const p99 = format(median(rounds.map((one) => one.latencyMs.p99)));
  return {
    workload: 'logout',
    ours: perSecond(median(rounds.map(rateOf))),
    limit: '',
    ratio: undefined,
    bar: undefined,
    note: `16 clients, in force when answered; p50 ${p50} ms, p99 ${p99} ms`,
    raw: { rounds },
  };
}
