/**
 * The embedded driver: PostgreSQL as WebAssembly in a thread of this process, its files in one folder. One small node.
 *
 * - The folder belongs to one process (`data-dir-lock.ts`); commits are flushed to disk before they are answered.
 * - There is one connection: transactions take turns, with a bounded queue. A statement that is past its deadline fails for
 *   its caller and ends in its own time; one that is past all measure costs the thread.
 * - When the thread dies every call throws `DatabaseUnavailable` until `reopen`, which recovers as after a crash.
 */
import { Worker } from 'node:worker_threads';
import { Client } from 'pg';
import { Connection, isRepeatable, type ObserveStatement, transactionOn } from './connection.ts';
import { type DataDirLock, lockDataDir } from './data-dir-lock.ts';
import {
  type Database,
  DatabaseUnavailable,
  type DedicatedConnection,
  type PoolFigures,
  type Queryable,
  type Session,
  type Statement,
} from './database.ts';
import { EmbeddedLink } from './embedded-link.ts';
import type { FlushCount } from './embedded-store.ts';
import type { EmbeddedWorkerData, EmbeddedWorkerMessage } from './embedded-worker.ts';
import { Turns } from './turns.ts';
import { columnTypes } from './values.ts';

export interface EmbeddedOptions {
  readonly dataDir: string;
  /** How long a statement may take, and how long to wait for a turn. */
  readonly statementTimeoutMs?: number;
  readonly transactionTimeoutMs?: number;
  /** After this long without an answer the thread is taken for lost. Sessions are exempt. */
  readonly stuckTimeoutMs?: number;
  readonly waitingMax?: number;
  readonly observe?: ObserveStatement;
  readonly onState?: (state: 'up' | 'away') => void;
  readonly onWarning?: (message: string) => void;
}

/** What the embedded store can and must do beside the port. */
export interface EmbeddedDatabase extends Database {
  readonly kind: 'embedded';
  /** Starts the thread again after it died; does nothing while it lives. */
  reopen(): Promise<void>;
  /** No autovacuum and no checkpointer run here: call this every few minutes. Requests go between its steps. */
  maintain(): Promise<void>;
  /** How often a file was flushed since the store was opened. */
  flushes(): number;
}

const tickMs = 50;

/** Opens the store in `dataDir`, made at first. Throws `DataDirInUse` when another process has it. */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const lock = lockDataDir(options.dataDir);
  const store = new EmbeddedStore(options, lock);
  try {
    await store.reopen();
  } catch (failure) {
    await store.close();
    throw failure;
  }
  return store;
}

class EmbeddedStore implements EmbeddedDatabase {
  readonly kind = 'embedded';
  readonly #options: EmbeddedOptions & { readonly statementTimeoutMs: number; readonly transactionTimeoutMs: number };
  readonly #lock: DataDirLock;
  readonly #turns: Turns;
  readonly #flushes: FlushCount = new Int32Array(new SharedArrayBuffer(4));
  #worker: Worker | undefined;
  #link: EmbeddedLink | undefined;
  #connection: Connection | undefined;
  #reopening: Promise<void> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #tick = 0;
  #sessions = 0;
  #up = false;
  #closed = false;

  constructor(options: EmbeddedOptions, lock: DataDirLock) {
    this.#options = { statementTimeoutMs: 2_000, transactionTimeoutMs: 5_000, ...options };
    this.#lock = lock;
    this.#turns = new Turns(options.waitingMax ?? 1_000);
  }

