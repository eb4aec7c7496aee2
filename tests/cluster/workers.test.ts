/** Several worker processes behind one port: they share what clients must find shared, and die and end as one service. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertQuiet, login, metricsOf, register } from '../service/support/suite.ts';
import { type Api, createApi, receiptOf, tokensOf, verdictOf } from '../support/http.ts';
import {
  type Env,
  isHealthy,
  makeFolder,
  type RunningService,
  randomSecret,
  runProgram,
  sharedPostgres,
  startService,
  until,
} from '../support/service.ts';

const routine = { NODE_NAME: 'w', LOG_LEVEL: 'info', DB_POOL_SIZE: '2', PASSWORD_HASH_WORKERS: '1' } as const;

/** Resolves when all workers of this start work. */
async function startWorkers(workers: number, env: Env = {}): Promise<RunningService> {
  const service = await startService({ store: 'postgres', env: { ...routine, WORKERS: String(workers), ...env } });
  await allListen(service, workers);
  return service;
}

const linesOf = (service: RunningService, text: string): number => service.logs().split(text).length - 1;

async function allListen(service: RunningService, workers: number, times = 1): Promise<void> {
  await until('all workers', async () => linesOf(service, `with ${workers} workers`) === times, 60_000);
}

/** The worker processes, oldest first. */
const workersOf = (primary: number): readonly number[] =>
  readFileSync(`/proc/${primary}/task/${primary}/children`, 'latin1').split(' ').filter(Boolean).map(Number);

