/** What the embedded store promises beyond the port: durability, one process, and a main thread that stays free. */
import assert from 'node:assert/strict';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import {
  DatabaseUnavailable,
  DataDirInUse,
  type EmbeddedOptions,
  migrate,
  openEmbedded,
  statement,
} from '../../packages/server/src/platform/database/index.ts';
import { startProgram } from '../support/processes.ts';

const writer = new URL('./programs/embedded-writer.ts', import.meta.url);
const kills = Number(process.env['KILLS'] ?? 20);

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'auth-service-embedded-'));
  folders.push(folder);
  return join(folder, 'data');
}

const listWritten = statement<[], { readonly id: string }>('test.list_written', 'select id from written');
const insert = statement<[id: number], never>('test.embedded_insert', 'insert into t (id) values ($1)');
const count = statement<[], { readonly rows: number }>('test.embedded_count', 'select count(*) as rows from t');
const spin = statement<[turns: number], { readonly rows: number }>(
  'test.spin',
  'select count(*) as rows from generate_series(1, $1::int8)',
);

/** Long enough that whatever is due to happen in the meantime does, on any machine. */
const spinTurns = 4_000_000;

async function openWithTable(dataDir: string, more: Omit<EmbeddedOptions, 'dataDir'> = {}) {
  const db = await openEmbedded({ dataDir, statementTimeoutMs: 60_000, transactionTimeoutMs: 60_000, ...more });
  await db.execute('create table if not exists t (id int primary key)');
  return db;
}

test(`F-38 kill -9 in the middle of writes, ${kills} times: no acknowledged row is lost`, async () => {
  const dataDir = newFolder();
  const acknowledged = new Set<string>();
  for (let trial = 0; trial < kills; trial += 1) {
    const program = startProgram(writer, [dataDir]);
    await program.line((line) => line === 'ready');
    await program.line((line) => line !== 'ready');
    await sleep(Math.random() * 150);
    await program.kill('SIGKILL');
    // The last line may be cut off.
    for (const line of program.lines) if (/^[0-9a-f-]{36}$/.test(line)) acknowledged.add(line);
  }
  const db = await openEmbedded({ dataDir });
  const found = new Set((await db.run(listWritten, [])).map(({ id }) => id));
  await db.execute('reindex table written');
  await db.close();
  const lost = [...acknowledged].filter((id) => !found.has(id));
  assert.ok(acknowledged.size >= kills);
  assert.deepEqual(lost, []);
});

test('F-38 kill -9 during the first start leaves nothing half-made', async () => {
  const dataDir = newFolder();
  for (const delay of [150, 300, 450, 600, 900]) {
    const program = startProgram(writer, [dataDir]);
    await sleep(delay);
    await program.kill('SIGKILL');
  }
  const db = await openWithTable(dataDir);
  await migrate(db);
  await db.close();
  assert.equal(existsSync(join(dataDir, 'store.new')), false);
});

test('F-38 a second process on the folder is refused with its name and the pid, and does no harm', async () => {
  const dataDir = newFolder();
  const program = startProgram(writer, [dataDir]);
  await program.line((line) => line === 'ready');
  await assert.rejects(openEmbedded({ dataDir }), (thrown) => {
    assert.ok(thrown instanceof DataDirInUse);
    assert.equal(thrown.pid, program.pid);
    assert.ok(thrown.message.includes(dataDir));
    return true;
  });
  await program.line((line) => line !== 'ready');
  await program.kill('SIGKILL');
  const db = await openEmbedded({ dataDir });
  await db.close();
});

test('of many processes that start on one folder at once exactly one gets it', async () => {
  const dataDir = newFolder();
  const programs = Array.from({ length: 6 }, () => startProgram(writer, [dataDir]));
  const outcomes = await Promise.allSettled(programs.map((program) => program.line((line) => line === 'ready')));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.status === 'rejected') assert.match(programs[at]?.errors() ?? '', /DataDirInUse/);
  }
  await Promise.all(programs.map((program) => program.kill('SIGKILL')));
});

test('the same process is refused too, and that takes the folder from nobody', async () => {
  const dataDir = newFolder();
  const db = await openWithTable(dataDir);
  await assert.rejects(openEmbedded({ dataDir }), DataDirInUse);
  const program = startProgram(writer, [dataDir]);
  await program.ended;
  assert.match(program.errors(), /DataDirInUse/);
  await db.close();
});

test('a commit is flushed to disk before it is answered', async () => {
  const db = await openWithTable(newFolder());
  const before = db.flushes();
  for (let id = 0; id < 10; id += 1) {
    const flushed = db.flushes();
    await db.run(insert, [id]);
    assert.ok(db.flushes() > flushed, `insert ${id} was answered without a flush`);
  }
  await db.run(count, []);
  const afterWrites = db.flushes();
  for (let n = 0; n < 10; n += 1) await db.run(count, []);
  assert.ok(afterWrites - before >= 10);
  assert.ok(db.flushes() - afterWrites <= 1, 'reads need none');
  await db.close();
});

test('nobody but the owner can read the folder or a file in it', async () => {
  const dataDir = newFolder();
  const db = await openWithTable(dataDir);
  await db.execute('create table fresh (a int); insert into fresh select generate_series(1, 100000); checkpoint');
  await db.close();
  const files = globSync('**/*', { cwd: dataDir });
  assert.ok(files.length > 200, 'the walk found the files');
  const open = ['.', ...files].filter((file) => (statSync(join(dataDir, file)).mode & 0o077) !== 0);
  assert.deepEqual(open, []);
});

