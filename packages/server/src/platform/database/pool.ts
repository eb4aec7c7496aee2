/**
 * Connections for what writes: each transaction has one to itself.
 *
 * Guarantees: at most `size` connections; nobody waits longer than `acquireTimeoutMs`, and at most `waitingMax` wait, in
 * the order they came; a connection that is stale or lost is replaced, never handed out.
 */
import type { Connection } from './connection.ts';
import { DatabaseUnavailable, type PoolFigures } from './database.ts';

export interface PoolOptions {
  readonly size: number;
  readonly acquireTimeoutMs: number;
  readonly waitingMax: number;
  readonly open: (onLost: () => void) => Promise<Connection>;
}

interface Waiter {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (reason: Error) => void;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<Waiter>();
  #opening = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get figures(): PoolFigures {
    return { total: this.#all.size, idle: this.#idle.length, waiting: this.#waiting.size };
  }

  get connections(): Iterable<Connection> {
    return this.#all;
  }

  async use<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    try {
      return await work(connection);
    } finally {
      this.#release(connection);
    }
  }

  /** The server is away: everybody hears it now. */
  destroyAll(reason: DatabaseUnavailable): void {
    for (const connection of [...this.#all]) connection.destroy(reason);
    this.#failWaiting(reason);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#failWaiting(new DatabaseUnavailable('away'));
    await Promise.all([...this.#all].map((connection) => connection.close()));
  }

  #acquire(): Promise<Connection> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#closed) return Promise.reject(new DatabaseUnavailable('away'));
    if (this.#waiting.size >= this.#options.waitingMax)
      return Promise.reject(new DatabaseUnavailable('pool_exhausted'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => waiter.reject(new DatabaseUnavailable('pool_exhausted')),
        this.#options.acquireTimeoutMs,
      );
      const leave = () => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        resolve: (connection) => {
          leave();
          resolve(connection);
        },
        reject: (reason) => {
          leave();
          reject(reason);
        },
      };
      this.#waiting.add(waiter);
      this.#grow();
    });
  }

  #grow(): void {
    const wanted = Math.min(this.#waiting.size, this.#options.size - this.#all.size);
    while (!this.#closed && this.#opening < wanted) {
      this.#opening += 1;
      this.#open();
    }
  }

  #open(): void {
    let connection: Connection | undefined;
    this.#options
      .open(() => connection && this.#forget(connection))
      .then(
        (opened) => {
          connection = opened;
          this.#opening -= 1;
          this.#all.add(opened);
          this.#release(opened);
        },
        (failure: Error) => {
          this.#opening -= 1;
          // A server that has no room for one more still serves those who are in: their waiters keep waiting.
          if (this.#all.size === 0 && this.#opening === 0) this.#failWaiting(failure);
        },
      );
  }

  #release(connection: Connection): void {
    if (this.#closed || connection.stale) {
      this.#forget(connection);
      if (connection.usable) connection.close().catch(() => undefined);
      return;
    }
    for (const waiter of this.#waiting) {
      waiter.resolve(connection);
      return;
    }
    this.#idle.push(connection);
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#grow();
  }

  #failWaiting(reason: Error): void {
    for (const waiter of [...this.#waiting]) waiter.reject(reason);
  }
}
