/**
 * Is the server there? One connection of its own asks, whenever something looks wrong.
 *
 * A statement that is slow and a server that is away look alike to the one who waits. So a slow statement only raises a
 * suspicion; the answer comes from a `select 1` on the probe's own connection. When that fails the circuit opens: all
 * connections are destroyed, every call fails at once, and a background probe with growing, jittered pauses looks for the
 * server until it answers.
 *
 *   up --suspect, probe fails--> away --probe answers--> up
 */
import type { Connection } from './connection.ts';
import { DatabaseUnavailable, type Statement } from './database.ts';

export interface CircuitOptions {
  readonly open: () => Promise<Connection>;
  readonly probeTimeoutMs: number;
  readonly onAway: (reason: DatabaseUnavailable) => void;
  readonly onUp: () => void;
  readonly random: () => number;
}

const pauseMsMin = 50;
const pauseMsMax = 1_000;
const probe: Statement<readonly [], unknown> = { name: 'probe', text: 'select 1' };

export class Circuit {
  readonly #options: CircuitOptions;
  #connection: Connection | undefined;
  #away: DatabaseUnavailable | undefined;
  #probing = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#away === undefined && !this.#closed;
  }

  /** Throws at once while the server is away. */
  demand(): void {
    if (this.#closed) throw new DatabaseUnavailable('away', { cause: new Error('the database was closed') });
    if (this.#away !== undefined) throw new DatabaseUnavailable('away', { cause: this.#away });
  }

  /** The first connection: throws when there is no server. */
  async start(): Promise<void> {
    this.#connection = await this.#options.open();
  }

  /** Something looks wrong: find out. Many suspicions at once are one probe. */
  suspect(cause: unknown): void {
    if (this.#probing || !this.isUp) return;
    this.#probing = true;
    this.#ask()
      .catch((failure: unknown) => this.#goAway(new DatabaseUnavailable('away', { cause: failure ?? cause })))
      .finally(() => {
        this.#probing = false;
      });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#connection?.close();
  }

  async #ask(): Promise<void> {
    if (this.#connection?.usable !== true) this.#connection = await this.#options.open();
    const answer = this.#connection.run(probe, []);
    answer.catch(() => undefined);
    const { promise, reject } = Promise.withResolvers<never>();
    // An event loop that was blocked runs timers before it reads sockets: give the answer one turn to be read.
    const timer = setTimeout(() => setImmediate(() => setImmediate(reject)), this.#options.probeTimeoutMs);
    try {
      await Promise.race([answer, promise]);
    } finally {
      clearTimeout(timer);
      promise.catch(() => undefined);
    }
  }

  #goAway(reason: DatabaseUnavailable): void {
    if (this.#closed || this.#away !== undefined) return;
    this.#away = reason;
    this.#drop(reason);
    this.#options.onAway(reason);
    this.#lookAgain(pauseMsMin, reason);
  }

  #drop(reason: DatabaseUnavailable): void {
    this.#connection?.destroy(reason);
    this.#connection = undefined;
  }

  #lookAgain(pauseMs: number, reason: DatabaseUnavailable): void {
    if (this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#ask().then(
          () => {
            if (this.#closed) return;
            this.#away = undefined;
            this.#options.onUp();
          },
          () => {
            this.#drop(reason);
            this.#lookAgain(Math.min(pauseMs * 2, pauseMsMax), reason);
          },
        );
      },
      pauseMs * (0.5 + this.#options.random()),
    );
    this.#timer.unref();
  }
}
