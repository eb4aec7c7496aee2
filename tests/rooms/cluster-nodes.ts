/** Nodes of a cluster in one process: membership, singletons and registry on one database, with rows of their own. */
import { randomUUID } from 'node:crypto';
import {
  createMembership,
  createRegistry,
  createSingletons,
  type Membership,
  type Registry,
  type RunResult,
  type SingletonKind,
  type Singletons,
  type SingletonTimes,
} from '../../packages/server/src/cluster/index.ts';
import { type Database, statement } from '../../packages/server/src/platform/database/index.ts';
import { type Clock, systemClock, systemTimers, type Timers } from '../../packages/server/src/platform/time/index.ts';

/** A twentieth of the real ones would be as good; these leave room for a slow machine. */
export const quickTimes = { leaseMs: 1_500, lookMs: 100, marginMs: 500, graceMs: 300, settleMs: 300 } as const;

const beat = statement<[string, string, readonly string[]], never>(
  'test_cluster_beat',
  `insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until, stats)
   values ($1, $2, 'test', now(), clock_timestamp(), clock_timestamp() + interval '12 seconds',
           jsonb_build_object('singletons', to_jsonb($3::text[])))
   on conflict (incarnation) do update set beat_at = clock_timestamp(), stats = excluded.stats`,
);
const leave = statement<[string], never>('test_cluster_leave', 'delete from cluster_nodes where incarnation = $1');

export interface Node {
  readonly name: string;
  readonly incarnation: string;
  readonly singletons: Singletons;
  readonly registry: Registry;
  readonly membership: Membership;
  readonly results: RunResult[];
  readonly changes: string[];
  /** Stops in good order. */
  stop(): Promise<void>;
  /** Nothing that waits for a time goes on until it thaws; its clock does. */
  freeze(): Promise<void>;
  thaw(): void;
}

export async function startNode(
  db: Database,
  options: {
    readonly name: string;
    readonly kinds: readonly SingletonKind[];
    readonly clock?: Clock;
    readonly incarnation?: string;
    /** Quick ones by default; `null` for those of the service. */
    readonly times?: SingletonTimes | null;
    /** What it tells to run; what it runs by default. */
    readonly told?: readonly string[];
  },
): Promise<Node> {
  const { name, kinds, clock = systemClock, incarnation = randomUUID(), times = quickTimes } = options;
  const told = options.told ?? kinds.map((kind) => kind.kind);
  const results: RunResult[] = [];
  const changes: string[] = [];
  let frozen: (() => void)[] | undefined;
  const timers: Timers = {
    after: (ms, run) => systemTimers.after(ms, () => (frozen === undefined ? run() : frozen.push(run))),
  };
  let beating: Promise<unknown> = db.run(beat, [incarnation, name, told]);
  await beating;
  const timer = setInterval(() => {
    if (frozen === undefined) beating = db.run(beat, [incarnation, name, told]).catch(() => undefined);
  }, 300);
  const membership = createMembership({ db, clock, self: incarnation });
  const singletons = createSingletons({
    db,
    clock,
    timers,
    random: Math.random,
    node: { incarnation, name },
    kinds,
    membership,
    ...(times === null ? {} : { times }),
    onRun: (_name, result) => results.push(result),
    onChange: (what, which) => changes.push(`${what} ${which}`),
  });
  singletons.start(() => undefined);
  return {
    name,
    incarnation,
    singletons,
    registry: createRegistry({ db, singletons, kinds, incarnation }),
    membership,
    results,
    changes,
    async stop() {
      await singletons.stop(1_000);
      clearInterval(timer);
      await beating;
      await db.run(leave, [incarnation]);
    },
    async freeze() {
      frozen = [];
      await beating;
    },
    thaw() {
      const parked = frozen ?? [];
      frozen = undefined;
      for (const run of parked) run();
    },
  };
}
