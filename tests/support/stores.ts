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

/** To open a store takes a second, to empty one a fraction: those that are still open serve the next test. */
export function embeddedStore(): Store {
  const folders: string[] = [];
  let open: EmbeddedDatabase[] = [];
  let free: EmbeddedDatabase[] = [];
  const reuse = async (): Promise<EmbeddedDatabase> => {
    for (let db = free.pop(); db !== undefined; db = free.pop()) {
      try {
        await db.execute('drop schema public cascade; create schema public');
        return db;
      } catch {
        await db.close();
      }
    }
    const dataDir = mkdtempSync(join(tmpdir(), 'auth-service-embedded-'));
    folders.push(dataDir);
    return openEmbedded({ dataDir });
  };
  return {
    make: async () => {
      const db = await reuse();
      open.push(db);
      await migrate(db);
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

/** What a test has started and not awaited gets a moment to end. */
async function quiet(db: Database): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) {
    const { total, idle, waiting } = db.pool();
    if (waiting === 0 && idle === total) return;
    await sleep(5);
  }
}

/** Test machines are slow and shared: what is not about deadlines must not fail by them. */
const patience = { statementTimeoutMs: 10_000, transactionTimeoutMs: 20_000, connectTimeoutMs: 10_000 };
