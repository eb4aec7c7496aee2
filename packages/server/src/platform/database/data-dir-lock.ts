/**
 * One process for one data folder.
 *
 * The lock is a lock of the kernel on a file (fcntl, taken through SQLite, which Node carries): it is taken in one step,
 * so two that start together cannot both have it; it ends with its process, `kill -9` included, so nothing stale is left
 * to clear away; and it holds across containers that share the folder. A file with a process id in it, or a socket, fails
 * at least one of the three.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Another process has the folder. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';
  readonly dataDir: string;
  readonly pid: number | undefined;
  constructor(dataDir: string, pid: number | undefined, options?: ErrorOptions) {
    const who = pid === undefined ? 'another process' : `another process (pid ${pid})`;
    super(`the data folder ${dataDir} is in use by ${who}: stop it, or set DATA_DIR to another folder`, options);
    this.dataDir = dataDir;
    this.pid = pid;
  }
}

export interface DataDirLock {
  release(): void;
}

/** Takes the folder, which is made with mode 0700 where it is missing. Throws `DataDirInUse`. */
export function lockDataDir(dataDir: string): DataDirLock {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = join(dataDir, 'store.lock');
  // A file of its own, for the text of the error alone: nothing but SQLite may open the locked one, because to close any
  // second descriptor of it would give up the lock.
  const owner = join(dataDir, 'store.owner');
  let handle: DatabaseSync | undefined;
  try {
    handle = new DatabaseSync(file);
    chmodSync(file, 0o600);
    handle.exec('pragma locking_mode = exclusive; pragma journal_mode = memory; begin exclusive');
  } catch (failure) {
    handle?.close();
    if ((failure as { errcode?: number }).errcode !== sqliteBusy) throw failure;
    throw new DataDirInUse(dataDir, readPid(owner), { cause: failure });
  }
  writeFileSync(owner, `${process.pid}\n`, { mode: 0o600 });
  const held = handle;
  return { release: () => held.close() };
}

const sqliteBusy = 5;

function readPid(owner: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(owner, 'utf8'), 10);
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
