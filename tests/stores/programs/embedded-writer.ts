/** Writes rows as fast as it can and prints each id once it is acknowledged, until it is killed. `argv`: folder. */
import { writeSync } from 'node:fs';
import { openEmbedded, statement } from '../../../packages/server/src/platform/database/index.ts';

const insert = statement<[id: string, filler: string], never>(
  'writer.insert',
  'insert into written (id, filler) values ($1, $2)',
);

const [dataDir = ''] = process.argv.slice(2);
const db = await openEmbedded({ dataDir });
await db.execute('create table if not exists written (id uuid primary key, filler text)');
writeSync(1, 'ready\n');
const write = async () => {
  for (let n = 0; ; n += 1) {
    const id = crypto.randomUUID();
    if (n % 2 === 0) await db.run(insert, [id, 'x'.repeat(n % 500)]);
    else await db.transaction((tx) => tx.run(insert, [id, 'x'.repeat(n % 500)]));
    writeSync(1, `${id}\n`);
    if (n % 50 === 49) await db.execute('checkpoint');
  }
};
await Promise.all([write(), write(), write()]);
