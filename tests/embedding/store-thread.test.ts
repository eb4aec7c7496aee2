/** The thread of the embedded store really dies, more than once; each time the service finds the store again. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import workerThreads from 'node:worker_threads';
import { createLog, createService, readSettings } from '@auth-service/server';

/** Threads as they are made, so that one can be ended from outside as a crash would. */
const storeThreads: workerThreads.Worker[] = [];
const { Worker } = workerThreads;
workerThreads.Worker = class extends Worker {
  constructor(file: string | URL, options?: workerThreads.WorkerOptions) {
    super(file, options);
    if (options?.name === 'embedded-store') storeThreads.push(this);
  }
};
syncBuiltinESMExports();

test('F-34 the thread of the embedded store dies three times, and is started again three times', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'auth-service-thread-'));
  const service = createService({
    log: createLog({
      level: 'error',
      format: 'json',
      destination: new Writable({ write: (_chunk, _encoding, done) => done() }),
    }),
    settings: readSettings({
      DATA_DIR: dataDir,
      NODE_ENV: 'test',
      BCRYPT_COST: '4',
      HOST: '127.0.0.1',
      PORT: '0',
      RATE_LIMIT_ENABLED: 'false',
    }),
  });
  const { url } = await service.listen();
  for (let round = 1; round <= 3; round += 1) {
    await storeThreads.at(-1)?.terminate();
    let status = 0;
    for (let attempt = 0; attempt < 300 && status !== 201; attempt += 1) {
      const answer = await fetch(`${url}/api/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user: { email: `user-${round}@example.org`, password: 'correct horse battery' } }),
      });
      status = answer.status;
      if (status !== 201) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(status, 201, `the store is found again after death ${round}`);
    assert.equal(storeThreads.length, round + 1);
  }
  await service.stop();
  rmSync(dataDir, { recursive: true, force: true });
});
