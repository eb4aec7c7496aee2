/** How many keys begin with this, on one server: counted where there are few, estimated from a sample where there are many. */
import type { Redis as Single } from 'ioredis';

const sampleMin = 1_000;
const pageSize = 250;

export async function countKeysOf(client: Single, beginning: string): Promise<number> {
  let cursor = '0';
  let seen = 0;
  let matching = 0;
  do {
    const [next, keys] = await client.scan(cursor, 'COUNT', pageSize);
    seen += keys.length;
    matching += keys.filter((key) => key.startsWith(beginning)).length;
    cursor = next;
  } while (cursor !== '0' && seen < sampleMin);
  // The place of a key in the table is as good as random.
  return cursor === '0' ? matching : Math.round(((await client.dbsize()) * matching) / seen);
}
