/** The PostgreSQL driver when the server is away, frozen, slow, full, or restarted. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  checkPostgresSettings,
  type Database,
  DatabaseUnavailable,
  openPostgres,
  type PostgresOptions,
  statement,
} from '../../packages/server/src/platform/database/index.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { besideOthers } from '../support/slack.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const read = statement<[id: number], { readonly n: number }>('pg_test.read', 'select n from pg_test where id = $1');
const bump = statement<[id: number], never>('pg_test.bump', 'update pg_test set n = n + 1 where id = $1');
const insert = statement<[id: string], never>('pg_test.insert', 'insert into pg_log (id) values ($1)');
const listLog = statement<[], { readonly id: string }>('pg_test.list_log', 'select id from pg_log');
const sleepFor = statement<[seconds: number], unknown>('pg_test.sleep', 'select pg_sleep($1)');

/** By when a call must have failed: the contract's half second, and room for a machine that is busy with other tests. */
const failsWithinMs = 1_500;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ settings: { max_connections: '30' } });
});
after(() => server.stop());

let url: string;
beforeEach(async () => {
  url = await server.createDatabase();
  await server.query(
    `create table pg_test (id int primary key, n int not null default 0); insert into pg_test select generate_series(1, 10);
     create table pg_log (id uuid primary key)`,
    url,
  );
});

async function withDatabase(options: Partial<PostgresOptions>, work: (db: Database) => Promise<void>): Promise<void> {
  const db = await openPostgres({ connection: url, ...options });
  try {
    await work(db);
  } finally {
    await db.close();
  }
}

const unavailable = (thrown: unknown): thrown is DatabaseUnavailable => thrown instanceof DatabaseUnavailable;

/** One of each kind of call, with how long each took to settle. */
async function oneOfEach(db: Database): Promise<{ failed: number; unexpected: unknown[]; slowestMs: number }> {
  const startedAt = performance.now();
  const calls = [
    ...Array.from({ length: 20 }, () => db.run(read, [1])),
    ...Array.from({ length: 20 }, (_, n) => db.run(bump, [(n % 10) + 1])),
    ...Array.from({ length: 5 }, () => db.transaction((tx) => tx.run(bump, [1]))),
    db.dedicated().then(async (connection) => {
      try {
        await connection.run(read, [1]);
      } finally {
        await connection.close();
      }
    }),
  ];
  const results = await Promise.allSettled(calls);
  const reasons = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
  return {
    failed: reasons.length,
    unexpected: reasons.filter((reason) => !unavailable(reason)),
    slowestMs: performance.now() - startedAt,
  };
}

async function untilWorking(db: Database): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await db.run(read, [1]);
      await db.run(bump, [1]);
      return;
    } catch (failure) {
      if (!unavailable(failure) || attempt > 600) throw failure;
      await sleep(25);
    }
  }
}

async function assertAwayThenFast(db: Database): Promise<void> {
  const first = await oneOfEach(db);
  assert.deepEqual(first.unexpected, []);
  assert.ok(first.failed > 40, `${first.failed} failed`);
  assert.ok(first.slowestMs < besideOthers(failsWithinMs), `noticed after ${first.slowestMs} ms`);
  const second = await oneOfEach(db);
  assert.equal(second.failed, 46);
  assert.ok(second.slowestMs < besideOthers(100), `failed fast in ${second.slowestMs} ms`);
}

