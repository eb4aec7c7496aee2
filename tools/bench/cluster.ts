/**
 * Three nodes, one PostgreSQL: how long a revocation takes until its receipt, and whether receipts are true.
 *
 *   npx node tools/bench/cluster.ts                        10,000 revocations in each of the four cases below
 *   npx node tools/bench/cluster.ts --count 2000 --only mesh
 *
 * Each revocation: a login at one node, the token accepted at the other two, the logout (timed), and the token asked for at all
 * three. Beside that one validator a node asks for tokens that were just revoked. A token that is accepted by a
 * request that began after a receipt had said "everywhere" is a violation; the exit code is 1 when there is one.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../tests/support/postgres.ts';
import { startRedis } from '../../tests/support/redis.ts';
import { type RunningService, startService } from './lib/service.ts';

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    only: { type: 'string', default: 'both,mesh,redis,neither' },
    revokers: { type: 'string', default: '2' },
  },
});
const count = Number(options.count);
const revokers = Number(options.revokers);
/** Which ways hints have. Without the mesh each node tells an address for documentation, where nobody is. */
const cases: Readonly<Record<string, { readonly mesh: boolean; readonly redis: boolean }>> = {
  both: { mesh: true, redis: true },
  mesh: { mesh: true, redis: false },
  redis: { mesh: false, redis: true },
  neither: { mesh: false, redis: false },
};
/** A validator asks so often at most: the machine is to have room for what is measured. */
const validatorPauseMs = 5;
const secrets = { cluster: randomBytes(48).toString('base64') };
const password = 'correct horse battery staple';
const recentMax = 200;

interface Answer {
  readonly status: number;
  readonly body: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

function post(node: RunningService, path: string, body: unknown, token?: string): Promise<Answer> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ agent, host: '127.0.0.1', port: node.port, path: `/api/auth/${path}`, method: 'POST' },
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          answer += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: answer }));
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

async function startNodes(
  folder: string,
  databaseUrl: string,
  ways: { mesh: boolean; redisUrl: string | undefined },
): Promise<readonly RunningService[]> {
  const start = (name: string): Promise<RunningService> =>
    startService({
      ...{ folder, core: undefined, databaseUrl },
      settings: {
        ...{ NODE_ENV: 'test', BCRYPT_COST: '4', PASSWORD_HASH_WORKERS: '1', PUBLIC_URL: 'http://localhost' },
        ...{ NODE_NAME: name, ENABLE_CLUSTERING: 'true', CLUSTER_SECRET: secrets.cluster },
        ...{ CLUSTER_PORT: '0', CLUSTER_ADDRESS: ways.mesh ? '127.0.0.1' : '192.0.2.1' },
        ...(ways.redisUrl === undefined ? {} : { REDIS_URL: ways.redisUrl }),
      },
    });
  const nodes = [await start('a')];
  for (const name of ['b', 'c']) nodes.push(await start(name));
  await sleep(4_000);
  return nodes;
}

interface Recent {
  readonly token: string;
  readonly everywhereAt: number;
}

async function isValid(node: RunningService, token: string): Promise<boolean> {
  return (await post(node, 'validate-token', { token })).body.includes('"valid":true');
}

/** Seconds from commit until every node had confirmed: what the nodes have counted, without HTTP and the transaction. */
async function meanBarrierMs(nodes: readonly RunningService[]): Promise<number> {
  const pages = await Promise.all(
    nodes.map(async (node) => (await fetch(`http://127.0.0.1:${node.port}/metrics`)).text()),
  );
  const total = (name: string): number =>
    pages.reduce(
      (sum, page) =>
        sum + Number(new RegExp(`^auth_revocation_propagation_seconds_${name} (.*)$`, 'm').exec(page)?.[1]),
      0,
    );
  return (total('sum') / total('count')) * 1_000;
}

