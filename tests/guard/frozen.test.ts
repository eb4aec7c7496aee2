/** A guarded process that is frozen and thaws: what it finds in its sockets then is old, and so is what it knows. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../support/service.ts';
import { apiKey, startFakeService } from './fake-service.ts';

const program = fileURLToPath(new URL('./programs/guarded.ts', import.meta.url));
const maxStalenessSeconds = 1;

test('REV-07 a process that was frozen past its bound accepts nothing that was revoked meanwhile', async () => {
  const service = await startFakeService();
  const child = fork(program);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    child.send({ issuer: service.url, audience: 'orders', apiKey, maxStalenessSeconds });
    const port = await new Promise<number>((resolve) => child.once('message', (told) => resolve(Number(told))));
    const ask = async (token: string): Promise<number> => {
      const headers = { Authorization: `Bearer ${token}` };
      return (await fetch(`http://127.0.0.1:${port}/`, { headers, signal: AbortSignal.timeout(30_000) })).status;
    };
    await until('the stream', async () => service.streams() > 0);
    for (let round = 0; round < 3; round += 1) {
      const sid = `ended-while-frozen-${round}`;
      const token = service.forge.token({ claims: { sid } });
      await until('it to be fresh', async () => (await ask(token)) === 200);
      child.kill('SIGSTOP');
      // What is asked first after the thaw is decided before any news were read, or after: never with what was known before.
      await sleep(maxStalenessSeconds * 1_000 + 100);
      service.revoke({ kind: 'session', subject: sid });
      const asked = Array.from({ length: 20 }, () => ask(token));
      await sleep(100);
      child.kill('SIGCONT');
      const answers = new Set(await Promise.all(asked));
      assert.ok(!answers.has(200), `answered ${[...answers].join(', ')}`);
      await until('it to know', async () => (await ask(token)) === 401);
    }
  } finally {
    child.kill('SIGKILL');
    await ended;
    await service.close();
  }
});
