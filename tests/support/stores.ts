/** Runs one suite on both stores. Each test gets databases of its own, with the current schema and nothing in them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Database,
  type EmbeddedDatabase,
  migrate,
  openEmbedded,
  openPostgres,
} from '../../packages/server/src/platform/database/index.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';

/** Closed by itself when its test ends. */
export type MakeDatabase = () => Promise<Database>;

export interface Store {
  make: MakeDatabase;
  endTest: () => Promise<void>;
  endSuite: () => Promise<void>;
}

export function forEachStore(name: string, define: (makeDatabase: MakeDatabase, kind: Database['kind']) => void): void {
  for (const [kind, storeOf] of [
    ['embedded', embeddedStore],
    ['postgres', postgresStore],
  ] as const) {
    describe(`${name} (${kind})`, () => {
      const store = storeOf();
      afterEach(store.endTest);
      after(store.endSuite);
      define(store.make, kind);
    });
  }
}

export function postgresStore(): Store {
  let server: Promise<TestPostgres> | undefined;
  let open: Database[] = [];
  return {
    make: async () => {
      server ??= startPostgres({ fsync: false });
      const connection = await (await server).createDatabase();
      const db = await openPostgres({ connection, ...patience });
      open.push(db);
      return db;
    },
    endTest: async () => {
      await Promise.all(open.map(quiet));
      await Promise.all(open.map((db) => db.close()));
      open = [];
    },
    endSuite: async () => {
      await (await server)?.stop();
    },
  };
}

/** To open a store and bring its schema up takes a second, to empty one a fraction: those still open serve the next test. */
export function embeddedStore(): Store {
  const folders: string[] = [];
  let open: EmbeddedDatabase[] = [];
  let free: EmbeddedDatabase[] = [];
  const openOne = async (): Promise<EmbeddedDatabase> => {
    const dataDir = mkdtempSync(join(tmpdir(), 'auth-service-embedded-'));
    folders.push(dataDir);
    const db = await openEmbedded({ dataDir, statementTimeoutMs: patience.statementTimeoutMs });
    await migrate(db);
    await db.execute(keepFirstState);
    return db;
  };
  const reuse = async (): Promise<EmbeddedDatabase> => {
    for (let db = free.pop(); db !== undefined; db = free.pop()) {
      if (await succeeds(db.execute(bringFirstStateBack))) return db;
      // A test has changed its schema, or it is broken.
      if (await succeeds(db.execute('drop schema public cascade; create schema public'))) {
        await migrate(db);
        return db;
      }
      await db.close();
    }
    return openOne();
  };
  return {
    make: async () => {
      const db = await reuse();
      open.push(db);
      return db;
    },
    endTest: async () => {
      await Promise.all(open.map(quiet));
      free = [...free, ...open];
      open = [];
    },
    endSuite: async () => {
      await Promise.all(free.map((db) => db.close()));
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
}

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );

const shape = `
  select md5(string_agg(line, ';' order by line)) from (
    select concat_ws(' ', c.relkind, c.relname, a.attname, a.atttypid, a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) as line
      from pg_class c
      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      where c.relnamespace = 'public'::regnamespace
    union all
    select concat_ws(' ', tgrelid::regclass, tgname, tgenabled) from pg_trigger where not tgisinternal
    union all
    select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
      where connamespace = 'public'::regnamespace
    union all
    select concat_ws(' ', proname, md5(prosrc)) from pg_proc where pronamespace = 'public'::regnamespace
  ) as lines`;

/** What the migrations have written stands beside, with the next value of each sequence and the shape of the schema. */
const keepFirstState = `
  create schema first;
  create table first.shape as select (${shape}) as shape;
  create table first.sequences as
    select sequencename, last_value from pg_sequences where schemaname = 'public';
  create table first.tables (name text, columns text);
  do $$ declare t record; is_full boolean; begin
    for t in
      select c.relname, string_agg(format('%I', a.attname), ', ' order by a.attnum) as columns
        from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
          and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        group by c.relname
    loop
      execute format('select exists (select from public.%I)', t.relname) into is_full;
      continue when not is_full;
      insert into first.tables values (t.relname, t.columns);
      execute format('create table first.%I as table public.%I', 'of_' || t.relname, t.relname);
    end loop;
  end $$`;

const bringFirstStateBack = `
  do $$ declare t record; begin
    if (${shape}) is distinct from (select shape from first.shape) then
      raise exception 'the schema has changed';
    end if;
    set local session_replication_role = replica;
    for t in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' loop
      execute format('delete from public.%I', t.relname);
    end loop;
    for t in select * from first.tables loop
      execute format(
        'insert into public.%I (%s) overriding system value select %s from first.%I',
        t.name, t.columns, t.columns, 'of_' || t.name
      );
    end loop;
    for t in select * from first.sequences loop
      perform setval(format('public.%I', t.sequencename)::regclass, coalesce(t.last_value, 1), t.last_value is not null);
    end loop;
  end $$`;

/** What a test has started and not awaited gets a moment to end. */
async function quiet(db: Database): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) {
    const { total, idle, waiting } = db.pool();
    if (waiting === 0 && idle === total) return;
    await sleep(5);
  }
}

/** Test machines are slow and shared: what is not about deadlines must not fail by them. */
const patience = { statementTimeoutMs: 30_000, transactionTimeoutMs: 30_000, connectTimeoutMs: 30_000 };
