/** All nodes are restarted, one after the other, under load through HAProxy: nobody outside may notice. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertQuiet, metricsOf, newEmail, newPassword } from '../service/support/suite.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { type RunningService, randomSecret, sharedPostgres, startService, until } from '../support/service.ts';

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A client with one connection that it keeps, as a browser or a service has it. A request that fails is not sent again. */
function createClient(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { 'Content-Type': 'application/json' };
  return {
    post: (path: string, body: unknown, token?: string): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
        const sent = request(
          {
            ...{ host: '127.0.0.1', port, method: 'POST', path: `/api/auth/${path}`, agent, timeout: 20_000 },
            headers: { ...headers, ...authorization },
          },
          (response) => {
            let text = '';
            response.setEncoding('utf8');
            response.on('data', (chunk: string) => {
              text += chunk;
            });
            response.on('error', reject);
            response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text && JSON.parse(text) }));
          },
        );
        sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
        sent.on('error', reject);
        sent.end(JSON.stringify(body));
      }),
    close: () => agent.destroy(),
  };
}

interface Account {
  readonly email: string;
  readonly password: string;
}

/** Log in, validate, refresh, validate, log out, validate, over and over; every answer has to be what it is on a quiet day. */
async function liveADay(
  port: number,
  { email, password }: Account,
  isOver: () => boolean,
  problems: string[],
): Promise<number> {
  const client = createClient(port);
  let requests = 0;
  const expect = async (what: string, sent: Promise<Answer>, check: (body: never) => boolean = () => true) => {
    requests += 1;
    const { status, body } = await sent;
    if (status !== 200 || !check(body as never)) throw new Error(`${what}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  const isWorth = (token: string, valid: boolean) =>
    expect('validate', client.post('validate-token', { token }), (body: { valid: boolean }) => body.valid === valid);
  while (!isOver()) {
    try {
      const first = (await expect('login', client.post('login', { email, password }))) as Tokens;
      await isWorth(first.access_token, true);
      const renewal = client.post('refresh-token', { refresh_token: first.refresh_token });
      const next = (await expect('refresh', renewal)) as Tokens;
      for (let at = 0; at < 5; at += 1) await isWorth(next.access_token, true);
      const ended = client.post('logout', {}, next.access_token);
      const receipt = (await expect('logout', ended)) as { effective_everywhere: boolean };
      if (receipt.effective_everywhere) await isWorth(next.access_token, false);
    } catch (error) {
      problems.push(error instanceof Error ? `${error.message} ${'code' in error ? error.code : ''}` : 'unknown');
    }
    // Steady, not a flood: what is refused for being too much would look like what is under test.
    await sleep(25);
  }
  client.close();
  return requests;
}

/** As what is above a service does: a start that found the database too slow, on a busy machine, is made again. */
async function startAgain(service: RunningService, attempts = 4): Promise<void> {
  const told = (): number => service.logs().split('cannot be reached').length;
  const before = told();
  try {
    await service.start();
  } catch (failure) {
    if (attempts === 1 || told() === before) throw failure;
    await service.ended();
    await startAgain(service, attempts - 1);
  }
}

test('CON-04 a rolling restart of all nodes under load, behind HAProxy: no failed request, no lost session', async (t) => {
  const databaseUrl = await (await sharedPostgres()).createDatabase();
  const shared = { JWT_SECRET: randomSecret(), PUBLIC_URL: 'http://auth.example.org', LOG_LEVEL: 'info' };
  const names = ['a', 'b', 'c'];
  const services: RunningService[] = [];
  for (const name of names) {
    const env = { ...shared, NODE_NAME: name, PASSWORD_HASH_WORKERS: '1' };
    services.push(await startService({ store: 'postgres', databaseUrl, env }));
  }
  t.after(() => Promise.all(services.map((service) => service.stop())));
  const [first] = services;
  assert.ok(first !== undefined);
  const balancer = await startHaproxy(Object.fromEntries(services.map(({ port }, at) => [names[at] ?? '', port])));
  t.after(() => balancer.stop());
  const isUp = (name: string): Promise<true> =>
    until(`HAProxy to see ${name}`, async () => (await balancer.statsOf(name))['status'] === 'UP', 60_000);
  for (const name of names) await isUp(name);

  const accounts = await Promise.all(
    Array.from({ length: 4 }, async (): Promise<Account & { readonly kept: Tokens }> => {
      const account = { email: newEmail(), password: newPassword() };
      const client = createClient(balancer.port);
      const { status, body } = await client.post('register', { user: account });
      client.close();
      assert.equal(status, 201);
      return { ...account, kept: body as Tokens };
    }),
  );
  for (const { password } of accounts) first.secrets.add(password);
  const problems: string[] = [];
  let isOver = false;
  t.after(() => {
    isOver = true;
  });
  const load = accounts.map((account) => liveADay(balancer.port, account, () => isOver, problems));
  const works = (service: RunningService, name: string): Promise<true> =>
    until(
      `work for ${name}`,
      async () => {
        assert.deepEqual(problems.slice(0, 3), []);
        const route = '/api/auth/validate-token';
        return (await metricsOf(service)).sum('auth_http_request_duration_seconds_count', { route }) > 20;
      },
      60_000,
    );

  for (const [at, service] of services.entries()) {
    const name = names[at] ?? '';
    await works(service, name);
    assert.equal(await service.halt(), 0);
    await startAgain(service);
    await isUp(name);
  }
  for (const [at, service] of services.entries()) await works(service, names[at] ?? '');
  isOver = true;
  const requests = (await Promise.all(load)).reduce((sum, one) => sum + one, 0);

  assert.deepEqual(problems.slice(0, 3), [], `${problems.length} of ${requests} requests`);
  assert.ok(requests > 200, `${requests} requests are no load`);
  for (const name of names) {
    // HAProxy would try a connection again: there must be nothing that it had to mend.
    const { eresp, econ, wretr, chkdown } = await balancer.statsOf(name);
    assert.deepEqual([eresp, econ, wretr], ['0', '0', '0'], name);
    assert.ok(Number(chkdown) >= 1, `HAProxy has seen ${name} go`);
  }
  const client = createClient(balancer.port);
  for (const { kept } of accounts) {
    const { status } = await client.post('refresh-token', { refresh_token: kept.refresh_token });
    assert.equal(status, 200, 'a session from before all restarts');
  }
  client.close();
  for (const service of services) {
    assert.equal(await service.halt(), 0);
    assertQuiet(service);
  }
});
