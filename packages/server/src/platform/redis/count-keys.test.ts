import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Redis as Single } from 'ioredis';
import { countKeysOf } from './count-keys.ts';

function server(answers: { readonly scan: () => Promise<[string, string[]]>; readonly dbsize: () => Promise<number> }) {
  return answers as unknown as Single;
}

/** Whatever nobody handled has been told by then. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

async function unhandledDuring(work: () => Promise<void>): Promise<readonly unknown[]> {
  const seen: unknown[] = [];
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (reason) => seen.push(reason));
  try {
    await work();
    await settled();
  } finally {
    process.removeAllListeners('unhandledRejection');
    for (const other of others) process.on('unhandledRejection', other);
  }
  return seen;
}

test('DOS-05 a count that Redis breaks off fails for whoever asked, and is no rejection that nobody handles', async () => {
  const away = (): Promise<never> => Promise.reject(new Error('Connection is closed.'));
  const asked = () => assert.rejects(countKeysOf(server({ scan: away, dbsize: away }), 'a:{'), /closed/);
  assert.deepEqual(await unhandledDuring(asked), []);
});

test('few keys are counted, many are estimated, and the size of a server is asked for only where it is needed', async () => {
  const refused = (): Promise<never> => Promise.reject(new Error('NOPERM'));
  const few = server({ scan: async () => ['0', ['a:{1}', 'b:{1}', 'a:{2}']], dbsize: refused });
  const counting = async (): Promise<void> => assert.equal(await countKeysOf(few, 'a:{'), 2);
  assert.deepEqual(await unhandledDuring(counting), []);
  const page = Array.from({ length: 250 }, (_, at) => `${at % 2 === 0 ? 'a' : 'b'}:{${at}}`);
  const many = server({ scan: async () => ['7', page], dbsize: async () => 1_000_000 });
  assert.equal(await countKeysOf(many, 'a:{'), 500_000);
});