  async run<P extends readonly unknown[], R>(statement: Statement<P, R>, params: P): Promise<readonly R[]> {
    const { statementTimeoutMs } = this.#options;
    const turn = () => this.#turns.take(false, statementTimeoutMs, () => this.#live().run(statement, params));
    return this.#repeat(() => withDeadline(statementTimeoutMs, turn));
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const { statementTimeoutMs, transactionTimeoutMs } = this.#options;
    return this.#repeat(() =>
      withDeadline(transactionTimeoutMs, (deadline) =>
        this.#turns.take(true, statementTimeoutMs, () =>
          transactionOn(this.#live(), work, { deadline, expendable: false }),
        ),
      ),
    );
  }

  async execute(script: string): Promise<void> {
    await this.session((session) => session.execute(script));
  }

  async dedicated(): Promise<DedicatedConnection> {
    if (!this.#up) throw new DatabaseUnavailable('away');
    return { run: (statement, params) => this.run(statement, params), close: async () => undefined };
  }

  async session<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#turns.take(true, undefined, async () => {
      const connection = this.#live();
      this.#sessions += 1;
      try {
        return await work({
          run: (statement, params) => connection.runUnprepared(statement, params),
          execute: (script) => connection.execute(script),
        });
      } finally {
        this.#sessions -= 1;
        // It may have changed what was prepared before it.
        if (connection.usable) await this.#renew();
      }
    });
  }

  pool(): PoolFigures {
    return { total: 1, idle: this.#turns.idle ? 1 : 0, waiting: this.#turns.waiting };
  }

  flushes(): number {
    return Atomics.load(this.#flushes, 0);
  }

  async maintain(): Promise<void> {
    const tables = await this.run(listTables, []);
    for (const { table_name } of tables) await this.execute(`vacuum (analyze) ${table_name}`);
    await this.execute('checkpoint');
  }

  async reopen(): Promise<void> {
    if (this.#closed) throw new DatabaseUnavailable('away', { cause: new Error('the database was closed') });
    if (this.#up) return;
    this.#reopening ??= this.#start().finally(() => {
      this.#reopening = undefined;
    });
    await this.#reopening;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#up = false;
    this.#turns.refuseAll(new DatabaseUnavailable('away', { cause: new Error('the database was closed') }));
    clearInterval(this.#ticker);
    const worker = this.#worker;
    if (worker !== undefined) {
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      await this.#connection?.close();
      worker.postMessage('close');
      const timer = setTimeout(() => void worker.terminate(), closeTimeoutMs);
      if (this.#worker !== undefined) await ended;
      clearTimeout(timer);
    }
    this.#lock.release();
  }

  #live(): Connection {
    if (this.#connection?.usable !== true) throw new DatabaseUnavailable('away');
    return this.#connection;
  }

  async #start(): Promise<void> {
    await this.#worker?.terminate();
    const workerData: EmbeddedWorkerData = { dataDir: this.#options.dataDir, flushes: this.#flushes };
    const worker = new Worker(workerFile, { workerData, name: 'embedded-store' });
    this.#worker = worker;
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    ready.catch(() => undefined);
    let cause: unknown;
    worker.on('message', (message: EmbeddedWorkerMessage) => {
      if (message instanceof Uint8Array) this.#link?.receive(message);
      else if (message.kind === 'ready') {
        if (message.warning !== undefined) this.#options.onWarning?.(message.warning);
        resolve();
      }
    });
    worker.on('error', (failure) => {
      cause = failure;
    });
    worker.on('exit', (code) => {
      if (this.#worker === worker) this.#worker = undefined;
      const reason = new DatabaseUnavailable('away', {
        cause: new Error(`the thread of the embedded store ended with code ${code}`, { cause }),
      });
      reject(reason);
      this.#lose(worker, reason);
    });
    await ready;
    this.#connection = await this.#connect(worker);
    this.#ticker ??= setInterval(() => this.#watch(), tickMs).unref();
    this.#up = true;
    this.#options.onState?.('up');
  }

  /** The thread died, or its connection did: neither is of use without the other. */
  #lose(worker: Worker, reason: DatabaseUnavailable): void {
    void worker.terminate();
    if (!this.#up) return;
    this.#up = false;
    this.#connection?.destroy(reason);
    this.#connection = undefined;
    if (this.#closed) return;
    this.#turns.refuseAll(reason);
    this.#options.onState?.('away');
  }

  #watch(): void {
    this.#tick += 1;
    const oldest = this.#connection?.oldestTick;
    if (oldest === undefined || this.#sessions > 0) return;
    if ((this.#tick - oldest) * tickMs > (this.#options.stuckTimeoutMs ?? stuckTimeoutMsDefault)) {
      this.#connection?.destroy(new DatabaseUnavailable('deadline'));
    }
  }

  /** A plan that is out of date did nothing: once more, with everything prepared anew. */
  async #repeat<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (failure) {
      if (!isRepeatable(failure)) throw failure;
      await this.session(async () => undefined);
      return await call();
    }
  }

  /** There is no other connection to prepare on: both sides of this one forget what they have prepared. */
  async #renew(): Promise<void> {
    const [connection, worker] = [this.#live(), this.#worker];
    if (worker === undefined) return;
    await connection.execute('rollback; deallocate all');
    await connection.close();
    this.#connection = await this.#connect(worker);
  }

  async #connect(worker: Worker): Promise<Connection> {
    const link = new EmbeddedLink(worker);
    this.#link = link;
    const client = new Client({ stream: () => link, pipeline: true, types: columnTypes, user: 'postgres', ssl: false });
    client.on('error', () => undefined);
    await client.connect();
    return new Connection(client, {
      ticks: () => this.#tick,
      observe: this.#options.observe,
      onLost: () => this.#lose(worker, new DatabaseUnavailable('away')),
    });
  }
}

const closeTimeoutMs = 5_000;
const stuckTimeoutMsDefault = 30_000;

// Beside this file, in the sources as in what is built from them.
const workerFile = new URL(
  `./embedded-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

const listTables: Statement<readonly [], { readonly table_name: string }> = {
  name: 'embedded.list_tables',
  text: `select quote_ident(relname) as table_name from pg_class
         where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname`,
};

/** Fails for the caller when the time is over; the work itself is told through `deadline`. */
async function withDeadline<T>(ms: number, work: (deadline: Promise<never>) => Promise<T>): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  deadline.catch(() => undefined);
  // Timers run before messages are read: an answer that is there already gets its turn.
  const timer = setTimeout(() => setImmediate(() => reject(new DatabaseUnavailable('deadline'))), ms);
  try {
    const done = work(deadline);
    done.catch(() => undefined);
    return await Promise.race([done, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
