import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Held, SingletonKind } from '../../packages/server/src/cluster/index.ts';
import { rankNodes } from '../../packages/server/src/cluster/singletons/placement.rule.ts';
import { type Database, one, statement } from '../../packages/server/src/platform/database/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import { until } from '../support/service.ts';
import { forEachStore } from '../support/stores.ts';
import { type Node, startNode } from './cluster-nodes.ts';

const insertRun = statement<[string, number], never>(
  'test_singletons_insert_run',
  'insert into runs (node, fence) values ($1, $2)',
);
const listRuns = statement<[], { node: string; fence: number }>(
  'test_singletons_list_runs',
  'select node, fence from runs order by at, id',
);
const findRow = statement<[string], { owner: string | null; fence: number; last_result: string | null }>(
  'test_singletons_find',
  'select owner, fence, last_result from singletons where name = $1',
);
const updateLeases = statement<[string], never>(
  'test_singletons_update_lease',
  'update singletons set lease_until = clock_timestamp() + $1::interval',
);

/** The database, which writes down who did what. */
async function withHistory(db: Database): Promise<Database> {
  await db.execute(
    'create table if not exists runs (id serial, node text, fence bigint, at timestamptz default clock_timestamp())',
  );
  return db;
}

/** Writes down each run under its fence. */
const recording = (node: string, more: Partial<SingletonKind> = {}): SingletonKind => ({
  kind: 'job',
  standing: true,
  everyMs: 20,
  run: async ({ fenced, fence }) => {
    await fenced.run(insertRun, [node, fence]);
  },
  ...more,
});

const holdersOf = (nodes: readonly Node[], name = 'job'): readonly Node[] =>
  nodes.filter((node) => node.singletons.held().some((held) => held.name === name));

/** Fences grow in the order of the writes: nobody wrote after a later holder had. */
async function assertNoOverlap(db: Database): Promise<void> {
  const runs = await db.run(listRuns, []);
  assert.ok(runs.length > 0, 'something ran');
  for (const [at, run] of runs.entries()) {
    assert.ok(at === 0 || run.fence >= (runs[at - 1]?.fence ?? 0), `run ${at} was written under an older fence`);
  }
}

