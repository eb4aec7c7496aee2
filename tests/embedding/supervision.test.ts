/** Each part of a running service is killed; it comes back, the restart is counted, and the service does its work again. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { createLog, createService, readSettings, type Service } from '@auth-service/server';

const dataDir = mkdtempSync(join(tmpdir(), 'auth-service-supervision-'));
const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
let service: Service;
let base: string;

before(async () => {
  service = createService({
    log: createLog({ level: 'info', format: 'json', destination: sink }),
    settings: readSettings({
      DATA_DIR: dataDir,
      NODE_ENV: 'test',
      BCRYPT_COST: '4',
      HOST: '127.0.0.1',
      PORT: '0',
      RATE_LIMIT_ENABLED: 'false',
      PASSWORD_HASH_WORKERS: '1',
    }),
  });
  base = (await service.listen()).url;
});

after(async () => {
  await service.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function restarts(child: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`auth_supervisor_restarts_total{child="${child}"}`));
  assert.ok(line, `no series for ${child}`);
  return Number(line.split(' ')[1]);
}

/** Asks until the answer is not "later"; what it then answers is the caller's to judge. */
async function post(path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    try {
      const response = await fetch(base + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const answer = { status: response.status, body: (await response.json()) as Record<string, unknown> };
      if (answer.status !== 503) return answer;
    } catch {
      // The listener is the part that was killed.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(`${path} did not come back`);
}

const password = 'correct horse battery';
const children = [
  'store',
  'passwords',
  'keys',
  'revocations',
  'mesh',
  'discovery',
  'singletons',
  'sealer',
  'audit-watch',
  'last-seen',
  'mail',
  'worker-hints',
  'control',
  'http',
  'listener',
];

describe('supervision', () => {
  test('every part that runs is known to this test', () => {
    assert.deepEqual(
      service.supervisor.children().map((child) => child.name),
      children,
    );
  });

  for (const child of children) {
    test(`F-34 ${child} is killed, comes back and is counted`, async () => {
      const before = await restarts(child);
      assert.ok(service.supervisor.fail(child, new Error('killed by a test')));
      const running = (): boolean =>
        service.supervisor.children().every((one) => one.state === 'running') &&
        (service.supervisor.children().find((one) => one.name === child)?.restarts ?? 0) > 0;
      for (let round = 0; !running(); round += 1) {
        assert.ok(round < 500, `${child} did not come back`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }

      const email = `${child}@example.org`;
      const made = await post('/api/auth/register', { user: { email, password } });
      assert.equal(made.status, 201);
      const login = await post('/api/auth/login', { email, password });
      assert.equal(login.status, 200);
      const valid = await post('/api/auth/validate-token', { token: login.body['access_token'] });
      assert.equal(valid.body['valid'], true);
      assert.equal(await restarts(child), before + 1);
    });
  }
});
