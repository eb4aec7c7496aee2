/**
 * Turns on a single connection: statements that stand alone may follow one another, a transaction has it to itself.
 *
 * First come, first served. At most `waitingMax` wait, none longer than its `patienceMs`.
 */
import { DatabaseUnavailable } from './database.ts';

interface Turn {
  readonly exclusive: boolean;
  readonly begin: () => void;
  readonly refuse: (reason: Error) => void;
}

export class Turns {
  readonly #waitingMax: number;
  readonly #waiting = new Set<Turn>();
  #shared = 0;
  #exclusive = false;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get idle(): boolean {
    return this.#shared === 0 && !this.#exclusive;
  }

  /** Does `work` in its turn. Without `patienceMs` it waits as long as it takes. */
  async take<T>(exclusive: boolean, patienceMs: number | undefined, work: () => Promise<T>): Promise<T> {
    await this.#turn(exclusive, patienceMs);
    try {
      return await work();
    } finally {
      if (exclusive) this.#exclusive = false;
      else this.#shared -= 1;
      this.#next();
    }
  }

  /** Everybody who waits is refused. */
  refuseAll(reason: Error): void {
    for (const turn of [...this.#waiting]) turn.refuse(reason);
  }

  #turn(exclusive: boolean, patienceMs: number | undefined): Promise<void> {
    if (this.#waiting.size >= this.#waitingMax) return Promise.reject(new DatabaseUnavailable('pool_exhausted'));
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        this.#waiting.delete(turn);
      };
      const turn: Turn = {
        exclusive,
        begin: () => {
          leave();
          resolve();
        },
        refuse: (reason) => {
          leave();
          reject(reason);
          this.#next();
        },
      };
      const refuse = () => turn.refuse(new DatabaseUnavailable('pool_exhausted'));
      const timer = patienceMs === undefined ? undefined : setTimeout(refuse, patienceMs);
      this.#waiting.add(turn);
      this.#next();
    });
  }

  #next(): void {
    for (const turn of this.#waiting) {
      if (this.#exclusive || (turn.exclusive && this.#shared > 0)) return;
      if (turn.exclusive) this.#exclusive = true;
      else this.#shared += 1;
      turn.begin();
    }
  }
}
