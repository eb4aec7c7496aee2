/**
 * Makes `store.br`, the prepared store of a first start: `node packages/server/src/platform/database/template/make.ts`.
 * To be run after each upgrade of PGlite. A database of its own for each template would only be dead weight.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStore } from '../embedded-store.ts';
import { packTemplate, templateFile } from '../template.ts';

const folder = mkdtempSync(join(tmpdir(), 'store-template-'));
try {
  const flushes = new Int32Array(new SharedArrayBuffer(4));
  const store = await startStore(join(folder, 'store'), flushes);
  await store.exec(`update pg_database set datistemplate = false where datname in ('template0', 'template1')`);
  await store.exec('drop database template0');
  await store.exec('drop database template1');
  await store.exec('vacuum (full, freeze, analyze)');
  await store.exec('checkpoint');
  await store.close();
  const packed = packTemplate(join(folder, 'store'));
  writeFileSync(templateFile, packed);
  process.stdout.write(`${packed.length} bytes\n`);
} finally {
  rmSync(folder, { recursive: true });
}
