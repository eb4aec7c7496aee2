/** More than the service can do: it says so at once, goes on with what it can do, and forgets nothing. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertProblem, tokensOf } from '../support/http.ts';
import { freePort } from '../support/ports.ts';
import { isHealthy, makeFolder, startService, testEnv, until } from '../support/service.ts';
import { assertQuiet, login, metricsOf, newEmail, newPassword, refresh, register, validate } from './support/suite.ts';

test('DOS-04 when the hashers have enough to do, more is refused at once, and validation does not notice', async (t) => {
  const env = { PASSWORD_HASH_WORKERS: '1', PASSWORD_HASH_QUEUE: '3', BCRYPT_COST: '10', MAX_LOGIN_ATTEMPTS: '100' };
  const service = await startService({ store: 'postgres', env });
  t.after(() => service.stop());
  const account = await register(service);
  const order: string[] = [];
  const flood = Array.from({ length: 40 }, async () => {
    const answer = await login(service, { email: newEmail(), password: newPassword() });
    order.push(answer.status === 503 ? 'refused' : 'hashed');
    if (answer.status === 503) assertProblem(answer, 503, 'overloaded');
    else assertProblem(answer, 401, 'invalid_credentials');
  });
  let validated = 0;
  const done = Promise.all(flood).then(() => true);
  while (!(await Promise.race([done, validate(service, account.tokens.access_token).then(() => false)])))
    validated += 1;
  const refusedCount = order.filter((one) => one === 'refused').length;
  assert.ok(refusedCount >= 20, order.join(' '));
  assert.ok(order.length - refusedCount >= 4, order.join(' '));
  assert.ok(order.lastIndexOf('hashed') > order.lastIndexOf('refused') - 4, 'a refusal does not wait for the hashers');
  assert.ok(validated > 20, `${validated} validations meanwhile`);
  tokensOf(await refresh(service, account.tokens.refresh_token));
  await until('the queue to be empty', async () => (await metricsOf(service)).sum('auth_password_hash_queue') === 0);
  tokensOf(await login(service, account));
  assert.equal(await service.halt(), 0);
  assertQuiet(service);
});

test('1,000 connections that say nothing keep nobody out', async (t) => {
  const service = await startService({ store: 'postgres' });
  t.after(() => service.stop());
  const { connect } = await import('node:net');
  const sockets = await Promise.all(
    Array.from(
      { length: 1_000 },
      () =>
        new Promise<ReturnType<typeof connect>>((resolve, reject) => {
          const socket = connect(service.port, '127.0.0.1', () => resolve(socket));
          socket.once('error', reject);
        }),
    ),
  );
  for (const socket of sockets) socket.on('error', () => undefined);
  const account = await register(service);
  assert.equal((await validate(service, account.tokens.access_token)).valid, true);
  for (const socket of sockets) socket.destroy();
  assert.equal(await service.halt(), 0);
});

test('npm start passes signals on, ends with the code of the service and leaves no process behind', async () => {
  const folder = makeFolder();
  const port = await freePort();
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const env = { ...testEnv('embedded', undefined, join(folder, 'store')), PORT: String(port) };
  const child = spawn('npm', ['start', '--silent'], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<readonly [number | null, string | null]>((resolve) =>
    child.once('close', (code, signal) => resolve([code, signal])),
  );
  const url = `http://127.0.0.1:${port}`;
  await until('health', () => isHealthy(url), 60_000);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.equal(await isHealthy(url), false);
});
