/** Migrates one database and prints what was applied. `argv`: a URL or a folder, a JSON list of migrations. */
import {
  type Migration,
  migrate,
  openEmbedded,
  openPostgres,
} from '../../../packages/server/src/platform/database/index.ts';

const [where = '', list = '[]'] = process.argv.slice(2);
const migrations = JSON.parse(list) as readonly Migration[];
const db = where.startsWith('postgres:')
  ? await openPostgres({ connection: where, poolSize: 1, connectTimeoutMs: 30_000 })
  : await openEmbedded({ dataDir: where });
const onStep = (name: string, step: string) => process.stdout.write(`${step} ${name}\n`);
const { applied } = await migrate(db, migrations.length > 0 ? { migrations, onStep } : { onStep });
await db.close();
process.stdout.write(`${JSON.stringify(applied)}\n`);
