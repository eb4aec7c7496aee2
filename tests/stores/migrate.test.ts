/** Migrations: once, in order, whatever happens to who applies them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  type Database,
  type Migration,
  MigrationChanged,
  migrate,
  migrationStatus,
  openEmbedded,
  openPostgres,
  SchemaNewer,
} from '../../packages/server/src/platform/database/index.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startProgram } from '../support/processes.ts';
import { until } from '../support/service.ts';
import { forEachStore } from '../support/stores.ts';

const migrator = new URL('./programs/migrator.ts', import.meta.url);

/** Each fails when it is applied twice, and takes long enough to be interrupted. */
const slowMigrations: readonly Migration[] = Array.from({ length: 6 }, (_, n) => ({
  name: `000${n + 1}_step`,
  sql: `create table step_${n + 1} (a int);
        insert into step_${n + 1} select generate_series(1, 20000);
        ${n > 0 ? `alter table step_${n} add column b int; update step_${n} set b = a;` : ''}`,
}));
const ofMigrator = `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
  and state <> 'idle' and query not like 'do %' and (query like '%step_%' or query like '%advisory%')`;
const looking = `select pid from pg_stat_activity where datname = current_database() and query like 'do %'`;
const names = slowMigrations.map(({ name }) => name);

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ fsync: false });
});
after(() => server.stop());

async function emptyDatabase(): Promise<string> {
  const name = `empty_${crypto.randomUUID().slice(0, 8)}`;
  await server.query(`create database ${name}`);
  return server.url.replace('/postgres?', `/${name}?`);
}

const open = (url: string) => openPostgres({ connection: url, poolSize: 1, connectTimeoutMs: 10_000 });

test('F-02 twenty migrators at once apply each migration once', async () => {
  const url = await emptyDatabase();
  const databases = await Promise.all(Array.from({ length: 20 }, () => open(url)));
  const results = await Promise.all(databases.map((db) => migrate(db, { migrations: slowMigrations })));
  assert.deepEqual(results.flatMap(({ applied }) => applied).sort(), names);
  await Promise.all(databases.map((db) => db.close()));
});

test('F-02 programs that start together migrate once', async () => {
  const url = await emptyDatabase();
  const programs = Array.from({ length: 4 }, () => startProgram(migrator, [url, JSON.stringify(slowMigrations)]));
  for (const program of programs) assert.deepEqual(await program.ended, { code: 0, signal: null }, program.errors());
  const applied = programs.flatMap((program) => JSON.parse(program.lines.at(-1) ?? '[]') as string[]);
  assert.deepEqual(applied.sort(), names);
});

test('F-24 a migrator whose connection is ended half-way, again and again: the next one finishes', async () => {
  const url = await emptyDatabase();
  const db = await open(url);
  // The server looks itself, every millisecond: a client that has to be scheduled first would look too late.
  const endTheMigrator = (afterMs: number) => `do $$ begin
    for round in 1..20000 loop
      perform pg_stat_clear_snapshot();
      if exists (${ofMigrator}) then
        perform pg_sleep(${afterMs / 1_000}), pg_stat_clear_snapshot();
        perform pg_terminate_backend(pid) from (${ofMigrator}) as its;
        -- Between two statements there is nobody to be found: then the next one.
        exit when found;
      end if;
      perform pg_sleep(0.001);
    end loop;
  end $$`;
  let failed = 0;
  for (let n = 0; n < 12; n += 1) {
    const ending = server.query(endTheMigrator(Math.random() * 30), url).catch(() => undefined);
    await until('somebody looks', async () => (await server.query(looking, url)).length > 0);
    await migrate(db, { migrations: slowMigrations }).catch(() => {
      failed += 1;
    });
    // Where nothing is left to migrate nobody is found: the look is ended.
    await server.query(`select pg_terminate_backend(pid) from (${looking}) as its`, url);
    await ending;
  }
  await migrate(db, { migrations: slowMigrations });
  assert.ok(failed > 0, 'some were interrupted');
  const status = await migrationStatus(db, { migrations: slowMigrations });
  assert.ok(status.every(({ appliedAt }) => appliedAt !== undefined));
  await db.close();
});

