/** Start and stop: what a start needs, what it says, and that a stop loses nothing. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertProblem, tokensOf } from '../support/http.ts';
import { freePort } from '../support/ports.ts';
import {
  isHealthy,
  makeFolder,
  randomSecret,
  runProgram,
  sharedPostgres,
  startService,
  storeKinds,
  testEnv,
  until,
} from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';
import { assertQuiet, login, me, metricsOf, refresh, register, worth } from './support/suite.ts';

for (const store of storeKinds) {
  describe(`stopping (${store})`, () => {
    test('CON-04 SIGTERM under load: what is in flight is answered, new ones are not taken, exit code 0', async (t) => {
      const service = await startService({ store, env: { BCRYPT_COST: '10', MAX_LOGIN_ATTEMPTS: '100' } });
      t.after(() => service.stop());
      const accounts = await Promise.all(Array.from({ length: 4 }, () => register(service)));
      const before = (await metricsOf(service)).sum('auth_password_hash_seconds_count');
      const { api } = service;
      const inFlight = accounts.flatMap(({ email, password }) =>
        Array.from({ length: 4 }, () => api.post('/api/auth/login', { email, password }, { fresh: true })),
      );
      // Some are done, so the others are in the middle of it.
      await until(
        'the first logins',
        async () => (await metricsOf(service)).sum('auth_password_hash_seconds_count') > before,
      );
      service.signal('SIGTERM');
      for (const answer of await Promise.all(inFlight)) tokensOf(answer);
      assert.equal(await service.ended(), 0);
      assert.equal(await isHealthy(service.url), false);
      assertQuiet(service);

      await service.start({ BCRYPT_COST: '4' });
      for (const account of accounts) tokensOf(await login(service, account));
      const { stdout, code } = await service.cli(['audit', 'verify', '--json']);
      assert.equal(code, 0, stdout);
    });
  });
}

describe('stopping, whatever the store', () => {
  test('CON-04 a request that never ends is cut off after SHUTDOWN_TIMEOUT, and the end is still orderly', async (t) => {
    const service = await startService({ store: 'postgres', env: { SHUTDOWN_TIMEOUT: '1' } });
    t.after(() => service.stop());
    const socket = connect(service.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      'POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{',
    );
    await until('the request to be in work', async () => (await metricsOf(service)).text.length > 0);
    service.signal('SIGTERM');
    service.signal('SIGINT');
    assert.equal(await service.ended(), 0, 'signals within a second are one');
    await closed;
  });

  test('a second signal, later, ends the process at once', async (t) => {
    const service = await startService({ store: 'postgres', env: { SHUTDOWN_TIMEOUT: '20' } });
    t.after(() => service.stop());
    const socket = connect(service.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{',
    );
    await until('the service', () => isHealthy(service.url));
    service.signal('SIGTERM');
    await until('the stop to begin', async () => service.logs().includes('stopping'));
    // The time between the two is what is under test.
    await sleep(1_200);
    const second = performance.now();
    service.signal('SIGTERM');
    assert.notEqual(await service.ended(), 0);
    assert.ok(performance.now() - second < besideOthers(2_000));
    socket.destroy();
  });
});

describe('starting', () => {
  test('the embedded store needs no setting: it makes its secret, keeps it to itself and listens on loopback', async (t) => {
    const service = await startService({
      store: 'embedded',
      env: { JWT_SECRET: undefined, HOST: undefined, LOG_LEVEL: undefined },
    });
    t.after(() => service.stop());
    const { tokens } = await register(service);
    const dataDir = service.env['DATA_DIR'] ?? '';
    assert.equal(statSync(dataDir).mode & 0o777, 0o700);
    assert.equal(statSync(join(dataDir, 'control.sock')).mode & 0o777, 0o600);
    assert.match(service.logs(), new RegExp(`http://127\\.0\\.0\\.1:${service.port}`));
    assert.match(service.logs(), /embedded/);
    assert.equal(await service.halt(), 0);
    await service.start();
    assert.equal(await worth(service, tokens.access_token), 'valid');
    tokensOf(await refresh(service, tokens.refresh_token));
    assertQuiet(service);
  });

  test('a second service on the same folder is refused, says so, and leaves the first alone', async (t) => {
    const service = await startService({ store: 'embedded' });
    t.after(() => service.stop());
    const { tokens } = await register(service);
    const env = { ...service.env, PORT: String(await freePort()) };
    const second = await runProgram(['start'], { env, cwd: makeFolder() });
    assert.equal(second.code, 1);
    assert.match(second.stdout + second.stderr, /in use/i);
    assert.ok((second.stdout + second.stderr).includes(service.env['DATA_DIR'] ?? 'no folder'));
    assert.doesNotMatch(second.stdout + second.stderr, /\n\s+at /, 'no stack');
    assert.equal(await worth(service, tokens.access_token), 'valid');
    tokensOf(await refresh(service, tokens.refresh_token));
    await service.kill9();
    await service.start();
    assert.equal((await me(service, tokens.access_token)).status, 200);
  });

  for (const store of storeKinds) {
    test(`a port that is taken stops the start with the port and the mend (${store})`, async () => {
      const blocker = createServer();
      await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
      const address = blocker.address();
      assert.ok(address !== null && typeof address === 'object');
      const cwd = makeFolder();
      const url = store === 'postgres' ? await (await sharedPostgres()).createDatabase() : undefined;
      const env = { ...testEnv(store, url, join(cwd, 'store')), PORT: String(address.port) };
      const ended = await runProgram(['start'], { env, cwd });
      await new Promise((resolve) => blocker.close(resolve));
      const said = ended.stdout + ended.stderr;
      assert.equal(ended.code, 1);
      assert.match(said, new RegExp(`127\\.0\\.0\\.1:${address.port} is in use.*PORT`));
      assert.doesNotMatch(said, /\n\s+at /);
    });
  }

  test('a database that is away stops the start, named without its password', async () => {
    const cwd = makeFolder();
    const password = randomSecret();
    const place = `127.0.0.1:${await freePort()}/auth`;
    const url = `postgres://auth:${encodeURIComponent(password)}@${place}`;
    const ended = await runProgram(['start'], { env: { ...testEnv('postgres', url, cwd), PORT: '0' }, cwd });
    const said = ended.stdout + ended.stderr;
    assert.equal(ended.code, 1);
    assert.ok(said.includes(place), said);
    assert.ok(!said.includes(password) && !said.includes(encodeURIComponent(password)));
    assert.doesNotMatch(said, /\n\s+at /);
  });

  test('a database that is slow to answer is waited for: a start has more time than a request', async (t) => {
    const direct = new URL(await (await sharedPostgres()).createDatabase());
    let taken = 0;
    const slow = createServer((socket) => {
      taken += 1;
      socket.on('error', () => undefined);
      // The first ones are never answered.
      if (taken <= 3) return;
      const onward = connect(Number(direct.port), direct.hostname);
      onward.on('error', () => socket.destroy());
      socket.on('close', () => onward.destroy());
      socket.pipe(onward).pipe(socket);
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    t.after(() => slow.close());
    const address = slow.address();
    assert.ok(address !== null && typeof address === 'object');
    const through = new URL(direct);
    through.port = String(address.port);
    const service = await startService({ store: 'postgres', databaseUrl: through.href });
    assert.ok(taken > 3);
    assert.equal(await service.stop(), 0);
  });

  test('a schema that is newer than the program stops the start, and nothing is changed', async () => {
    const cwd = makeFolder();
    const server = await sharedPostgres();
    const url = await server.createDatabase();
    await server.query("insert into schema_migrations (name, checksum) values ('9999_from_the_future', 'x')", url);
    const ended = await runProgram(['start'], { env: { ...testEnv('postgres', url, cwd), PORT: '0' }, cwd });
    assert.equal(ended.code, 1);
    assert.match(ended.stdout + ended.stderr, /newer.*9999_from_the_future/);
  });

  test('KEY-07 another root secret is refused; with the one before it the keys go on, sealed anew', async (t) => {
    const service = await startService({ store: 'postgres' });
    t.after(() => service.stop());
    const account = await register(service);
    const before = service.env['JWT_SECRET'];
    assert.equal(await service.halt(), 0);
    const now = randomSecret();
    const refused = await runProgram(['start'], { env: { ...service.env, JWT_SECRET: now }, cwd: service.dataDir });
    assert.equal(refused.code, 1);
    assert.match(refused.stdout + refused.stderr, /JWT_SECRET_PREVIOUS/);
    await service.start({ JWT_SECRET: now, JWT_SECRET_PREVIOUS: before });
    assert.equal(await worth(service, account.tokens.access_token), 'valid');
    const next = tokensOf(await refresh(service, account.tokens.refresh_token));
    assert.equal(await service.halt(), 0);
    await service.start({ JWT_SECRET_PREVIOUS: undefined });
    assert.equal(await worth(service, next.access_token), 'valid');
    tokensOf(await login(service, account));
    assertQuiet(service);
  });

  test('several services starting at once on one empty database migrate it once and all come up', async (t) => {
    const server = await sharedPostgres();
    const name = `empty_${Math.random().toString(36).slice(2)}`;
    await server.query(`create database ${name}`);
    const databaseUrl = server.url.replace('/postgres?', `/${name}?`);
    const secret = randomSecret();
    const env = { JWT_SECRET: secret, DB_POOL_SIZE: '2', PUBLIC_URL: 'http://localhost:4000' };
    const services = await Promise.all(
      Array.from({ length: 4 }, () => startService({ store: 'postgres', databaseUrl, env })),
    );
    t.after(() => Promise.all(services.map((service) => service.stop())));
    const [first] = services;
    assert.ok(first !== undefined);
    const { tokens } = await register(first);
    for (const service of services) {
      assert.equal(await worth(service, tokens.access_token), 'valid');
    }
    const rows = await server.query('select count(*)::int as keys from signing_keys', databaseUrl);
    assert.equal(rows[0]?.['keys'], 1);
    assertProblem(await me(first, 'x'), 401, 'invalid_token');
  });
});
