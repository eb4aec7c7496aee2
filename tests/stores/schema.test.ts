/** The schema and the statements fit together, on both stores. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { declaredStatements, one, type Session, statement } from '../../packages/server/src/platform/database/index.ts';
import { forEachStore } from '../support/stores.ts';
import { dumpSchema } from './schema-dump.ts';

const sources = fileURLToPath(new URL('../../packages/server/src/', import.meta.url));
const files = globSync('**/*.sql.ts', { cwd: sources }).map((file) => pathToFileURL(sources + file).href);
const perRoom = await Promise.all(files.map((file) => import(file) as Promise<unknown>));

const rows = Number(process.env['LEDGER_ROWS'] ?? 200_000);
const snapshotNow = statement<[], { readonly snapshot: string }>(
  'test.snapshot',
  'select pg_current_snapshot()::text as snapshot',
);
const countTail = statement<[since: string], { readonly found: number }>(
  'test.tail',
  'select count(*) as found from revocations_visible_since($1::pg_snapshot)',
);

/** The plans that were used inside of functions too, which a plain `explain` does not show. */
async function planOfTail(session: Session, since: string): Promise<string> {
  const body = statementOf(since);
  await session.execute('begin; set local enable_seqscan = off');
  const lines = await session.run({ name: '', text: `explain (costs off) ${body}` }, []);
  await session.execute('rollback');
  return (lines as readonly Record<string, unknown>[]).map((line) => Object.values(line).join()).join('\n');
}

function statementOf(since: string): string {
  const migration = readFileSync(`${sources}platform/database/migrations/0001_initial.sql`, 'utf8');
  const body = migration.match(/function revocations_visible_since[^$]*\$\$([^$]*)\$\$/)?.[1];
  assert.ok(body, 'the function stands in the migration');
  return body.replaceAll('since', `'${since}'::pg_snapshot`);
}

forEachStore('the schema', (makeDatabase) => {
  test('is the golden one (tests/stores/write-golden-schema.ts writes it)', async () => {
    const db = await makeDatabase();
    const golden = readFileSync(`${sources}platform/database/schema.golden.sql`, 'utf8');
    assert.equal(await dumpSchema(db), golden);
  });

  test('every declared statement can be prepared against it', async () => {
    assert.ok(perRoom.length > 5, 'the walk found the files');
    assert.ok(declaredStatements().length > 30, 'the files declare statements');
    const db = await makeDatabase();
    const problems: string[] = [];
    await db.session(async (session) => {
      for (const [at, { name, text }] of declaredStatements().entries()) {
        await session.execute(`prepare check_${at} as ${text}`).catch((failure: Error) => {
          problems.push(`${name}: ${failure.message}`);
        });
      }
      await session.execute('deallocate all');
    });
    assert.deepEqual(problems, []);
  });

  test(`the tail of the ledger stays an index scan after one transaction with ${rows} revocations`, async () => {
    const db = await makeDatabase();
    await db.execute(`insert into revocations (kind, subject, expires_at, reason)
      select 'token', g::text, now() + interval '1 hour', 'load' from generate_series(1, ${rows}) g`);
    await db.execute('analyze revocations');
    const since = (await one(db, snapshotNow, []))?.snapshot ?? '';
    await db.execute(`insert into revocations (kind, subject, expires_at, reason)
      values ('token', 'late', now() + interval '1 hour', 'test'), ('token', 'dead', now() - interval '1 hour', 'test')`);
    assert.deepEqual(await db.run(countTail, [since]), [{ found: 1 }], 'what is new and alive, and nothing else');
    await db.session(async (session) => {
      const plan = await planOfTail(session, since);
      assert.match(plan, /Index|Bitmap/);
      assert.doesNotMatch(plan, /Seq Scan on revocations/);
    });
  });
});
