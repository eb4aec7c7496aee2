/**
 * One name that this node holds, and its fence.
 *
 * A hold ends by this node's monotonic clock before its lease can end on the database's; what was begun under it then commits
 * nothing: every write asserts the fence in its own transaction, and a lease that another node took has another fence.
 */
import type { Database, Queryable } from '../../platform/database/index.ts';
import type { Clock, Timers } from '../../platform/time/index.ts';
import { lockFence } from './singletons.sql.ts';

/** This node does not hold the name any more; nothing was written. */
export class FenceLost extends Error {
  override readonly name = 'FenceLost';
  constructor(singleton: string) {
    super(`${singleton} is not held here any more`);
  }
}

/** What the work of a singleton is handed. */
export interface Held {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  /** Grows with each change of hands. */
  readonly fence: number;
  /** Aborted when this node is to stop with it. */
  readonly signal: AbortSignal;
  /** In the transaction of the write, before or after it: throws `FenceLost` unless this node holds the name until its commit. */
  assertFence(tx: Queryable): Promise<void>;
  /** Each statement in a transaction of its own, under the fence. */
  readonly fenced: Queryable;
}

export interface Hold extends Held {
  isValid(): boolean;
  /** Valid until this moment of the monotonic clock. */
  extend(untilMs: number): void;
  end(): void;
}

export function createHold(deps: {
  readonly db: Database;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  readonly owner: string;
  readonly row: Pick<Held, 'name' | 'spec' | 'fence'>;
  readonly untilMs: number;
  /** It ended by the clock. */
  readonly onExpired: () => void;
}): Hold {
  const { db, clock, timers, owner } = deps;
  const { name, spec, fence } = deps.row;
  const controller = new AbortController();
  let untilMs = deps.untilMs;
  let cancel = (): void => undefined;

  const isValid = (): boolean => !controller.signal.aborted && clock.monotonicMs() < untilMs;

  function watch(): void {
    cancel = timers.after(untilMs - clock.monotonicMs(), () => {
      if (isValid()) return watch();
      controller.abort();
      deps.onExpired();
    });
  }

  async function assertFence(tx: Queryable): Promise<void> {
    if (!isValid() || !(await lockFence(tx, { name, owner, fence }))) throw new FenceLost(name);
  }

  watch();
  return {
    name,
    spec,
    fence,
    signal: controller.signal,
    assertFence,
    fenced: {
      run: (what, params) =>
        db.transaction(async (tx) => {
          await assertFence(tx);
          return tx.run(what, params);
        }),
    },
    isValid,
    extend(until) {
      untilMs = Math.max(untilMs, until);
    },
    end() {
      cancel();
      controller.abort();
    },
  };
}
