/** What the database port promises, on both drivers alike. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Database,
  DatabaseUnavailable,
  type Queryable,
  statement,
  UniqueViolation,
} from '../../packages/server/src/platform/database/index.ts';
import { forEachStore } from '../support/stores.ts';

const echo = statement<
  [uuid: string, list: readonly (string | null)[], json: unknown, bytes: Uint8Array | null, time: Date, truth: boolean],
  Record<string, unknown>
>(
  'port.echo',
  `select $1::uuid as uuid, $2::text[] as list, $3::jsonb as json, $4::bytea as bytes, $5::timestamptz as time, $6::bool as truth,
     9007199254740991::int8 as int8, 7::int4 as int4, 1.5::numeric as numeric, 0.25::float8 as float8, null::text as nothing,
     '10.1.0.0/16'::inet as inet, pg_current_xact_id()::text = pg_current_xact_id()::xid8::text as xid8_is_text,
     pg_current_snapshot() as snapshot, 'infinity'::timestamptz as never, array[1, 2]::int8[] as numbers`,
);
const insert = statement<[id: number, note: string], never>(
  'port.insert',
  'insert into port_test (id, note) values ($1, $2)',
);
const add = statement<[by: number, id: number], { readonly total: number }>(
  'port.add',
  'update port_test set total = total + $1 where id = $2 returning total',
);
const read = statement<[id: number], { readonly note: string; readonly total: number }>(
  'port.read',
  'select note, total from port_test where id = $1',
);
const all = statement<[], { readonly id: number }>('port.all', 'select * from port_test order by id');
const wrong = statement<[text: unknown], unknown>('port.wrong', 'select $1::int as number');
const unknownTable = statement<[], unknown>('port.unknown_table', 'select * from no_such_table');

async function withTable(db: Database): Promise<Database> {
  await db.execute(`
    create table port_test (id int primary key, note text not null, total bigint not null default 0);
    insert into port_test (id, note) values (0, 'first');
  `);
  return db;
}

const ids = async (on: Queryable): Promise<number[]> => (await on.run(all, [])).map(({ id }) => id);

forEachStore('the database port', (makeDatabase, kind) => {
  test('every type comes back as it is documented', async () => {
    const db = await makeDatabase();
    assert.equal(db.kind, kind);
    const bytes = Uint8Array.from([0, 1, 255]);
    const time = new Date('2026-01-31T10:20:30.123Z');
    const uuid = '0198f3f0-0000-7000-8000-000000000001';
    const json = { list: [1, { deep: 'ä"\\' }], none: null };
    const [row] = await db.run(echo, [uuid, ['a', null, 'NULL', '', '{","}\\'], json, bytes, time, true]);
    const { snapshot, ...rest } = row ?? {};
    assert.match(String(snapshot), /^\d+:\d+:/);
    assert.deepEqual(
      { ...rest },
      {
        uuid,
        list: ['a', null, 'NULL', '', '{","}\\'],
        json,
        bytes,
        time,
        truth: true,
        int8: Number.MAX_SAFE_INTEGER,
        int4: 7,
        numeric: 1.5,
        float8: 0.25,
        nothing: null,
        inet: '10.1.0.0/16',
        xid8_is_text: true,
        never: new Date(8.64e15),
        numbers: [1, 2],
      },
    );
    assert.equal(Object.getPrototypeOf(rest['bytes']), Uint8Array.prototype, 'bytes are no Buffer');
  });

  test('any text, list, bytes, value and time survive the round trip', async () => {
    const db = await makeDatabase();
    const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => !value.includes('\0'));
    const json = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(text)));
    const time = fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    });
    const list = fc.array(fc.option(text), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.uuid(), list, json, fc.option(fc.uint8Array()), time, fc.boolean(), async (...given) => {
        const [uuid, items, value, bytes, at, truth] = given;
        const [row] = await db.run(echo, [uuid, items, value, bytes, at, truth]);
        assert.deepEqual(
          [row?.['uuid'], row?.['list'], row?.['bytes'], row?.['time'], row?.['truth']],
          [uuid, items, bytes, at, truth],
        );
        assert.deepEqual(row?.['json'], JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 50 },
    );
  });

  test('a parameter that has no place in SQL is refused, and the connection goes on', async () => {
    const db = await makeDatabase();
    await assert.rejects(db.run(wrong, [() => 1]), TypeError);
    await assert.rejects(db.run(wrong, [Symbol('x')]), TypeError);
    assert.deepEqual(await db.run(wrong, [4]), [{ number: 4 }]);
  });

  test('a transaction commits on a value, and rolls back on a throw', async () => {
    const db = await withTable(await makeDatabase());
    const answer = await db.transaction(async (tx) => {
      await tx.run(insert, [1, 'kept']);
      return { kind: 'refused' };
    });
    assert.deepEqual(answer, { kind: 'refused' });
    const failure = new Error('no');
    await assert.rejects(
      db.transaction(async (tx) => {
        await tx.run(insert, [2, 'not kept']);
        throw failure;
      }),
      (thrown) => thrown === failure,
    );
    assert.deepEqual(await ids(db), [0, 1]);
  });

  test('a transaction in which a statement failed never pretends to have committed', async () => {
    const db = await withTable(await makeDatabase());
    await assert.rejects(
      db.transaction(async (tx) => {
        await tx.run(insert, [1, 'lost']);
        await tx.run(insert, [0, 'taken']).catch(() => undefined);
        return 'all is well';
      }),
      /failed statement/,
    );
    assert.deepEqual(await ids(db), [0]);
  });

  test('a transaction cannot be used after it has ended', async () => {
    const db = await withTable(await makeDatabase());
    let leaked: Queryable | undefined;
    await db.transaction(async (tx) => {
      leaked = tx;
    });
    await assert.rejects(leaked?.run(insert, [1, 'late']) ?? Promise.resolve(), /after it had ended/);
    assert.deepEqual(await ids(db), [0]);
  });

  test('statements of one transaction that are sent at once run in order', async () => {
    const db = await withTable(await makeDatabase());
    const totals = await db.transaction((tx) => Promise.all([1, 2, 3].map((by) => tx.run(add, [by, 0]))));
    assert.deepEqual(totals.flat(), [{ total: 1 }, { total: 3 }, { total: 6 }]);
  });

  test('a row that a unique index refuses is a UniqueViolation with the name of the constraint', async () => {
    const db = await withTable(await makeDatabase());
    const named = (thrown: unknown) => thrown instanceof UniqueViolation && thrown.constraint === 'port_test_pkey';
    await assert.rejects(db.run(insert, [0, 'again']), named);
    await assert.rejects(
      db.transaction((tx) => tx.run(insert, [0, 'again'])),
      named,
    );
  });

  test('a wrong statement fails alone, and is not taken for a store that is away', async () => {
    const db = await withTable(await makeDatabase());
    const results = await Promise.allSettled([
      db.run(read, [0]),
      db.run(wrong, ['x']),
      db.run(unknownTable, []),
      db.run(insert, [1, 'one']),
      db.run(insert, [1, 'two']),
      db.run(read, [0]),
    ]);
    const statuses = results.map(({ status }) => status);
    // Of the two inserts of one key either may be the first.
    const inserts = statuses.splice(3, 2).sort();
    assert.deepEqual(
      [statuses, inserts],
      [
        ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
        ['fulfilled', 'rejected'],
      ],
    );
    for (const result of results)
      assert.ok(!(result.status === 'rejected' && result.reason instanceof DatabaseUnavailable));
    await assert.rejects(db.run(unknownTable, []), 'and again, although it was never prepared');
    await db.execute('create table no_such_table (a int)');
    assert.deepEqual(await db.run(unknownTable, []), []);
  });

  test('parallel statements and transactions lose no update', async () => {
    const db = await withTable(await makeDatabase());
    const work = Array.from({ length: 60 }, (_, n) =>
      n % 3 === 0
        ? db.transaction(async (tx) => {
            const [row] = await tx.run(add, [1, 0]);
            await tx.run(add, [1, 0]);
            return row;
          })
        : db.run(add, [1, 0]),
    );
    await Promise.all(work);
    assert.equal((await db.run(read, [0]))[0]?.total, 80);
  });

  test('a statement outlives a change of its table', async () => {
    const db = await withTable(await makeDatabase());
    for (let turn = 0; turn < 20; turn += 1) await db.run(all, []);
    await db.execute('alter table port_test add column more int default 5');
    for (let turn = 0; turn < 20; turn += 1) {
      assert.deepEqual((await db.run(all, []))[0], { id: 0, note: 'first', total: 0, more: 5 });
    }
    await db.execute(`alter table port_test alter column note type varchar(50), drop column more`);
    await Promise.all(Array.from({ length: 20 }, () => db.run(all, [])));
    assert.deepEqual(await db.transaction((tx) => tx.run(all, [])), [{ id: 0, note: 'first', total: 0 }]);
  });

  test('a session runs scripts, keeps its transaction to itself, and leaves none behind', async () => {
    const db = await withTable(await makeDatabase());
    await db.session(async (session) => {
      await session.execute('begin; insert into port_test (id, note) values (5, $$five$$)');
      assert.deepEqual(await ids(session), [0, 5]);
      await session.execute('rollback');
    });
    assert.deepEqual(await ids(db), [0]);
    await assert.rejects(db.execute('insert into port_test (id, note) values (6, $$six$$); select nonsense'));
    assert.deepEqual(await ids(db), [0], 'a script that fails has done nothing');
  });

  test('a dedicated connection answers beside the others', async () => {
    const db = await withTable(await makeDatabase());
    const connection = await db.dedicated();
    assert.deepEqual(await connection.run(read, [0]), [{ note: 'first', total: 0 }]);
    await connection.close();
    assert.deepEqual(await db.run(read, [0]), [{ note: 'first', total: 0 }]);
  });

  test('the clock and the order of text are the same everywhere: UTC, code points in C', async () => {
    const db = await makeDatabase();
    const ask = {
      name: 'port.zone',
      text: `select current_setting('timezone') as zone, 'B' < ('a' collate "C") as order`,
    };
    assert.deepEqual(await db.run(ask, []), [{ zone: 'UTC', order: true }]);
  });

  test('after close every call fails at once', async () => {
    const db = await makeDatabase();
    await db.close();
    await db.close();
    for (const call of [
      () => db.run(wrong, [1]),
      () => db.transaction((tx) => tx.run(wrong, [1])),
      () => db.execute('select 1'),
      () => db.dedicated(),
    ]) {
      await assert.rejects(call, (thrown) => thrown instanceof DatabaseUnavailable && thrown.reason === 'away');
    }
  });
});