async function measure(name: string, nodes: readonly RunningService[]): Promise<number> {
  const took: number[] = [];
  const recent: Recent[] = [];
  const figures = { unavailable: 0, everywhere: 0, violations: 0, asked: 0, left: count };
  let done = false;

  /** 503, which is told and not measured; anything else that is no 200 ends the run. */
  function isAway({ status, body }: Answer): boolean {
    if (status === 200) return false;
    if (status !== 503) throw new Error(`an answer that was not expected: ${status} ${body}`);
    figures.unavailable += 1;
    return true;
  }

  async function validator(node: RunningService): Promise<void> {
    for (let at = 0; !done; at += 1) {
      const one = recent[at % Math.max(1, recent.length)];
      if (one === undefined) {
        await sleep(5);
        continue;
      }
      const sentAt = performance.now();
      const valid = await isValid(node, one.token);
      figures.asked += 1;
      if (valid && sentAt > one.everywhereAt) figures.violations += 1;
      await sleep(validatorPauseMs);
    }
  }

  async function revoker(index: number): Promise<void> {
    const email = `${name}-${index}-${process.pid}@example.test`;
    const first = nodes[0] as RunningService;
    await post(first, 'register', { user: { email, password } });
    for (let round = index; figures.left > 0; round += 1) {
      figures.left -= 1;
      const here = nodes[round % nodes.length] as RunningService;
      const login = await post(here, 'login', { email, password });
      if (isAway(login)) continue;
      const { access_token: token } = JSON.parse(login.body) as { access_token: string };
      const others = nodes.filter((node) => node !== here);
      const primed = await Promise.all(others.map((node) => post(node, 'validate-token', { token })));
      if (primed.some(isAway)) continue;
      const strange = primed.find(({ body }) => !body.includes('"valid":true'));
      if (strange !== undefined) throw new Error(`a good token was not accepted: ${strange.body}`);
      const began = performance.now();
      const logout = await post(here, 'logout', {}, token);
      const ended = performance.now();
      if (isAway(logout)) continue;
      took.push(ended - began);
      const everywhere = logout.body.includes('"effective_everywhere":true');
      if (!everywhere) continue;
      figures.everywhere += 1;
      recent[took.length % recentMax] = { token, everywhereAt: ended };
      const accepted = await Promise.all(nodes.map((node) => isValid(node, token)));
      figures.violations += accepted.filter(Boolean).length;
    }
  }

  const validators = Promise.allSettled(nodes.map(validator));
  const beganAt = performance.now();
  try {
    await Promise.all(Array.from({ length: revokers }, (_, index) => revoker(index)));
  } finally {
    done = true;
    await validators;
  }
  const failed = (await validators).find((one) => one.status === 'rejected');
  if (failed !== undefined) throw new Error('a validator could not ask', { cause: failed.reason });
  const seconds = (performance.now() - beganAt) / 1_000;
  took.sort((a, b) => a - b);
  const percentile = (share: number): string =>
    (took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN).toFixed(1);
  console.log(
    `${name}: ${took.length} revocations in ${seconds.toFixed(0)} s, receipts p50 ${percentile(0.5)} ms, p90 ${percentile(0.9)} ms, ` +
      `p99 ${percentile(0.99)} ms, max ${percentile(1)} ms (of that the wait for the others: mean ${(await meanBarrierMs(nodes)).toFixed(1)} ms); everywhere ${figures.everywhere}; answered 503: ${figures.unavailable}; ` +
      `${figures.asked} validations beside them; violations ${figures.violations}`,
  );
  return figures.violations;
}

const folder = mkdtempSync(join(tmpdir(), 'auth-bench-'));
chmodSync(folder, 0o755);
const postgres = await startPostgres({ settings: { shared_buffers: '128MB', max_connections: '100' } });
const redis = await startRedis();
let violations = 0;
try {
  for (const name of options.only.split(',')) {
    const ways = cases[name];
    if (ways === undefined) throw new Error(`no such case: ${name}; there are ${Object.keys(cases).join(', ')}`);
    const redisUrl = ways.redis ? redis.url : undefined;
    const nodes = await startNodes(folder, await postgres.createDatabase(), { mesh: ways.mesh, redisUrl });
    try {
      violations += await measure(name, nodes);
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
  }
} finally {
  agent.destroy();
  await redis.stop();
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = violations === 0 ? 0 : 1;
