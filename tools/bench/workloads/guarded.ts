/** Guard in other people's services: beside other libraries, on a bare Fastify route, and how soon a revocation is refused there. */
import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createForge } from '../../../tests/support/forge.ts';
import { type Bench, compare, program, serverCore } from '../lib/bench.ts';
import { type Person, readSession, register } from '../lib/people.ts';
import { outputOf, type Peer } from '../lib/processes.ts';
import { atLeast, atMost, format, perSecond, type Row } from '../lib/report.ts';
import { type RunningService, startService } from '../lib/service.ts';
import { httpRequest as requestText } from '../lib/traffic.ts';

export type Wants = (name: string) => boolean;

export const guardPeers = async (bench: Bench, wants: Wants): Promise<readonly Row[]> =>
  wants('guard-peers') ? peers(bench) : [];

export const guardRoute = async (bench: Bench, wants: Wants): Promise<readonly Row[]> =>
  wants('guard-route') ? [await route(bench)] : [];

export const guardFeed = async (bench: Bench, wants: Wants): Promise<readonly Row[]> =>
  wants('guard-feed') ? [await feed(bench)] : [];

async function peers(bench: Bench): Promise<readonly Row[]> {
  const printed = await outputOf(program('guard-peers.ts'), bench.quick ? ['--quick'] : [], { core: serverCore });
  return (JSON.parse(printed) as { rows: readonly Row[] }).rows;
}

/** The same request with the same token to the route without and with the door. */
async function route(bench: Bench): Promise<Row> {
  const forge = createForge({ issuer: 'https://auth.example', audience: 'orders' });
  const { kid, issuer, audience } = forge;
  const peer = bench.peer('guarded-fastify.ts', { core: serverCore });
  const setup = { kid, issuer, audience, jwk: forge.publicKey.export({ format: 'jwk' }) };
  const ports = await peer.ask<{ bare: number; guarded: number }>(setup);
  const claims = { permissions: ['orders:read'] };
  const requests = Array.from({ length: 64 }, () =>
    requestText('GET', '/orders', undefined, [`Authorization: Bearer ${forge.token({ claims })}`]),
  );
  const { pid } = peer;
  const seen = await bench.alternate({
    ...{ ours: { port: ports.guarded, pid }, bare: { port: ports.bare, pid }, requests, connections: 32 },
    // One process, of which both are a part.
    batch: 500,
  });
  await peer.stop();
  const { ours, bare, ratio, byClock, quartiles } = compare(seen);
  return {
    workload: 'guard: the door on a bare Fastify route',
    ours: perSecond(ours),
    limit: `the route without it ${perSecond(bare)}`,
    ...{ ratio, bar: atLeast(ratio, 0.9) },
    note:
      `per second of the core; 64 tokens, verified before, a permission each time; ${seen.ours.length} pairs, half of them ` +
      `${quartiles.map((one) => one.toFixed(2)).join(' to ')}; by the clock ${byClock.toFixed(2)}`,
    raw: { ...seen },
  };
}

const agent = new Agent({ keepAlive: true, maxSockets: 8 });

function ask(
  port: number,
  method: string,
  path: string,
  token: string | undefined,
  body?: object,
): Promise<[number, string]> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = {
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    'Content-Length': Buffer.byteLength(text),
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
  };
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        answer += chunk;
      });
      response.on('end', () => resolve([response.statusCode ?? 0, answer]));
    });
    sent.on('error', reject).end(text);
  });
}

const admin = { email: 'admin@example.test', password: randomBytes(24).toString('base64url') };

/** Rounds: a session is ended, and from its answer on each guarded service is asked until it refuses. */
async function feed(bench: Bench): Promise<Row> {
  const rounds = bench.quick ? 100 : 1_000;
  const service = await startService({
    folder: bench.folder,
    core: undefined,
    databaseUrl: await (await bench.postgres()).createDatabase(),
    settings: {
      PASSWORD_HASH: 'argon2id',
      BOOTSTRAP_ADMIN_EMAIL: admin.email,
      BOOTSTRAP_ADMIN_PASSWORD: admin.password,
    },
  });
  const services: Peer[] = [];
  try {
    const apiKey = await makeKey(service);
    const options = { issuer: `http://localhost:${service.port}`, audience: 'auth-service', apiKey };
    for (let at = 0; at < 3; at += 1) services.push(bench.peer('guarded-service.ts', { core: undefined }));
    const ports = await Promise.all(services.map(async (one) => (await one.ask<{ port: number }>(options)).port));
    const person = { email: 'somebody@example.test', password: admin.password };
    await register(bench, service, [person]);
    const delays: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      delays.push(await oneRound(service, ports, await logInOnce(service, person)));
    }
    delays.sort((a, b) => a - b);
    const at = (share: number): number => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? 0;
    return {
      workload: 'guard: a revocation refused by three guarded services, p99',
      ours: `${format(at(0.99))} ms`,
      limit: '',
      ...{ ratio: undefined, bar: atMost(at(0.99), 50, ' ms') },
      note: `from the answer of the logout to the last refusal, ${rounds} rounds; p50 ${format(at(0.5))}, max ${format(at(1))} ms`,
      raw: { delays },
    };
  } finally {
    agent.destroy();
    await Promise.all(services.map((one) => one.stop()));
    await service.stop();
  }
}

/** Answers the access token. A login that finds the hashers busy, as on a machine with other work, comes again. */
async function logInOnce(service: RunningService, person: Person): Promise<string> {
  for (let tries = 0; tries < 100; tries += 1) {
    const [status, body] = await ask(service.port, 'POST', '/api/auth/login', undefined, person);
    if (status === 200) return readSession(body).accessToken;
    if (status !== 503) throw new Error(`a login was answered ${status}: ${body}`);
    await sleep(20);
  }
  throw new Error('the service stayed too busy to log anybody in');
}

async function makeKey(service: RunningService): Promise<string> {
  const key = { name: 'bench', permissions: ['revocations:read'] };
  const token = await logInOnce(service, admin);
  const [status, body] = await ask(service.port, 'POST', '/api/admin/api-keys', token, key);
  if (status !== 201) throw new Error(`no API key: ${status} ${body}`);
  return (JSON.parse(body) as { secret: string }).secret;
}

async function oneRound(service: RunningService, ports: readonly number[], token: string): Promise<number> {
  for (const port of ports) {
    const [status] = await ask(port, 'GET', '/', token);
    if (status !== 200) throw new Error(`a live token was answered ${status}`);
  }
  const [ended] = await ask(service.port, 'POST', '/api/auth/logout', token);
  if (ended !== 200) throw new Error(`a logout was answered ${ended}`);
  const answeredMs = performance.now();
  const refused = ports.map(async (port) => {
    for (;;) {
      const [status] = await ask(port, 'GET', '/', token);
      if (status === 401) return performance.now() - answeredMs;
      if (status !== 200) throw new Error(`a guarded service answered ${status}`);
    }
  });
  return Math.max(...(await Promise.all(refused)));
}