test('F-24 a migrator that is killed half-way on PostgreSQL: the next start finishes', async () => {
  const url = await emptyDatabase();
  for (let n = 0; n < 5; n += 1) {
    const program = startProgram(migrator, [url, JSON.stringify(slowMigrations)]);
    await Promise.race([program.line((line) => line.startsWith('started')), program.ended]).catch(() => undefined);
    await program.kill('SIGKILL');
  }
  const db = await open(url);
  await migrate(db, { migrations: slowMigrations });
  const rows = await server.query('select count(*)::int as n from step_5 where b = a', url);
  assert.deepEqual(rows, [{ n: 20_000 }]);
  await db.close();
});

test('F-24 a migrator that is killed half-way on the embedded store: the next start finishes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'auth-service-migrate-'));
  const dataDir = join(folder, 'data');
  for (let n = 0; n < 5; n += 1) {
    const program = startProgram(migrator, [dataDir, JSON.stringify(slowMigrations)]);
    await Promise.race([program.line((line) => line.startsWith('started')), program.ended]).catch(() => undefined);
    await program.kill('SIGKILL');
  }
  const db = await openEmbedded({ dataDir });
  await migrate(db, { migrations: slowMigrations });
  assert.deepEqual((await migrate(db, { migrations: slowMigrations })).applied, []);
  await db.close();
  rmSync(folder, { recursive: true });
});

test('deadlines of requests do not apply to a migration', async () => {
  const db = await openPostgres({
    connection: await emptyDatabase(),
    statementTimeoutMs: 50,
    connectTimeoutMs: 10_000,
  });
  const { applied } = await migrate(db, { migrations: [{ name: '0001_slow', sql: 'select pg_sleep(0.5)' }] });
  assert.deepEqual(applied, ['0001_slow']);
  await db.close();
});

forEachStore('migrations', (makeDatabase) => {
  const step = (n: number, sql = `create table m${n} (a int)`): Migration => ({ name: `000${n}_m`, sql });
  async function emptied(): Promise<Database> {
    const db = await makeDatabase();
    await db.execute('drop schema public cascade; create schema public');
    return db;
  }

  test('are applied in order and reported; a second run does nothing', async () => {
    const db = await emptied();
    const steps: string[] = [];
    const onStep = (name: string, what: string) => steps.push(`${what} ${name}`);
    assert.deepEqual(await migrate(db, { migrations: [step(1)], onStep }), { applied: ['0001_m'] });
    assert.deepEqual(await migrate(db, { migrations: [step(1), step(2)], onStep }), { applied: ['0002_m'] });
    assert.deepEqual(await migrate(db, { migrations: [step(1), step(2)], onStep }), { applied: [] });
    assert.deepEqual(steps, ['started 0001_m', 'applied 0001_m', 'started 0002_m', 'applied 0002_m']);
    const status = await migrationStatus(db, { migrations: [step(1), step(2), step(3)] });
    assert.deepEqual(
      status.map(({ name, appliedAt }) => [name, appliedAt instanceof Date]),
      [
        ['0001_m', true],
        ['0002_m', true],
        ['0003_m', false],
      ],
    );
  });

  test('that fail change nothing, and can be mended and run again', async () => {
    const db = await emptied();
    const broken = [step(1), step(2, 'create table m2 (a int); select nonsense')];
    await assert.rejects(migrate(db, { migrations: broken }), /nonsense/);
    assert.deepEqual((await migrate(db, { migrations: [step(1), step(2)] })).applied, ['0002_m']);
  });

  test('that this program does not know refuse the start: the schema is newer', async () => {
    const db = await emptied();
    await migrate(db, { migrations: [step(1), step(2)] });
    await assert.rejects(migrate(db, { migrations: [step(1)] }), SchemaNewer);
    await assert.rejects(migrationStatus(db, { migrations: [step(1)] }), SchemaNewer);
  });

  test('that were changed after they had been applied refuse the start; other line ends are no change', async () => {
    const db = await emptied();
    await migrate(db, { migrations: [step(1, 'create table m1 (a int);\n')] });
    await migrate(db, { migrations: [step(1, 'create table m1 (a int);\r\n')] });
    await assert.rejects(migrate(db, { migrations: [step(1, 'create table m1 (b int);\n')] }), MigrationChanged);
  });

  test('are not needed to ask for the status of an empty database', async () => {
    const db = await emptied();
    assert.deepEqual(await migrationStatus(db, { migrations: [step(1)] }), [{ name: '0001_m', appliedAt: undefined }]);
  });
});
