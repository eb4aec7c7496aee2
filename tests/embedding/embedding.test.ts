/** The whole API inside a host application: as a Fastify plugin, and as a plain handler of `node:http`. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { createLog, createService, readSettings, type Service, SettingsInvalid } from '@auth-service/server';
import Fastify from 'fastify';

const dataDir = mkdtempSync(join(tmpdir(), 'auth-service-embedding-'));
const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
let service: Service;

before(async () => {
  service = createService({
    log: createLog({ level: 'info', format: 'json', destination: sink }),
    settings: readSettings({ DATA_DIR: dataDir, NODE_ENV: 'test', BCRYPT_COST: '4', PUBLIC_URL: 'http://host.test' }),
  });
  await service.start();
});

after(async () => {
  await service.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Register, login, validate, logout, validate again; a route of the host beside them. */
async function walk(base: string, email: string): Promise<void> {
  const post = async (
    path: string,
    body?: object,
    token?: string,
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(base + path, {
      method: 'POST',
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const password = 'correct horse battery';
  assert.equal((await post('/api/auth/register', { user: { email, password } })).status, 201);
  const login = await post('/api/auth/login', { email, password });
  assert.equal(login.status, 200);
  const token = String(login.body['access_token']);
  assert.equal((await post('/api/auth/validate-token', { token })).body['valid'], true);
  assert.equal((await post('/api/auth/logout', undefined, token)).body['effective_everywhere'], true);
  assert.deepEqual((await post('/api/auth/validate-token', { token })).body, { valid: false, reason: 'revoked' });
  assert.equal((await post('/api/auth/login', { email })).status, 422);
  assert.equal((await fetch(`${base}/health`)).status, 200);
  assert.equal(await (await fetch(`${base}/hello`)).text(), 'hello');
}

describe('the service in a host application', () => {
  test('serves its API as a Fastify plugin beside the routes of the host', async () => {
    const app = Fastify();
    app.get('/hello', async () => 'hello');
    await app.register(service.plugin);
    const base = await app.listen({ port: 0, host: '127.0.0.1' });
    try {
      await walk(base, 'fastify@example.org');
    } finally {
      await app.close();
    }
  });

  test('serves its API as a plain handler of node:http', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/hello') response.end('hello');
      else service.handler(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await walk(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'node@example.org');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('tells everything that is wrong with its settings at once', () => {
    assert.throws(
      () => readSettings({ DATA_DIR: dataDir, PORT: 'x', BCRYPT_COST: '1' }),
      (error: unknown) => error instanceof SettingsInvalid && error.problems.length === 2,
    );
  });
});
