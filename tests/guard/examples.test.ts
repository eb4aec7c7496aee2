/** Every example of a protected service, started by its own command in front of the real service: the same behaviour in each. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { login, logout, newEmail, newPassword, register } from '../service/support/suite.ts';
import { tokensOf } from '../support/http.ts';
import { freePort } from '../support/ports.ts';
import { type RunningService, startService, until } from '../support/service.ts';

const admin = { email: newEmail('admin'), password: newPassword() };
let service: RunningService;
let apiKey = '';

before(async () => {
  const env = { BOOTSTRAP_ADMIN_EMAIL: admin.email, BOOTSTRAP_ADMIN_PASSWORD: admin.password };
  service = await startService({ store: 'embedded', env });
  const { access_token: token } = tokensOf(await login(service, admin));
  const key = { name: 'orders', permissions: ['revocations:read'] };
  const answer = await service.api.post('/api/admin/api-keys', key, { token });
  apiKey = (answer.body as { secret: string }).secret;
});
after(() => service.stop());

for (const name of ['node', 'express', 'fastify', 'hono', 'nest', 'web']) {
  describe(`the example ${name}`, () => {
    let child: ChildProcess | undefined;
    let output = '';
    let url = '';
    let ended: Promise<number | null> = Promise.resolve(null);
    before(async () => {
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      const file = fileURLToPath(new URL(`../../examples/${name}/main.ts`, import.meta.url));
      child = spawn(process.execPath, [file], {
        env: {
          ...process.env,
          PORT: String(port),
          AUTH_ISSUER: service.url.replace('127.0.0.1', 'localhost'),
          AUTH_API_KEY: apiKey,
        },
      });
      child.stdout?.on('data', (chunk) => {
        output += chunk;
      });
      child.stderr?.on('data', (chunk) => {
        output += chunk;
      });
      ended = new Promise((resolve) => child?.on('close', resolve));
      let gone = false;
      void ended.then(() => {
        gone = true;
      });
      await until(`the example: ${output}`, async () => {
        assert.ok(!gone, output);
        return (
          output.includes('orders on ') &&
          fetch(url).then(
            (answer) => answer.ok,
            () => false,
          )
        );
      });
    });
    after(async () => {
      child?.kill('SIGKILL');
      await ended;
    });

    const ask = (method: string, path: string, token?: string): Promise<Response> =>
      fetch(url + path, { method, headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } });

    test('lets in who is known, tells strangers apart, and wants the permission', async () => {
      const { tokens } = await register(service);
      const { access_token: token, user } = tokens;
      const orders = await ask('GET', '/orders', token);
      assert.deepEqual([orders.status, await orders.json()], [200, { orders: [], for: user.id }]);
      assert.equal((await ask('GET', '/orders')).status, 401);
      assert.equal(await (await ask('GET', '/')).text(), 'hello stranger');
      assert.equal(await (await ask('GET', '/', token)).text(), `hello ${user.id}`);
      assert.equal((await ask('DELETE', '/orders', token)).status, 403);
      const { access_token: all } = tokensOf(await login(service, admin));
      assert.equal((await ask('DELETE', '/orders', all)).status, 204);
    });

    test('REV-01 refuses a session that was ended, and ends in good order', async () => {
      const { tokens } = await register(service);
      assert.equal((await ask('GET', '/orders', tokens.access_token)).status, 200);
      await logout(service, tokens.access_token);
      await until('the end', async () => (await ask('GET', '/orders', tokens.access_token)).status === 401);
      child?.kill('SIGTERM');
      assert.equal(await ended, 0, output);
    });
  });
}