forEachStore('singletons', (makeDatabase, kind) => {
  const nodes: Node[] = [];
  async function start(db: Database, options: Parameters<typeof startNode>[1]): Promise<Node> {
    const node = await startNode(db, options);
    nodes.push(node);
    return node;
  }
  /** A test, and the end of the nodes that it leaves. */
  const ended = (title: string, body: () => Promise<void>): void => {
    test(title, async () => {
      try {
        await body();
      } finally {
        await stopAll();
      }
    });
  };
  const stopAll = async (): Promise<void> => {
    await Promise.all(nodes.splice(0).map((node) => node.stop()));
  };
  async function stopOne(node: Node): Promise<void> {
    nodes.splice(nodes.indexOf(node), 1);
    await node.stop();
  }

  ended('F-36 of 16 candidates that start at once one has it, and all its runs are of one fence', async () => {
    const db = await withHistory(await makeDatabase());
    const names = Array.from({ length: 16 }, (_, at) => `n${at}`);
    await Promise.all(names.map((name) => start(db, { name, kinds: [recording(name)] })));
    await until('the first runs', async () => (await db.run(listRuns, [])).length > 5);
    await until('one holder', async () => holdersOf(nodes).length === 1);
    await assertNoOverlap(db);
  });

  ended(
    'F-36 a frozen holder that thaws writes nothing: its clock has stopped it, and the fence would refuse it',
    async () => {
      const db = await withHistory(await makeDatabase());
      const frozen = Promise.withResolvers<void>();
      let entered = false;
      let late: unknown;
      let held: Held | undefined;
      const a = await start(db, {
        name: 'a',
        kinds: [
          recording('a', {
            run: async (given) => {
              held = given;
              entered = true;
              await frozen.promise;
              await given.fenced.run(insertRun, ['late', given.fence]).catch((error: unknown) => {
                late = error;
                throw error;
              });
            },
          }),
        ],
      });
      await until('the run', async () => entered);
      await a.freeze();
      const b = await start(db, { name: 'b', kinds: [recording('b')] });
      await until('the other node', async () => (await db.run(listRuns, [])).some((run) => run.node === 'b'));
      a.thaw();
      frozen.resolve();
      await until('the refusal', async () => late instanceof Error && late.name === 'FenceLost');
      await until('the result', async () => a.results.includes('lost'));
      await assert.rejects(async () => held?.fenced.run(insertRun, ['later', 0]), { name: 'FenceLost' });
      assert.ok((await db.run(listRuns, [])).every((run) => run.node === 'b'));
      assert.deepEqual(holdersOf([a, b]), [b]);
    },
  );

  // The embedded store has one connection, so no other takes anything while a transaction is open.
  if (kind === 'postgres') {
    ended('F-36 a write under a fence keeps others from taking over until it has committed', async () => {
      const db = await withHistory(await makeDatabase());
      const a = await start(db, { name: 'a', kinds: [] });
      const registered = await a.registry.register('a name');
      assert.ok(registered !== undefined);
      const inside = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const writing = db.transaction(async (tx) => {
        await registered.assertFence(tx);
        inside.resolve();
        await goOn.promise;
        await tx.run(insertRun, ['a', registered.fence]);
      });
      await inside.promise;
      await db.run(updateLeases, ['-1 seconds']);
      const b = await start(db, { name: 'b', kinds: [] });
      assert.equal(await b.registry.register('a name'), undefined, 'it is written under');
      goOn.resolve();
      await writing;
      await db.run(updateLeases, ['-1 seconds']);
      assert.ok((await b.registry.register('a name')) !== undefined);
    });
  }

  ended('a step of the database’s clock costs a change of hands at most, and never two that write', async () => {
    const db = await withHistory(await makeDatabase());
    const [a, b] = [
      await start(db, { name: 'a', kinds: [recording('a')] }),
      await start(db, { name: 'b', kinds: [recording('b')] }),
    ];
    await until('runs', async () => (await db.run(listRuns, [])).length > 3);
    for (const step of ['-1 hours', '1 hours', '-1 hours', '1 hours']) {
      const before = (await db.run(listRuns, [])).length;
      // A clock that goes ahead by an hour leaves leases that ended an hour ago; one that goes back, leases far ahead.
      await db.run(updateLeases, [step]);
      await until('further runs', async () => (await db.run(listRuns, [])).length > before + 3);
    }
    await until('one holder', async () => holdersOf([a, b]).length === 1);
    await assertNoOverlap(db);
  });

  ended('the wall clock of a node is not asked', async () => {
    const db = await withHistory(await makeDatabase());
    let offsetMs = 0;
    const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + offsetMs };
    const a = await start(db, { name: 'a', kinds: [recording('a')], clock });
    await until('runs', async () => (await db.run(listRuns, [])).length > 3);
    offsetMs = 3_600_000;
    const before = (await db.run(listRuns, [])).length;
    await until('further runs', async () => (await db.run(listRuns, [])).length > before + 3);
    offsetMs = -3_600_000;
    await until('further runs', async () => (await db.run(listRuns, [])).length > before + 6);
    assert.deepEqual(a.changes, ['taken job']);
  });

  ended('a holder that cannot renew stops by its own clock before its lease ends', async () => {
    const db = await withHistory(await makeDatabase());
    let broken = false;
    const flaky = new Proxy(db, {
      get(target, name) {
        if (name === 'run' && broken) return () => Promise.reject(new Error('no answer'));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const a = await start(flaky, { name: 'a', kinds: [recording('a')] });
    await until('the holder', async () => holdersOf([a]).length === 1);
    broken = true;
    await until('the end', async () => holdersOf([a]).length === 0);
    const rows = await db.run(
      statement<[], { left_ms: number }>(
        `test_singletons_left_${randomUUID().slice(0, 8)}`,
        'select (extract(epoch from lease_until - clock_timestamp()) * 1000)::float8 as left_ms from singletons',
      ),
      [],
    );
    assert.ok((rows[0]?.left_ms ?? 0) > 0, `its lease had ${rows[0]?.left_ms} ms left`);
    broken = false;
    await until('it is back', async () => holdersOf([a]).length === 1);
    assert.deepEqual(a.changes, ['taken job', 'lost job', 'taken job']);
    await assertNoOverlap(db);
  });

  ended('a node that joins is handed its share, once, and gives it back when it goes', async () => {
    const db = await makeDatabase();
    const kinds = Array.from({ length: 8 }, (_, at): SingletonKind => {
      return { kind: `job-${at}`, standing: true, everyMs: 50, run: async () => undefined };
    });
    const [one, two] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];
    const share = kinds.filter(({ kind }) => rankNodes(kind, [one, two])[0] === two).length;
    assert.ok(share > 0 && share < 8);
    const a = await start(db, { name: 'a', kinds, incarnation: one });
    await until('all at one', async () => a.singletons.held().length === 8);
    const b = await start(db, { name: 'b', kinds, incarnation: two });
    await until('its share', async () => b.singletons.held().length === share);
    await sleep(1_000);
    assert.deepEqual([a.singletons.held().length, b.singletons.held().length], [8 - share, share]);
    assert.equal(a.changes.length, 8 + share, 'nothing moves without a reason');
    assert.equal(b.changes.length, share);
    await stopOne(b);
    await until('all at one again', async () => a.singletons.held().length === 8);
  });

  ended('a node that does not take up what it is handed is not handed it again and again', async () => {
    const db = await withHistory(await makeDatabase());
    const a = await start(db, {
      name: 'a',
      kinds: [recording('a')],
      incarnation: '00000000-0000-4000-8000-000000000001',
    });
    await until('the holder', async () => holdersOf([a]).length === 1);
    // It tells that it runs the kind, and does not. Enough of them that one is preferred to the holder.
    for (let at = 0; at < 6; at += 1) await start(db, { name: `idle-${at}`, kinds: [], told: ['job'] });
    await until('handed over', async () => a.changes.includes('handed_over job'));
    await until('back', async () => holdersOf([a]).length === 1);
    const changes = a.changes.length;
    await sleep(1_500);
    assert.equal(a.changes.length, changes, a.changes.join());
  });

  ended('a run that fails is counted, told in the row, and tried again', async () => {
    const db = await makeDatabase();
    let runs = 0;
    const a = await start(db, {
      name: 'a',
      kinds: [
        {
          kind: 'job',
          standing: true,
          everyMs: 20,
          run: async () => {
            runs += 1;
            if (runs === 1) throw new Error('once');
            return { runs };
          },
        },
      ],
    });
    await until('the second run', async () => a.results.length >= 2);
    assert.deepEqual(a.results.slice(0, 2), ['failure', 'success']);
    const told = await until('the row', async () =>
      (await a.singletons.read()).find((row) => row.last_result === 'success'),
    );
    assert.equal(typeof told.detail['runs'], 'number');
    assert.ok(told.last_run !== null);
  });

  ended('the schedule goes on where another node left it', async () => {
    const db = await withHistory(await makeDatabase());
    const everyMs = 3_600_000;
    const a = await start(db, { name: 'a', kinds: [recording('a', { everyMs })] });
    await until('the holder', async () => holdersOf([a]).length === 1);
    await stopOne(a);
    await db.execute(`update singletons set last_run = clock_timestamp() - interval '2 hours'`);
    await start(db, { name: 'b', kinds: [recording('b', { everyMs })] });
    await until('the run that was due', async () => (await db.run(listRuns, [])).length === 1);
    await sleep(300);
    assert.equal((await db.run(listRuns, [])).length, 1);
  });

  ended('a stop hands over to another node at once, and waits for the run under way', async () => {
    const db = await withHistory(await makeDatabase());
    const goOn = Promise.withResolvers<void>();
    let entered = false;
    const slow: SingletonKind = {
      ...recording('a'),
      run: async ({ fenced, fence, signal }) => {
        entered = true;
        signal.addEventListener('abort', () => goOn.resolve());
        await goOn.promise;
        await fenced.run(insertRun, ['a', fence]);
      },
    };
    const a = await start(db, { name: 'a', kinds: [slow] });
    await until('the run', async () => entered);
    const b = await start(db, { name: 'b', kinds: [recording('b')] });
    await until('b knows', async () => b.membership.members().length === 2);
    await until('a knows', async () => a.membership.members().length === 2);
    const owner = (await one(db, findRow, ['job']))?.owner;
    await stopOne(a);
    if (owner === a.incarnation) {
      assert.equal((await one(db, findRow, ['job']))?.owner, b.incarnation, 'it was handed to the other one');
    }
    await until('the other one', async () => (await db.run(listRuns, [])).some((run) => run.node === 'b'));
    assert.ok(
      (await db.run(listRuns, [])).every((run) => run.node === 'b'),
      'what was told to stop wrote nothing',
    );
  });

  ended(
    'a child is started at run time, runs on one node, goes on elsewhere, and ends everywhere when it is stopped',
    async () => {
      const db = await withHistory(await makeDatabase());
      const kindOf = (node: string): SingletonKind => ({ ...recording(node), kind: 'child', standing: false });
      const a = await start(db, { name: 'a', kinds: [kindOf('a')] });
      const b = await start(db, { name: 'b', kinds: [kindOf('b')] });
      assert.equal(await a.registry.startChild({ name: 'x', kind: 'child', spec: { of: 1 } }), true);
      assert.equal(await b.registry.startChild({ name: 'x', kind: 'child' }), false, 'one of each name');
      await assert.rejects(async () => a.registry.startChild({ name: 'y', kind: 'unknown' }), /no kind of child/);
      await until('its runs', async () => (await db.run(listRuns, [])).length > 2);
      for (const node of [a, b]) {
        const found = await node.registry.lookup('x');
        assert.deepEqual([found?.kind, found?.spec], ['child', { of: 1 }]);
        assert.ok(found?.node === 'a' || found?.node === 'b');
      }
      const [holder] = await until(
        'a holder',
        async () => holdersOf([a, b], 'x').length === 1 && holdersOf([a, b], 'x'),
      );
      assert.ok(holder !== undefined);
      const other = holder === a ? b : a;
      await stopOne(holder);
      await until('the other node', async () => (await db.run(listRuns, [])).some((run) => run.node === other.name));
      assert.equal(await other.registry.stopChild('x'), true);
      assert.equal(await other.registry.stopChild('x'), false);
      assert.equal(await other.registry.lookup('x'), undefined);
      await until('its end', async () => other.singletons.held().length === 0);
      await assertNoOverlap(db);
    },
  );

  ended('a registered name is one node’s, found from every node, and free again when that node has ended', async () => {
    const db = await makeDatabase();
    const [a, b] = [await start(db, { name: 'a', kinds: [] }), await start(db, { name: 'b', kinds: [] })];
    const all = await Promise.all(
      Array.from({ length: 16 }, (_, at) => (at % 2 === 0 ? a : b).registry.register('leader', { at })),
    );
    const won = all.filter((one) => one !== undefined);
    assert.equal(won.length, 1, 'one of 16');
    const winner = all.findIndex((one) => one !== undefined) % 2 === 0 ? a : b;
    for (const node of [a, b]) assert.equal((await node.registry.lookup('leader'))?.node, winner.name);
    assert.deepEqual(
      (await a.registry.list()).map((entry) => entry.name),
      ['leader'],
    );
    await sleep(2_000);
    assert.ok(!won[0]?.signal.aborted, 'it is renewed');
    const other = winner === a ? b : a;
    await stopOne(winner);
    assert.ok(won[0]?.signal.aborted);
    assert.equal(await other.registry.lookup('leader'), undefined);
    const next = await other.registry.register('leader');
    assert.ok(next !== undefined && next.fence > (won[0]?.fence ?? 0));
    await next.release();
    assert.deepEqual(await other.registry.list(), []);
  });
});
