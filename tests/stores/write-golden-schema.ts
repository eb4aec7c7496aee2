/** Writes `schema.golden.sql` from the migrations: `node tests/stores/write-golden-schema.ts`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, openEmbedded } from '../../packages/server/src/platform/database/index.ts';
import { dumpSchema } from './schema-dump.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'auth-service-golden-'));
const db = await openEmbedded({ dataDir });
await migrate(db);
const golden = new URL('../../packages/server/src/platform/database/schema.golden.sql', import.meta.url);
writeFileSync(golden, await dumpSchema(db));
await db.close();
rmSync(dataDir, { recursive: true });
