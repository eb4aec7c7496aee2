/**
 * The embedded store itself: PGlite on files of this machine.
 *
 * Guarantees: what PostgreSQL asks to be flushed is flushed (`fsync`); files are readable by their owner alone. PGlite as it
 * comes does neither.
 */
import fs from 'node:fs';
import { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';

/** Shared with the owner: how often a file was flushed. */
export type FlushCount = Int32Array<SharedArrayBuffer>;

interface Inode {
  mode: number;
}
interface NodeFiles {
  node_ops: {
    mknod(parent: unknown, name: string, mode: number, dev: number): unknown;
    setattr(node: Inode, attr: { mode?: number }): void;
  };
  stream_ops: { fsync?(stream: { nfd: number }): number };
  tryFSOperation<T>(work: () => T): T;
}

const permissionBits = 0o777;
const ownerBits = 0o700;

/** PGlite's files on disk, with the flushes that it leaves out and without the permissions that it hands out. */
class DurableFiles extends NodeFS {
  readonly #flushes: FlushCount;

  constructor(folder: string, flushes: FlushCount) {
    super(folder);
    this.#flushes = flushes;
  }

  override async init(...given: Parameters<NodeFS['init']>) {
    const made = await super.init(...given);
    made.emscriptenOpts.preRun?.push((module) => {
      const files = module.NODEFS as unknown as NodeFiles;
      files.stream_ops.fsync = (stream) => {
        files.tryFSOperation(() => fs.fsyncSync(stream.nfd));
        Atomics.add(this.#flushes, 0, 1);
        return 0;
      };
      const { mknod, setattr } = files.node_ops;
      const ownersOnly = (mode: number) => mode & ~(permissionBits & ~ownerBits);
      files.node_ops.mknod = (parent, name, mode, dev) => mknod(parent, name, ownersOnly(mode), dev);
      files.node_ops.setattr = (node, attr) =>
        setattr(node, attr.mode === undefined ? attr : { ...attr, mode: ownersOnly(attr.mode) });
    });
    return made;
  }
}

// `fdatasync` does nothing here, so the log is flushed by `fsync`. There are no other processes to be parallel with.
const settings = {
  fsync: 'on',
  wal_sync_method: 'fsync',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  search_path: 'public',
  timezone: 'UTC',
  datestyle: 'ISO',
  bytea_output: 'hex',
  client_min_messages: 'warning',
  shared_buffers: '16MB',
  work_mem: '4MB',
  maintenance_work_mem: '16MB',
  io_method: 'sync',
  exit_on_error: 'false',
  log_checkpoints: 'false',
  max_worker_processes: '0',
  max_parallel_workers: '0',
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
};
const startParams = [
  '--single',
  '-j',
  ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
];

// The builtin provider sorts by code point, whatever the machine's locale library does after an upgrade.
const initDbStartParams = [
  '--wal-segsize=4',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--encoding=UTF8',
];

/** Starts the store in `folder`, which is made anew when it is not there. */
export async function startStore(folder: string, flushes: FlushCount): Promise<PGlite> {
  const store = new PGlite({ fs: new DurableFiles(folder, flushes), startParams, initDbStartParams });
  await store.waitReady;
  return store;
}
