/**
 * What runs once in the cluster: each singleton is held by one node at a time, and runs there.
 *
 *   free ── the preferred node takes it, each further one a grace later ──▶ held ── renewed at a third of its lease ──▶ held …
 *    ▲                                                                       │
 *    ├── the lease ended: its holder died, froze, or lost the database ──────┤
 *    └── handed to the preferred node, once that has been there for a while and no run is under way; or at the end of a node
 *
 * A node that dies costs the length of a lease and a look; one that stops in good order a look. Two nodes may believe that they
 * hold one name, for instance after a freeze; only one of them can write (`hold.ts`).
 */
import { type Database, DatabaseUnavailable } from '../../platform/database/index.ts';
import type { Clock, Timers } from '../../platform/time/index.ts';
import type { Member, Membership } from '../membership/membership.ts';
import { createHold, type Hold } from './hold.ts';
import { mayTake, rankNodes } from './placement.rule.ts';
import { createRunner, type Runner, type RunResult, type SingletonKind } from './runner.ts';
import {
  consumeFree,
  insertSingleton,
  listSingletons,
  type Owner,
  type SingletonRow,
  type TakenRow,
  updateSingletonLeases,
  updateSingletonOwner,
  updateSingletonRun,
} from './singletons.sql.ts';

export interface SingletonTimes {
  /** How long a lease lasts. */
  readonly leaseMs: number;
  /** From one look to the next. */
  readonly lookMs: number;
  /** How long before the end of its lease a node stops by its own clock. */
  readonly marginMs: number;
  /** What each node waits for those that are preferred to it. */
  readonly graceMs: number;
  /** How long a node must have been there before something is handed to it. */
  readonly settleMs: number;
}

export const singletonTimes: SingletonTimes = {
  leaseMs: 5_000,
  lookMs: 1_000,
  marginMs: 1_000,
  graceMs: 1_500,
  settleMs: 3_000,
};

export interface Singletons {
  /** Begins to look; resolves at once. */
  start(onFailed: (error: unknown) => void): void;
  /** Stops what runs here, within `patienceMs`, and hands it on. */
  stop(patienceMs: number): Promise<void>;
  /** Looks at once. */
  nudge(): void;
  /** As of the latest look. */
  rows(): readonly SingletonRow[];
  /** Read now; as of the latest look while the database is away. */
  read(): Promise<readonly SingletonRow[]>;
  /** What this node holds. */
  held(): readonly { readonly name: string; readonly fence: number }[];
  /** For the registry: a name without work, which this node then holds. `undefined`: somebody has it. */
  take(name: string, spec: Readonly<Record<string, unknown>>): Promise<Hold | undefined>;
  /** For the registry: forgets a hold that was given up. */
  drop(hold: Hold): void;
}

interface Holding {
  readonly hold: Hold;
  /** `null` for a name without work. */
  readonly runner: Runner | null;
  restingSince: number | null;
}

const jitter = 0.1;
/** Looks in a row that fail by a fault of ours before the child is called broken and started again. */
const faultsMax = 30;
/** A run that does not end by itself is told to after this long of wanting to hand it over. */
const handOverPatienceMs = 30_000;
/** One that did not take up what it was handed is not handed it again for this long. */
const notAgainMs = 60_000;

