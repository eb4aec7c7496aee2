import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { every } from '../../packages/server/src/periodic.ts';
import {
  type Database,
  DatabaseUnavailable,
  type DedicatedConnection,
  type Statement,
  statement,
} from '../../packages/server/src/platform/database/index.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, register } from './rooms.ts';

const leases = statement<[], { leases: number }>('test_beat_leases', 'select count(*) as leases from cluster_nodes');
const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';

/** The database, with a gate before the statements of the beat's own connection. */
function gated(db: Database) {
  const gate = {
    before: async (_name: string): Promise<void> => undefined,
    instead: (_what: Statement<readonly unknown[], unknown>, _params: readonly unknown[]): void => undefined,
  };
  const dedicated = async (): Promise<DedicatedConnection> => {
    const inner = await db.dedicated();
    return {
      run: async (what, params) => {
        await gate.before(what.name);
        gate.instead(what as Statement<readonly unknown[], unknown>, params);
        return inner.run(what, params);
      },
      close: () => inner.close(),
    };
  };
  const wrapped = new Proxy(db, {
    get(target, name) {
      if (name === 'dedicated') return dedicated;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { db: wrapped, gate };
}

forEachStore('beat', (makeDatabase) => {
  const leasesOf = async (db: Database): Promise<number> => (await db.run(leases, []))[0]?.leases ?? -1;

  test('a stop that comes to its end late never takes the lease of the next start away', async () => {
    const inner = await makeDatabase();
    const { db, gate } = gated(inner);
    const a = await openRooms(db, { name: 'a', rootSecret });
    const user = await register(a.core);
    const late = Promise.withResolvers<void>();
    gate.before = async (name) => {
      if (name === 'cluster_nodes_delete') await late.promise;
    };
    // As the supervisor does it: it waits for the stop only so long, then it starts again.
    const stopping = a.core.beat?.stop();
    const starting = a.core.beat?.start(() => undefined);
    await sleep(50);
    assert.equal(a.core.validate(user.access_token, {}), 'stale', 'nothing is vouched for while the lease may go');
    late.resolve();
    await stopping;
    await starting;
    assert.equal(await leasesOf(inner), 1);
    const verdict = a.core.validate(user.access_token, {});
    assert.ok(verdict !== 'stale' && verdict.valid);
    await a.stop();
    assert.equal(await leasesOf(inner), 0);
  });

  test('a deletion of a lease that was given up, and runs late, takes nothing that was taken after it', async () => {
    const inner = await makeDatabase();
    const { db, gate } = gated(inner);
    const a = await openRooms(db, { name: 'a', rootSecret });
    const late: (() => Promise<unknown>)[] = [];
    gate.instead = (what, params) => {
      if (what.name !== 'cluster_nodes_delete') return;
      late.push(() => inner.run(what, params));
      throw new DatabaseUnavailable('deadline');
    };
    await a.core.beat?.stop();
    await a.core.beat?.start(() => undefined);
    assert.equal(late.length, 1);
    for (const run of late) await run();
    assert.equal(await leasesOf(inner), 1, 'the node vouches, so its lease is there');
    gate.instead = () => undefined;
    await a.stop();
    assert.equal(await leasesOf(inner), 0);
  });

  test('a start that hangs and is called off leaves nothing running behind', async () => {
    const inner = await makeDatabase();
    const { db, gate } = gated(inner);
    const a = await openRooms(db, { name: 'a', rootSecret });
    await a.core.beat?.stop();
    const hang = Promise.withResolvers<void>();
    gate.before = async (name) => {
      if (name === 'revocations_list_live') await hang.promise;
    };
    const starting = a.core.beat?.start(() => undefined);
    const refused = assert.rejects(async () => starting, /called off/);
    await sleep(50);
    const stopping = a.core.beat?.stop();
    hang.resolve();
    await stopping;
    await refused;
    await sleep(100);
    assert.equal(await leasesOf(inner), 0);
    await a.stop();
  });

  test('a node that serves while stale keeps its lease while its beat is started again', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret, variables: { REVOCATION_WHEN_STALE: 'serve' } });
    await a.core.beat?.stop({ keepLease: true });
    assert.equal(await leasesOf(db), 1);
    await a.core.beat?.start(() => undefined);
    await a.stop();
    assert.equal(await leasesOf(db), 0);
  });
});

test('a store that is away for long is no fault of those who work with it every so often', async () => {
  let rounds = 0;
  let failure: unknown;
  const work = every(
    1,
    async () => {
      rounds += 1;
      throw rounds <= 100 ? new DatabaseUnavailable('away') : new Error('a fault');
    },
    (error) => {
      failure ??= error;
    },
  );
  const keepAlive = setInterval(() => undefined, 10);
  while (failure === undefined) await sleep(1);
  clearInterval(keepAlive);
  await work.stop();
  assert.ok(failure instanceof Error && failure.message === 'a fault');
  assert.ok(rounds > 100);
});