describe('the PostgreSQL driver', () => {
  test('F-29 a frozen server fails every call in time, then at once, and is found again when it thaws', () =>
    withDatabase({}, async (db) => {
      await oneOfEach(db);
      server.pause();
      try {
        await assertAwayThenFast(db);
      } finally {
        server.resume();
      }
      await untilWorking(db);
      assert.equal((await oneOfEach(db)).failed, 0);
    }));

  test('F-29 a link that fell silent is noticed in time, its connections are given up, and new ones are made', async () => {
    const proxy = await startTcpProxy(server.port);
    const states: string[] = [];
    const connection = url.replace(`:${server.port}/`, `:${proxy.port}/`);
    await withDatabase({ connection, onState: (state) => states.push(state) }, async (db) => {
      await oneOfEach(db);
      proxy.silence();
      await assertAwayThenFast(db);
      proxy.heal();
      await untilWorking(db);
      assert.equal((await oneOfEach(db)).failed, 0, 'no connection of the pool is stuck');
      assert.deepEqual(states, ['away', 'up']);
    });
    await proxy.close();
  });

  test('F-18 a slow link is slow, not away', async () => {
    const proxy = await startTcpProxy(server.port);
    const states: string[] = [];
    const connection = url.replace(`:${server.port}/`, `:${proxy.port}/`);
    const options = { connection, connectTimeoutMs: 2_000, statementTimeoutMs: 5_000 };
    await withDatabase({ ...options, onState: (state) => states.push(state) }, async (db) => {
      await db.run(read, [1]);
      proxy.delay(100);
      const results = await Promise.allSettled(Array.from({ length: 10 }, (_, n) => db.run(bump, [n + 1])));
      assert.ok(results.every(({ status }) => status === 'fulfilled'));
      assert.deepEqual(states, []);
    });
    await proxy.close();
  });

  test('a server that is killed: what was acknowledged is there after its restart, and the driver finds it by itself', () =>
    withDatabase({ poolSize: 5 }, async (db) => {
      const acknowledged: string[] = [];
      let stop = false;
      const write = async () => {
        while (!stop) {
          const id = crypto.randomUUID();
          try {
            await (Math.random() < 0.5 ? db.run(insert, [id]) : db.transaction((tx) => tx.run(insert, [id])));
            acknowledged.push(id);
          } catch (failure) {
            if (!unavailable(failure)) throw failure;
            await sleep(5);
          }
        }
      };
      const writers = Array.from({ length: 8 }, write);
      while (acknowledged.length < 100) await sleep(5);
      await server.kill9();
      const away = await oneOfEach(db);
      assert.equal(away.failed, 46);
      assert.deepEqual(away.unexpected, []);
      await server.restart();
      const beforeRestart = acknowledged.length;
      await untilWorking(db);
      while (acknowledged.length < beforeRestart + 10) await sleep(5);
      stop = true;
      await Promise.all(writers);
      const found = new Set((await db.run(listLog, [])).map(({ id }) => id));
      assert.deepEqual(
        acknowledged.filter((id) => !found.has(id)),
        [],
      );
    }));

  test('connections that the server ended cost at most the calls that were on them', () =>
    withDatabase({}, async (db) => {
      await oneOfEach(db);
      await server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
        url,
      );
      await untilWorking(db);
      assert.equal((await oneOfEach(db)).failed, 0);
    }));

  test('F-18 a statement that takes too long is ended by its deadline, and holds up nobody else', () =>
    withDatabase({ statementTimeoutMs: 600 }, async (db) => {
      const slow = db.run(sleepFor, [30]).then(
        () => assert.fail('it was not ended'),
        (failure: unknown) => failure,
      );
      await sleep(150);
      let answered = 0;
      const others = Array.from({ length: 50 }, () => db.run(read, [1]).then(() => (answered += 1)));
      const failure = await Promise.race([slow, Promise.all(others).then(() => undefined)]);
      assert.equal(failure, undefined, 'reads went past the slow one');
      assert.equal(answered, 50);
      const ended = await slow;
      assert.ok(unavailable(ended) && ended.reason === 'deadline');
    }));

  test('F-18 a lock that is not given back: writers fail by their deadline, readers go on', () =>
    withDatabase({ statementTimeoutMs: 600 }, async (db) => {
      await db.session(async (holder) => {
        await holder.execute('begin; lock table pg_test in exclusive mode');
        const blocked = db.run(bump, [1]);
        blocked.catch(() => undefined);
        for (let n = 0; n < 50; n += 1) await db.run(read, [1]);
        await assert.rejects(blocked, (thrown) => unavailable(thrown) && thrown.reason === 'deadline');
        await holder.execute('rollback');
      });
      await db.run(bump, [1]);
    }));

  test('two transactions that wait for each other both succeed in the end', () =>
    withDatabase({ statementTimeoutMs: 2_000 }, async (db) => {
      let runs = 0;
      const both = [
        [1, 2],
        [2, 1],
      ].map(([first = 0, second = 0]) =>
        db.transaction(async (tx) => {
          runs += 1;
          await tx.run(bump, [first]);
          await sleep(runs <= 2 ? 100 : 0);
          await tx.run(bump, [second]);
        }),
      );
      await Promise.all(both);
      assert.ok(runs > 2, 'one was tried again');
      assert.deepEqual([await db.run(read, [1]), await db.run(read, [2])], [[{ n: 2 }], [{ n: 2 }]]);
    }));

  test('F-19 who finds no connection in time is told so, and all is well when there is one again', () =>
    withDatabase({ poolSize: 2, connectTimeoutMs: 450, transactionTimeoutMs: 20_000 }, async (db) => {
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      const holders = [1, 2].map((id) =>
        db.transaction(async (tx) => {
          await tx.run(bump, [id]);
          await gate;
        }),
      );
      await assert.rejects(db.run(bump, [3]), (thrown) => unavailable(thrown) && thrown.reason === 'pool_exhausted');
      assert.deepEqual(await db.run(read, [3]), [{ n: 0 }], 'reads need no connection of the pool');
      open();
      await Promise.all(holders);
      await db.run(bump, [3]);
      assert.deepEqual(db.pool(), { total: 2, idle: 2, waiting: 0 });
    }));

  test('F-19 a server that is full: those who are in are served, and more join when there is room', () =>
    withDatabase({ poolSize: 8, connectTimeoutMs: 3_000 }, async (db) => {
      await db.run(bump, [1]);
      const guests = await Promise.all(
        Array.from({ length: 40 }, async () => {
          try {
            return await openPostgres({ connection: url, poolSize: 1, lanes: 0, connectTimeoutMs: 3_000 });
          } catch (failure) {
            assert.ok(unavailable(failure));
            return undefined;
          }
        }),
      );
      assert.ok(guests.includes(undefined), 'the server is full');
      await Promise.all(Array.from({ length: 20 }, (_, n) => db.run(bump, [(n % 10) + 1])));
      for (const guest of guests) await guest?.close();
      await Promise.all(Array.from({ length: 20 }, (_, n) => db.run(bump, [(n % 10) + 1])));
    }));

  test('a transaction that never ends is rolled back at its deadline and gives its connection back', () =>
    withDatabase({ poolSize: 1, transactionTimeoutMs: 300, connectTimeoutMs: 2_000 }, async (db) => {
      const hung = db.transaction(async (tx) => {
        await tx.run(bump, [1]);
        await new Promise(() => undefined);
      });
      await assert.rejects(hung, (thrown) => unavailable(thrown) && thrown.reason === 'deadline');
      await db.run(bump, [2]);
      assert.deepEqual([await db.run(read, [1]), await db.run(read, [2])], [[{ n: 0 }], [{ n: 1 }]]);
    }));

  test('a server that takes no writes is refused like one that is away', async () => {
    await server.query(
      `do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$`,
      url,
    );
    await assert.rejects(
      openPostgres({ connection: url }),
      (thrown) => unavailable(thrown) && thrown.reason === 'away',
    );
  });

  test('TLS: prefer does without where the server has none, require and verify-full do not', async () => {
    for (const mode of ['disable', 'prefer', 'allow']) {
      await withDatabase({ connection: url.replace('sslmode=disable', `sslmode=${mode}`) }, (db) =>
        db.run(bump, [1]).then(() => undefined),
      );
    }
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      const connection = url.replace('sslmode=disable', `sslmode=${mode}`);
      await assert.rejects(openPostgres({ connection }), unavailable, mode);
    }
    await assert.rejects(
      openPostgres({ connection: url.replace('?sslmode=disable', ''), ssl: 'require' }),
      unavailable,
    );
  });

  test('nobody there at the start: DatabaseUnavailable, with the reason as its cause', async () => {
    const nowhere = url.replace(`:${server.port}/`, ':1/');
    await assert.rejects(openPostgres({ connection: nowhere }), (thrown) => {
      assert.ok(unavailable(thrown));
      assert.match(String((thrown.cause as Error).message), /ECONNREFUSED/);
      return true;
    });
  });

  test('commits are flushed even where the server was told not to, and weak settings are named', async () => {
    await server.query(
      `do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`,
      url,
    );
    await withDatabase({}, async (db) => {
      const show = { name: 'pg_test.show', text: `select current_setting('synchronous_commit') as value` };
      assert.deepEqual(await db.run(show, []), [{ value: 'on' }]);
      assert.deepEqual(await db.transaction((tx) => tx.run(show, [])), [{ value: 'on' }]);
      const { version, warnings } = await checkPostgresSettings(db);
      assert.match(version, /^\d+/);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /synchronous_commit/);
    });
  });

  test('every statement is observed by its name, with how long it took and whether it went well', async () => {
    const seen: string[] = [];
    const observe = (name: string, seconds: number, ok: boolean) => {
      assert.ok(seconds >= 0 && seconds < 60);
      seen.push(`${name} ${ok}`);
    };
    await withDatabase({ observe }, async (db) => {
      await db.run(read, [1]);
      await db.run(insert, ['no uuid']).catch(() => undefined);
    });
    assert.ok(seen.includes('pg_test.read true') && seen.includes('pg_test.insert false'), seen.join());
  });
});