export function createSingletons(deps: {
  readonly db: Database;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  readonly random: () => number;
  readonly node: Owner;
  readonly kinds: readonly SingletonKind[];
  readonly membership: Pick<Membership, 'look'>;
  readonly times?: SingletonTimes;
  readonly onRun: (name: string, result: RunResult, error: unknown) => void;
  readonly onChange: (what: 'taken' | 'handed_over' | 'lost', name: string) => void;
}): Singletons {
  const { db, clock, timers, node, membership } = deps;
  const times = deps.times ?? singletonTimes;
  const kinds = new Map(deps.kinds.map((kind) => [kind.kind, kind]));
  const holdings = new Map<string, Holding>();
  /** Runs of ended holds that have not come to their end: until then the name is not taken here again. */
  const ending = new Map<string, Promise<void>>();
  /** Of two parts of this node that want one name at once the later one is refused. */
  const taking = new Set<string>();
  const freeSince = new Map<string, number>();
  const presentSince = new Map<string, number>();
  const handedTo = new Map<string, { readonly to: string; readonly at: number }>();
  let rows: readonly SingletonRow[] = [];
  let nodes: readonly Member[] = [];
  let stopped = true;
  let renewedAt = Number.NEGATIVE_INFINITY;
  let faults = 0;
  let cancel = (): void => undefined;
  let looking: Promise<void> | null = null;
  let failed: (error: unknown) => void = () => undefined;

  const now = (): number => clock.monotonicMs();
  const validFrom = (sentMs: number): number => sentMs + times.leaseMs - times.marginMs;

  function add(taken: TakenRow, sentMs: number): Hold {
    const kind = taken.kind === null ? undefined : kinds.get(taken.kind);
    const hold = createHold({
      db,
      clock,
      timers,
      owner: node.incarnation,
      row: taken,
      untilMs: validFrom(sentMs),
      onExpired: () => lose(hold),
    });
    const key = { name: taken.name, owner: node.incarnation, fence: taken.fence };
    const runner =
      kind === undefined
        ? null
        : createRunner({
            hold,
            kind,
            clock,
            timers,
            ranMsAgo: taken.ran_ms_ago,
            record: (result, detail) => updateSingletonRun(db, key, result, detail),
            onRun: (result, error) => deps.onRun(taken.name, result, error),
          });
    holdings.set(taken.name, { hold, runner, restingSince: null });
    deps.onChange('taken', taken.name);
    return hold;
  }

  /** Ends a hold here; resolves when its run has ended. */
  function end({ hold, runner }: Holding): Promise<void> {
    hold.end();
    holdings.delete(hold.name);
    const ended = (runner?.ended() ?? Promise.resolve()).finally(() => {
      if (ending.get(hold.name) === ended) ending.delete(hold.name);
    });
    ending.set(hold.name, ended);
    return ended;
  }

  function lose(hold: Hold): void {
    const holding = holdings.get(hold.name);
    if (holding?.hold !== hold) return;
    void end(holding);
    deps.onChange('lost', hold.name);
  }

  async function renew(): Promise<void> {
    for (const { hold } of holdings.values()) if (!hold.isValid()) lose(hold);
    const held = [...holdings.values()].map(({ hold }) => hold);
    const sentMs = now();
    if (held.length === 0 || sentMs - renewedAt < times.leaseMs / 3) return;
    const still = await updateSingletonLeases(db, node.incarnation, held, times.leaseMs);
    for (const hold of held) {
      if (still.has(hold.name)) hold.extend(validFrom(sentMs));
      else lose(hold);
    }
    renewedAt = sentMs;
  }

  /** Those that are there and run this kind. This node is, whatever the table says. */
  function candidatesFor(kind: string): readonly Member[] {
    return nodes.filter((one) => one.status !== 'down' && (one.incarnation === node.incarnation || runs(one, kind)));
  }

  function rankedFor(name: string, kind: string): readonly string[] {
    const others = candidatesFor(kind).map((one) => one.incarnation);
    return rankNodes(name, [...new Set([node.incarnation, ...others])]);
  }

  function notePresence(): void {
    const present = new Set(nodes.filter((one) => one.status !== 'down').map((one) => one.incarnation));
    for (const incarnation of presentSince.keys()) if (!present.has(incarnation)) presentSince.delete(incarnation);
    for (const incarnation of present) if (!presentSince.has(incarnation)) presentSince.set(incarnation, now());
    const free = new Set(rows.filter((row) => !row.is_held).map((row) => `${row.name}/${row.fence}`));
    for (const key of freeSince.keys()) if (!free.has(key)) freeSince.delete(key);
    for (const key of free) if (!freeSince.has(key)) freeSince.set(key, now());
  }

  async function takeFree(): Promise<void> {
    const wanted = rows.filter((row) => {
      if (row.kind === null || !kinds.has(row.kind) || holdings.has(row.name) || ending.has(row.name)) return false;
      if (row.owner === node.incarnation) return true;
      const freeForMs = now() - (freeSince.get(`${row.name}/${row.fence}`) ?? now());
      return !row.is_held && mayTake(rankedFor(row.name, row.kind), node.incarnation, freeForMs, times.graceMs);
    });
    if (wanted.length === 0 || stopped) return;
    const sentMs = now();
    const names = wanted.map((row) => row.name);
    for (const taken of await consumeFree(db, node, names, times.leaseMs, null)) add(taken, sentMs);
  }

  /** The node that this one should be at; `undefined` while it is well here. */
  function betterPlace(name: string, kind: string): Owner | undefined {
    const [preferred] = rankedFor(name, kind);
    if (preferred === undefined || preferred === node.incarnation) return undefined;
    const since = presentSince.get(preferred);
    if (since === undefined || now() - since < times.settleMs) return undefined;
    const before = handedTo.get(name);
    if (before?.to === preferred && now() - before.at < notAgainMs) return undefined;
    return nodes.find((one) => one.incarnation === preferred);
  }

  async function handOver(): Promise<void> {
    for (const holding of [...holdings.values()]) {
      const { hold, runner } = holding;
      const kind = rows.find((row) => row.name === hold.name)?.kind ?? null;
      const next = kind === null ? undefined : betterPlace(hold.name, kind);
      if (runner === null || next === undefined) {
        holding.restingSince = null;
        runner?.resume();
        continue;
      }
      holding.restingSince ??= now();
      if (runner.rest()) {
        void end(holding);
        await pass(hold, next);
      } else if (now() - holding.restingSince > handOverPatienceMs) {
        hold.end();
      }
    }
  }

  async function pass(hold: Hold, next: Owner | null): Promise<void> {
    const key = { name: hold.name, owner: node.incarnation, fence: hold.fence };
    if (next !== null) handedTo.set(hold.name, { to: next.incarnation, at: now() });
    await updateSingletonOwner(db, key, next, times.leaseMs);
    deps.onChange('handed_over', hold.name);
  }

  async function look(): Promise<void> {
    await renew();
    [nodes, rows] = await Promise.all([membership.look(), listSingletons(db, times.leaseMs)]);
    for (const { kind, standing } of deps.kinds) {
      if (standing !== true || rows.some((row) => row.name === kind)) continue;
      await insertSingleton(db, { name: kind, kind, spec: {} });
      rows = await listSingletons(db, times.leaseMs);
    }
    notePresence();
    await takeFree();
    if (!stopped) await handOver();
  }

  function schedule(afterMs: number): void {
    // Of a start that overlaps an earlier stop one line of looks is left.
    cancel();
    if (!stopped) cancel = timers.after(afterMs, run);
  }

  function run(): void {
    if (looking !== null) return;
    looking = look()
      .then(
        () => {
          faults = 0;
        },
        (error: unknown) => {
          // Leases that end meanwhile are taken up again when the store is back.
          if (!(error instanceof DatabaseUnavailable)) faults += 1;
          if (faults >= faultsMax && !stopped) failed(error);
        },
      )
      .finally(() => {
        looking = null;
        schedule(times.lookMs * (1 + jitter * (2 * deps.random() - 1)));
      });
  }

  /** To whom a name goes when this node ends: the next one that runs it. */
  function successorOf(name: string): Owner | null {
    const kind = rows.find((row) => row.name === name)?.kind ?? null;
    if (kind === null) return null;
    const others = rankedFor(name, kind).filter((incarnation) => incarnation !== node.incarnation);
    return nodes.find((one) => one.incarnation === others[0]) ?? null;
  }

  return {
    start(onFailed) {
      stopped = false;
      failed = onFailed;
      faults = 0;
      schedule(0);
    },
    async stop(patienceMs) {
      stopped = true;
      cancel();
      await looking;
      const held = [...holdings.values()];
      const patience = Promise.withResolvers<void>();
      const cancelPatience = timers.after(patienceMs, patience.resolve);
      await Promise.race([Promise.all(held.map(end)), patience.promise]);
      cancelPatience();
      // What is left to a lease that ends by itself costs the others a few seconds, nothing else.
      await Promise.allSettled(held.map(({ hold }) => pass(hold, successorOf(hold.name))));
    },
    nudge() {
      if (stopped || looking !== null) return;
      cancel();
      run();
    },
    rows: () => rows,
    async read() {
      try {
        return await listSingletons(db, times.leaseMs);
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable)) throw error;
        return rows;
      }
    },
    held: () => [...holdings.values()].map(({ hold }) => ({ name: hold.name, fence: hold.fence })),
    async take(name, spec) {
      if (stopped || holdings.has(name) || taking.has(name)) return undefined;
      taking.add(name);
      try {
        await insertSingleton(db, { name, kind: null, spec });
        const sentMs = now();
        const [taken] = await consumeFree(db, node, [name], times.leaseMs, spec);
        if (taken === undefined) return undefined;
        const hold = add(taken, sentMs);
        if (!stopped) return hold;
        lose(hold);
        await pass(hold, null);
        return undefined;
      } finally {
        taking.delete(name);
      }
    },
    drop(hold) {
      const holding = holdings.get(hold.name);
      if (holding?.hold === hold) void end(holding);
    },
  };
}

function runs(node: Member, kind: string): boolean {
  const told = node.stats['singletons'];
  return Array.isArray(told) && told.includes(kind);
}
