/**
 * One pipelined connection to a server (or to the embedded store): statements are sent at once and answered in order.
 *
 * Guarantees: every statement settles. A connection that ends, or that is destroyed, rejects all that it still owed,
 * at once and without waiting for the other side; nothing is ever sent on it again.
 */
import type { Client } from 'pg';
import { DatabaseUnavailable, type Session, type Statement } from './database.ts';
import { Conflict, endsConnection, StalePlan, translateFailure } from './failures.ts';
import { encodeParams } from './values.ts';

export type ObserveStatement = (statementName: string, seconds: number, ok: boolean) => void;

/** Counts time in ticks, so that a blocked event loop is never taken for a silent server. */
export type TickClock = () => number;

interface Pending {
  readonly sinceTick: number;
  readonly reject: (reason: Error) => void;
}

interface SentQuery {
  readonly name?: string;
  readonly text: string;
  readonly values?: (string | Buffer | null)[];
}

interface Answer {
  readonly command: string;
  readonly rows: unknown[];
}

export interface ConnectionOptions {
  readonly ticks: TickClock;
  readonly observe?: ObserveStatement | undefined;
  /** Called once, when the connection ended for whatever reason but `close`. */
  readonly onLost?: (() => void) | undefined;
}

export class Connection implements Session {
  readonly #client: Client;
  readonly #options: ConnectionOptions;
  readonly #pending = new Set<Pending>();
  #dead: DatabaseUnavailable | undefined;
  #stale = false;
  #closing = false;

  /** `client` is connected already. */
  constructor(client: Client, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    const lost = (cause?: Error) => this.destroy(new DatabaseUnavailable('away', { cause }));
    client.on('error', lost);
    client.on('end', () => lost());
  }

  /** Whether it can take another statement. */
  get usable(): boolean {
    return this.#dead === undefined && !this.#closing;
  }

  /** Whether it should be replaced when what it does now is done. */
  get stale(): boolean {
    return this.#stale || !this.usable;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** The tick in which the oldest unanswered statement was sent. */
  get oldestTick(): number | undefined {
    for (const pending of this.#pending) return pending.sinceTick;
    return undefined;
  }

  async run<P extends readonly unknown[], R>(statement: Statement<P, R>, params: P): Promise<readonly R[]> {
    const { rows } = await this.#send({ name: statement.name, text: statement.text, values: encodeParams(params) });
    return rows as R[];
  }

  /** Prepares nothing that outlives the call. */
  async runUnprepared<P extends readonly unknown[], R>(statement: Statement<P, R>, params: P): Promise<readonly R[]> {
    const { rows } = await this.#send({ text: statement.text, values: encodeParams(params) }, statement.name);
    return rows as R[];
  }

  async execute(script: string): Promise<void> {
    await this.#send({ text: script });
  }

  /** Sends a command by the simple protocol and answers its tag: `COMMIT` may be answered by `ROLLBACK`. */
  async command(text: string): Promise<string> {
    const answer = await this.#send({ text });
    return answer.command;
  }

  /** Ends the connection now. What is unanswered may or may not have been done. */
  destroy(reason: DatabaseUnavailable): void {
    if (this.#dead !== undefined) return;
    this.#dead = reason;
    const owed = [...this.#pending];
    this.#pending.clear();
    for (const pending of owed) pending.reject(reason);
    // The client has no call that ends a connection without a word to a server that may not be listening.
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    if (!this.#closing) this.#options.onLost?.();
  }

  /** Says good-bye when everything was answered; at most `patienceMs`. */
  async close(patienceMs = 500): Promise<void> {
    if (this.#dead !== undefined) return;
    this.#closing = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    this.#client.end().then(resolve, () => resolve());
    await promise;
    clearTimeout(timer);
    this.destroy(new DatabaseUnavailable('away'));
  }

  #send(query: SentQuery, label = query.name ?? 'script'): Promise<Answer> {
    const dead = this.#dead ?? (this.#closing ? new DatabaseUnavailable('away') : undefined);
    if (dead !== undefined) return Promise.reject(new DatabaseUnavailable(dead.reason, { cause: dead }));
    return new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const settle = (failure: Error | undefined) => {
        this.#pending.delete(pending);
        this.#options.observe?.(label, (performance.now() - startedAt) / 1000, failure === undefined);
      };
      const fail = (raw: Error) => {
        const failure = translateFailure(raw);
        settle(failure);
        reject(failure);
        if (failure instanceof StalePlan) this.#stale = true;
        if (failure instanceof DatabaseUnavailable && endsConnection(raw)) this.destroy(failure);
      };
      const pending: Pending = { sinceTick: this.#options.ticks(), reject: fail };
      this.#pending.add(pending);
      this.#client.query(query, (raw: Error | null, answer: Answer | Answer[]) => {
        // After `destroy` the client reports once more what was rejected already.
        if (!this.#pending.has(pending)) return;
        if (raw) {
          fail(raw);
          return;
        }
        settle(undefined);
        resolve((Array.isArray(answer) ? answer.at(-1) : answer) ?? { command: '', rows: [] });
      });
    });
  }
}

/** What bounds a transaction. */
export interface TransactionBounds {
  /** Rejects when the transaction has taken too long. */
  readonly deadline: Promise<never>;
  /** Whether a connection that cannot roll back in time may be destroyed; the embedded store has only the one. */
  readonly expendable: boolean;
}

/**
 * Runs `work` in one transaction of this connection and answers its value once that is committed. Rolls back when `work`
 * throws; an expendable connection that cannot even do that is destroyed, so that no half of a transaction stays behind.
 */
export async function transactionOn<T>(
  connection: Connection,
  work: (tx: Session) => Promise<T>,
  bounds: TransactionBounds,
): Promise<T> {
  const { deadline, expendable } = bounds;
  let open = true;
  let swallowed: Error | undefined;
  const guarded = async <A>(call: () => Promise<A>): Promise<A> => {
    if (!open) throw new Error('a transaction was used after it had ended');
    try {
      return await call();
    } catch (failure) {
      swallowed ??= failure as Error;
      throw failure;
    }
  };
  const tx: Session = {
    run: (what, params) => guarded(() => connection.run(what, params)),
    execute: (script) => guarded(() => connection.execute(script)),
  };
  // Not awaited: the first statement follows on its heels. It can only fail together with the connection.
  connection.command('begin').catch(() => undefined);
  try {
    const value = await Promise.race([work(tx), deadline]);
    if (swallowed instanceof Conflict || swallowed instanceof StalePlan) throw swallowed;
    open = false;
    const tag = await Promise.race([connection.command('commit'), deadline]);
    if (tag !== 'COMMIT') throw new Error('a failed statement has ended the transaction', { cause: swallowed });
    return value;
  } catch (failure) {
    open = false;
    const rolledBack = connection.command('rollback');
    await (expendable ? Promise.race([rolledBack, deadline]) : rolledBack).catch(() => {
      connection.destroy(new DatabaseUnavailable('away', { cause: failure }));
    });
    throw failure;
  }
}

/** Whether the same work may simply be tried again, on a connection that is not stale. */
export function isRepeatable(failure: unknown): boolean {
  return failure instanceof Conflict || failure instanceof StalePlan;
}
