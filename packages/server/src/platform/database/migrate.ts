/**
 * Numbered, forward-only migrations: `migrations/0001_name.sql`, each applied once, in order, in a transaction of its own.
 *
 * Guarantees: any number of migrators at once apply each once (an advisory lock that ends with its transaction, so with
 * its connection too); one that is killed leaves nothing half-done, and the next start goes on from there without a hand.
 * A program refuses a schema that is newer than itself, and one whose applied migrations are not the ones it knows.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { type Database, type Session, statement } from './database.ts';

/** The schema has migrations that this program does not know. */
export class SchemaNewer extends Error {
  override readonly name = 'SchemaNewer';
  constructor(unknown: readonly string[]) {
    super(`the database schema is newer than this program (it has ${unknown.join(', ')}): start a newer version`);
  }
}

/** A migration that was applied reads otherwise in this program. */
export class MigrationChanged extends Error {
  override readonly name = 'MigrationChanged';
  constructor(migration: string) {
    super(`migration ${migration} was changed after it had been applied to this database: restore its file`);
  }
}

export interface Migration {
  readonly name: string;
  readonly sql: string;
}

export interface MigrateOptions {
  /** Told before and after each migration that is applied here. */
  readonly onStep?: (name: string, step: 'started' | 'applied') => void;
  /** Defaults to the program's own. */
  readonly migrations?: readonly Migration[];
}

export interface MigrationStatus {
  readonly name: string;
  readonly appliedAt: Date | undefined;
}

/** Brings the schema up to date, under a lock, without deadlines. */
export async function migrate(db: Database, options: MigrateOptions = {}): Promise<{ readonly applied: string[] }> {
  const migrations = options.migrations ?? (await ownMigrations());
  const applied: string[] = [];
  await db.session(async (session) => {
    for (;;) {
      const name = await applyNext(session, migrations, options.onStep);
      if (name === undefined) return;
      applied.push(name);
    }
  });
  return { applied };
}

/** Every migration that this program knows, and since when the database has it. Throws `SchemaNewer`, `MigrationChanged`. */
export async function migrationStatus(
  db: Database,
  options: Pick<MigrateOptions, 'migrations'> = {},
): Promise<readonly MigrationStatus[]> {
  const migrations = options.migrations ?? (await ownMigrations());
  const [found] = await db.run(findTable, []);
  const done = found?.present ? await db.run(listApplied, []) : [];
  pendingOf(migrations, done);
  const appliedAt = new Map(done.map((row) => [row.name, row.applied_at]));
  return migrations.map(({ name }) => ({ name, appliedAt: appliedAt.get(name) }));
}

async function applyNext(
  session: Session,
  migrations: readonly Migration[],
  onStep: MigrateOptions['onStep'],
): Promise<string | undefined> {
  await session.execute('begin');
  try {
    await session.run(takeLock, [lockKey]);
    // After the lock: `if not exists` alone is no protection against another session that makes the same table.
    await session.execute(createTable);
    const next = pendingOf(migrations, await session.run(listApplied, []));
    if (next !== undefined) {
      onStep?.(next.name, 'started');
      await session.execute(next.sql);
      await session.run(insertApplied, [next.name, checksum(next.sql)]);
    }
    await session.execute('commit');
    if (next !== undefined) onStep?.(next.name, 'applied');
    return next?.name;
  } catch (failure) {
    // When even this fails the connection is gone, and its transaction with it.
    await session.execute('rollback').catch(() => undefined);
    throw failure;
  }
}

/** The first migration that is missing in `done`, once everything in `done` is known and unchanged. */
function pendingOf(migrations: readonly Migration[], done: readonly Applied[]): Migration | undefined {
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  const unknown = done.filter(({ name }) => !known.has(name)).map(({ name }) => name);
  if (unknown.length > 0) throw new SchemaNewer(unknown);
  for (const row of done) {
    if (checksum(known.get(row.name)?.sql ?? '') !== row.checksum) throw new MigrationChanged(row.name);
  }
  const names = new Set(done.map(({ name }) => name));
  return migrations.find(({ name }) => !names.has(name));
}

async function ownMigrations(): Promise<readonly Migration[]> {
  const folder = new URL('./migrations/', import.meta.url);
  const files = (await readdir(folder)).filter((file) => /^\d{4}_\w+\.sql$/.test(file)).sort();
  return Promise.all(
    files.map(async (file) => ({
      name: file.replace(/\.sql$/, ''),
      sql: await readFile(new URL(file, folder), 'utf8'),
    })),
  );
}

/** Of the text without regard to line ends, which a checkout may change. */
function checksum(sql: string): string {
  return createHash('sha256').update(sql.replaceAll('\r\n', '\n')).digest('hex');
}

/** Any fixed number; the same in all versions for ever. */
const lockKey = 7_420_110_651;

const createTable = `create table if not exists schema_migrations (
  name text primary key,
  checksum text not null,
  applied_at timestamptz not null default now()
)`;

interface Applied {
  readonly name: string;
  readonly checksum: string;
  readonly applied_at: Date;
}

const takeLock = statement<[key: number], unknown>('migrate.take_lock', 'select pg_advisory_xact_lock($1)');
const findTable = statement<[], { readonly present: boolean }>(
  'migrate.find_table',
  `select to_regclass('schema_migrations') is not null as present`,
);
const listApplied = statement<[], Applied>(
  'migrate.list_applied',
  'select name, checksum, applied_at from schema_migrations order by name',
);
const insertApplied = statement<[name: string, checksum: string], never>(
  'migrate.insert_applied',
  'insert into schema_migrations (name, checksum) values ($1, $2)',
);
