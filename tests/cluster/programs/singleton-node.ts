/**
 * A node that runs six jobs for the cluster, in a process of its own: `singleton-node.ts <database url> <name>`.
 *
 * Each run writes its name, its node and its fence, under the fence. The monotonic clock of this process stands still while it is
 * stopped, as that of some suspended machines does: a holder that thaws takes itself for the holder, and only the fence knows.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SingletonKind } from '../../../packages/server/src/cluster/index.ts';
import { openPostgres, statement } from '../../../packages/server/src/platform/database/index.ts';
import { systemClock } from '../../../packages/server/src/platform/time/index.ts';
import { startNode } from '../../rooms/cluster-nodes.ts';

const [url = '', name = ''] = process.argv.slice(2);
const insertRun = statement<[string, string, number], never>(
  'test_cluster_insert_run',
  'insert into runs (job, node, fence) values ($1, $2, $3)',
);
const tickMs = 20;
let tickedMs = 0;
setInterval(() => {
  tickedMs += tickMs;
}, tickMs);

const db = await openPostgres({ connection: url, connectTimeoutMs: 10_000, statementTimeoutMs: 10_000 });
const kinds = Array.from({ length: 6 }, (_, at): SingletonKind => {
  const kind = `job-${at}`;
  const run: SingletonKind['run'] = async ({ fenced, fence }) => {
    // Most of a run is before its write, so a process that is stopped is so most likely there.
    await sleep(100);
    await fenced.run(insertRun, [kind, name, fence]).catch((error: unknown) => {
      console.log(`refused ${kind} ${error instanceof Error ? error.name : ''}`);
      throw error;
    });
  };
  return { kind, standing: true, everyMs: 10, run };
});
const node = await startNode(db, {
  name,
  kinds,
  clock: { ...systemClock, monotonicMs: () => tickedMs },
  times: null,
});
console.log('started');
async function end(): Promise<void> {
  await node.stop();
  await db.close();
  process.exit(0);
}
process.once('SIGTERM', () => void end());