test('the main thread goes on while the store works', async () => {
  const db = await openWithTable(newFolder());
  let turns = 0;
  let done = false;
  const busy = db.run(spin, [spinTurns]).finally(() => {
    done = true;
  });
  // A store on the main thread would let none of these turns happen before it is done.
  while (!done) {
    await turn();
    turns += 1;
  }
  assert.deepEqual(await busy, [{ rows: spinTurns }]);
  assert.ok(turns > 1_000, `${turns} turns of the event loop`);
  await db.close();
});

test('a statement past its deadline fails for its caller, those who wait fail in time, and all is well afterwards', async () => {
  const db = await openWithTable(newFolder(), { statementTimeoutMs: 100, transactionTimeoutMs: 100 });
  const refused = (thrown: unknown) => thrown instanceof DatabaseUnavailable && thrown.reason !== 'away';
  const slow = assert.rejects(db.run(spin, [spinTurns]), refused);
  await assert.rejects(db.run(insert, [1]), refused);
  await assert.rejects(
    db.transaction((tx) => tx.run(insert, [2])),
    refused,
  );
  await slow;
  await db.execute('select 1');
  await db.transaction((tx) => tx.run(insert, [3]));
  await db.close();
});

test('a transaction that never ends is rolled back at its deadline', async () => {
  const db = await openWithTable(newFolder(), { transactionTimeoutMs: 200 });
  const hung = db.transaction(async (tx) => {
    await tx.run(insert, [1]);
    await new Promise(() => undefined);
  });
  await assert.rejects(hung, (thrown) => thrown instanceof DatabaseUnavailable && thrown.reason === 'deadline');
  assert.deepEqual(await db.run(count, []), [{ rows: 0 }]);
  await db.close();
});

test('the queue is bounded: who finds it full is refused at once', async () => {
  const db = await openWithTable(newFolder(), { waitingMax: 10 });
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const holder = db.transaction(async (tx) => {
    await gate;
    await tx.run(insert, [0]);
  });
  await turn();
  const waiting = Array.from({ length: 10 }, (_, n) => db.run(insert, [n + 1]));
  await assert.rejects(
    db.run(insert, [99]),
    (thrown) => thrown instanceof DatabaseUnavailable && thrown.reason === 'pool_exhausted',
  );
  open();
  await Promise.all([holder, ...waiting]);
  assert.deepEqual(await db.run(count, []), [{ rows: 11 }]);
  await db.close();
});

test('F-38 when the thread dies every call fails as away, and reopen recovers what was acknowledged', async () => {
  const states: string[] = [];
  const db = await openWithTable(newFolder(), { stuckTimeoutMs: 300, onState: (state) => states.push(state) });
  await db.run(insert, [1]);
  // Nothing ends such a statement but the end of its thread.
  const away = (thrown: unknown) => thrown instanceof DatabaseUnavailable;
  await assert.rejects(db.run(spin, [10_000_000_000]), away);
  await assert.rejects(db.run(count, []), away);
  await assert.rejects(
    db.transaction((tx) => tx.run(insert, [2])),
    away,
  );
  assert.deepEqual(states, ['up', 'away']);
  await Promise.all([db.reopen(), db.reopen()]);
  assert.deepEqual(await db.run(count, []), [{ rows: 1 }]);
  assert.deepEqual(states, ['up', 'away', 'up']);
  await db.close();
  await assert.rejects(db.reopen(), away);
});

test('maintenance keeps the log short and gives the room of dead rows back', async () => {
  const dataDir = newFolder();
  const db = await openWithTable(dataDir);
  for (let round = 0; round < 4; round += 1) {
    await db.execute(`insert into t select generate_series(1, 60000); delete from t`);
    await db.maintain();
  }
  const size = { name: 'test.size', text: `select pg_relation_size('t') as bytes` };
  const [row] = (await db.run(size, [])) as readonly { bytes: number }[];
  assert.ok((row?.bytes ?? 0) < 100_000, `${row?.bytes} bytes of an empty table`);
  await db.close();
  const segments = globSync('store/pg_wal/*', { cwd: dataDir }).filter((file) => /[0-9A-F]{24}$/.test(file));
  assert.ok(segments.length * 4 <= 128, `${segments.length} segments`);
});

test('a template that cannot be used costs time, not the start; a store with data is never thrown away', async () => {
  const dataDir = newFolder();
  await (await openWithTable(dataDir)).close();
  const control = join(dataDir, 'store', 'global', 'pg_control');
  const good = readFileSync(control);
  writeFileSync(control, Buffer.alloc(good.length));
  await assert.rejects(openEmbedded({ dataDir }), DatabaseUnavailable);
  assert.ok(existsSync(join(dataDir, 'store', 'base')), 'a store that was in use is left to be mended');
  writeFileSync(control, good);
  await (await openEmbedded({ dataDir })).close();
  // As after a first start from the template of another version.
  writeFileSync(control, Buffer.alloc(good.length));
  writeFileSync(join(dataDir, 'store', 'untried'), '');
  const warnings: string[] = [];
  const db = await openWithTable(dataDir, { onWarning: (warning) => warnings.push(warning) });
  assert.equal(warnings.length, 1);
  await db.run(insert, [1]);
  await db.close();
});
