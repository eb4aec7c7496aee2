/**
 * The prepared store that a first start unpacks, because making one anew (`initdb`) takes seconds and half a gigabyte.
 *
 * The archive is one brotli stream: four bytes of length, a JSON list of entries, the contents one after another.
 * Unpacked files are flushed before the caller renames their folder into place.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompressSync, brotliDecompress, constants } from 'node:zlib';

interface Entry {
  readonly path: string;
  /** Absent for a folder. */
  readonly size?: number;
}

export const templateFile = new URL('./template/store.br', import.meta.url);

const decompress = promisify(brotliDecompress);
const filesAtOnce = 16;

/** Packs a stopped store. */
export function packTemplate(folder: string): Buffer {
  const entries: Entry[] = [];
  const contents: Buffer[] = [];
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  for (const path of paths) {
    if (path === 'postmaster.pid' || path === 'postmaster.opts') continue;
    if (statSync(join(folder, path)).isDirectory()) {
      entries.push({ path });
    } else {
      const content = readFileSync(join(folder, path));
      entries.push({ path, size: content.length });
      contents.push(content);
    }
  }
  const index = Buffer.from(JSON.stringify(entries));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(index.length);
  const whole = Buffer.concat([length, index, ...contents]);
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = constants;
  // The window spans copies of one file in several databases.
  const params = { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_LGWIN]: 24, [BROTLI_PARAM_SIZE_HINT]: whole.length };
  return brotliCompressSync(whole, { params });
}

/** Unpacks the template, and `more` files (by name), into `folder`, which must not exist. */
export async function unpackTemplate(folder: string, more: Readonly<Record<string, string>>): Promise<void> {
  const whole = await decompress(await readFile(templateFile));
  const contentsAt = 4 + whole.readUInt32BE(0);
  const entries = JSON.parse(whole.toString('utf8', 4, contentsAt)) as readonly Entry[];
  await mkdir(folder, { mode: 0o700 });
  const folders = [folder];
  const files = Object.entries(more).map(([name, text]) => ({ path: join(folder, name), content: Buffer.from(text) }));
  let at = contentsAt;
  for (const { path, size } of entries) {
    if (size === undefined) {
      mkdirSync(join(folder, path), { mode: 0o700 });
      folders.push(join(folder, path));
    } else {
      files.push({ path: join(folder, path), content: whole.subarray(at, at + size) });
      at += size;
    }
  }
  await eachOf(files, async ({ path, content }) => {
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(content);
    await file.sync();
    await file.close();
  });
  await eachOf(folders, syncFolder);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync();
  await handle.close();
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const runner = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: filesAtOnce }, runner));
}