/** In which of the places a worker is, by what it was given; 0 when it is gone. */
function placeOf(pid: number): number {
  try {
    return Number(/AUTH_SERVICE_WORKER_PLACE=(\d+)/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}`);

async function nodeOf(api: Api, fresh = false): Promise<string> {
  return ((await api.get('/health', { fresh, unchecked: true })).body as { node: string }).node;
}

/** A connection to each worker, by node name. */
async function connectionsToAll(service: RunningService, workers: number): Promise<ReadonlyMap<string, Api>> {
  const found = new Map<string, Api>();
  await until('a connection to each worker', async () => {
    const api = createApi(service.url, service.secrets);
    const node = await nodeOf(api);
    if (found.has(node)) api.close();
    else found.set(node, api);
    return found.size === workers;
  });
  return found;
}

/** Validations without a pause on so many connections, until `stop`; answers what came of them. */
function hammer(service: RunningService, token: string, connections: number) {
  let isOver = false;
  const result = { answered: 0, failed: 0, wrong: 0 };
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const payload = JSON.stringify({ token });
  const headers = { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(payload)) };
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const options = { port: service.port, host: '127.0.0.1', method: 'POST', path: '/api/auth/validate-token' };
      const sent = request({ ...options, agent, headers, timeout: 10_000 }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', () => undefined);
        response.on('close', () => {
          if (!response.complete) result.failed += 1;
          else if (response.statusCode === 200 && text.includes('"valid":true')) result.answered += 1;
          else result.wrong += 1;
          resolve();
        });
      });
      sent.on('timeout', () => sent.destroy());
      sent.on('error', () => {
        result.failed += 1;
        resolve();
      });
      sent.end(payload);
    });
  const loops = Array.from({ length: connections }, async () => {
    while (!isOver) {
      await once();
      // Steady, not as much as the machine can: the workers that start beside it need some of that.
      await sleep(4);
    }
  });
  return {
    result,
    async stop() {
      isOver = true;
      await Promise.all(loops);
      agent.destroy();
      return result;
    },
  };
}

describe('three workers', () => {
  test('are one service: one port, one limit, one scrape, receipts that are true of all, and a dead one comes back', async (t) => {
    const service = await startWorkers(3, {
      RATE_LIMIT_ENABLED: 'true',
      RATE_LIMIT_REFRESH: '10/3600',
      RATE_LIMIT_LOGIN: '100000/60',
      RATE_LIMIT_REGISTER: '100000/60',
      RATE_LIMIT_API: '1000000/60',
    });
    t.after(() => service.stop());
    const names = ['w-1', 'w-2', 'w-3'];
    const { api } = service;
    let limited = 0;

    await t.test('connections are handed out in turn, and the start says so in one line', async () => {
      const seen = new Map<string, number>();
      for (let at = 0; at < 30; at += 1) {
        const node = await nodeOf(api, true);
        seen.set(node, (seen.get(node) ?? 0) + 1);
      }
      assert.deepEqual([...seen.keys()].toSorted(), names);
      assert.ok(Math.max(...seen.values()) <= 15, JSON.stringify([...seen]));
      assert.equal(linesOf(service, 'listening on'), 1);
      const { nodes } = (await api.get('/cluster/status')).body as { nodes: { name: string; status: string }[] };
      assert.deepEqual(nodes.map(({ name }) => name).toSorted(), names);
    });

    await t.test('RAT-01 a limit is the limit, whichever worker a connection comes to', async () => {
      const attempt = () => api.post('/api/auth/refresh-token', { refresh_token: 'none' }, { fresh: true });
      const answers = await Promise.all(Array.from({ length: 40 }, attempt));
      const count = (status: number): number => answers.filter((answer) => answer.status === status).length;
      limited = count(429);
      assert.equal(count(401) + limited, 40);
      // Ten, if the primary has a turn within a second; each of the three on its own account would let all but ten through.
      assert.ok(limited >= 20 && limited <= 30, `${limited} of 40 were refused`);
    });

    await t.test('a scrape of any worker has the figures of all, each once', async () => {
      for (let at = 0; at < 6; at += 1) await api.get('/health/live', { fresh: true });
      const scrapes = [await metricsOf(service), await metricsOf(service)];
      for (const scrape of scrapes) {
        const live = (labels: Readonly<Record<string, string>>): number =>
          scrape.sum('auth_http_request_duration_seconds_count', { route: '/health/live', ...labels });
        assert.equal(live({}), 6);
        for (const worker of ['1', '2', '3']) {
          assert.ok(live({ worker }) >= 1, `worker ${worker}`);
          assert.equal(scrape.sum('auth_supervisor_restarts_total', { worker, child: 'worker' }), 0);
        }
        assert.equal(scrape.sum('auth_rate_limited_total', { policy: 'refresh' }), limited);
      }
    });

    await t.test('REV-01 what one worker revokes all refuse when the receipt says so', async () => {
      const account = await register(service);
      const connections = await connectionsToAll(service, 3);
      const apis = [...connections.values()];
      let everywhere = 0;
      for (let round = 0; round < 15; round += 1) {
        const { access_token: token } = tokensOf(await login(service, account));
        const worth = async (one: Api): Promise<boolean> =>
          verdictOf(await one.post('/api/auth/validate-token', { token })).valid;
        // Each has it in its cache of verified tokens.
        assert.deepEqual(await Promise.all(apis.map(worth)), [true, true, true]);
        const receipt = receiptOf(await (apis[round % 3] ?? api).post('/api/auth/logout', undefined, { token }));
        if (!receipt.effective_everywhere) {
          const end = Date.parse(receipt.effective_by);
          await until('the moment that the receipt names', async () => Date.now() >= end);
        } else {
          everywhere += 1;
          assert.ok(receipt.acknowledged_nodes >= 3);
        }
        assert.deepEqual(await Promise.all(apis.map(worth)), [false, false, false]);
      }
      // Without clustering, too: each of 15 revocations was told to both of the others.
      const heard = { direction: 'received', type: 'hint' };
      assert.ok((await metricsOf(service)).sum('auth_cluster_messages_total', heard) >= 30);
      assert.ok(everywhere >= 12, `${everywhere} of 15 were in force everywhere when they were answered`);
      for (const one of apis) one.close();
    });

    await t.test(
      'F-01 kill -9 of a worker under load costs what it had in flight; another takes its place',
      async () => {
        const { access_token: token } = (await register(service)).tokens;
        const connections = 9;
        const load = hammer(service, token, connections);
        await until('load', async () => load.result.answered > 200);
        const victim = workersOf(service.pid()).find((pid) => placeOf(pid) === 2);
        assert.ok(victim !== undefined);
        process.kill(victim, 'SIGKILL');
        await until('the next one', async () =>
          workersOf(service.pid()).some((pid) => placeOf(pid) === 2 && pid !== victim),
        );
        await until('its first answer', async () => (await nodeOf(api, true)) === 'w-2', 60_000);
        const { failed, wrong } = await load.stop();
        assert.equal(wrong, 0);
        // Connections are handed out in turn: about a third are with the dead one, each with one request.
        assert.ok(failed <= connections, `${failed} failed`);
        const scrape = await metricsOf(service);
        assert.equal(scrape.sum('auth_supervisor_restarts_total', { worker: '2', child: 'worker' }), 1);
        assert.match(
          service.logs(),
          /"worker":2,"reason":"it was ended by SIGKILL","msg":"a worker ended and is started/,
        );
      },
    );

    await t.test('CON-04 SIGTERM ends all of them in good order, exit code 0, no lease left', async () => {
      const pids = workersOf(service.pid());
      assert.equal(pids.length, 3);
      assert.equal(await service.halt(), 0);
      assert.ok(pids.every(isGone));
      assert.equal(linesOf(service, '"exit_code":0,"msg":"stopped"'), 4, 'three workers and their primary');
      const url = service.databaseUrl ?? '';
      const leases = await (await sharedPostgres()).query('select name from cluster_nodes order by name', url);
      // That of the killed one ends by itself.
      assert.ok(leases.length <= 1 && leases.every(({ name }) => name === 'w-2'), JSON.stringify(leases));
      assertQuiet(service);
    });
  });
});

describe('two workers', () => {
  test('are replaced under load without a failed request; end with their primary; give up when one keeps dying', async (t) => {
    const service = await startWorkers(2);
    t.after(() => service.stop());

    await t.test('SIGUSR2: another for each, and no request fails', async () => {
      const { access_token: token } = (await register(service)).tokens;
      const before = workersOf(service.pid());
      const load = hammer(service, token, 6);
      let seenTroubles = 0;
      service.signal('SIGUSR2');
      await until(
        'two others',
        async () => {
          // One that could not start on a machine that is too busy leaves the old one: asked for again.
          const troubles = linesOf(service, 'a worker made trouble');
          if (troubles > seenTroubles) service.signal('SIGUSR2');
          seenTroubles = troubles;
          return before.every(isGone);
        },
        120_000,
      );
      const { failed, wrong, answered } = await load.stop();
      assert.deepEqual([failed, wrong], [0, 0]);
      assert.ok(answered > 100);
      const after = workersOf(service.pid());
      assert.equal(after.length, 2);
      assert.ok(after.every((pid) => !before.includes(pid)) && before.every(isGone));
    });

    await t.test('F-01 the primary is killed: the workers notice, end in good order, and leave no lease', async () => {
      const pids = workersOf(service.pid());
      await service.kill9();
      await until('the end of the workers', async () => pids.every(isGone));
      assert.equal(await isHealthy(service.url), false);
      const url = service.databaseUrl ?? '';
      assert.deepEqual(await (await sharedPostgres()).query('select name from cluster_nodes', url), []);
    });

    await t.test(
      'F-34 one that keeps dying is started again with growing pauses, then all end with exit code 1',
      async () => {
        await service.start();
        await allListen(service, 2, 2);
        const primary = service.pid();
        const killed = new Set<number>();
        await until(
          'the primary to give up',
          async () => {
            if (isGone(primary) || service.logs().includes('giving up')) return true;
            const victim = workersOf(primary).find((pid) => !killed.has(pid) && placeOf(pid) === 1);
            if (victim !== undefined) {
              process.kill(victim, 'SIGKILL');
              killed.add(victim);
            }
            return false;
          },
          60_000,
        );
        assert.equal(await service.ended(), 1);
        assert.equal(killed.size, 6);
        assert.match(service.logs(), /"worker":1,.*a worker ended more than 5 times within 60 seconds; giving up/);
        assertQuiet(service);
      },
    );

    await t.test('what keeps a worker from starting is said once, and ends the start with exit code 1', async () => {
      const env = { ...service.env, JWT_SECRET: randomSecret() };
      const cwd = makeFolder();
      const { code, stdout } = await runProgram(['start'], { env, cwd });
      assert.equal(code, 1);
      assert.equal(stdout.split('JWT_SECRET_PREVIOUS').length - 1, 1, stdout);
      assert.match(stdout, /a worker could not start; its own lines say why/);
      assert.doesNotMatch(stdout, /\n\s+at /);
    });
  });

  test('Ctrl-C reaches every process of a terminal: one orderly end all the same', async (t) => {
    const service = await startWorkers(2);
    t.after(() => service.stop());
    for (const pid of [...workersOf(service.pid()), service.pid()]) process.kill(pid, 'SIGINT');
    await sleep(20);
    service.signal('SIGINT');
    assert.equal(await service.ended(), 0);
    assert.equal(linesOf(service, '"exit_code":0,"msg":"stopped"'), 3);
    assertQuiet(service);
  });
});
