/**
 * One store, one node, one seeded schedule: transactions that commit late and in any order, hints that are lost, doubled and
 * reordered, reads that overlap, come late or not at all, restarts, fail-overs that lose commits, clocks that jump. After each
 * step the promises are checked against the truth.
 */
import {
  type Attempt,
  type Cursor,
  createFreshness,
  createReplica,
  createSubscriber,
  type Freshness,
  type LedgerRead,
  type Replica,
  type Subscriber,
} from '@auth-service/guard';
import type { RevocationEntry } from '@auth-service/protocol';
import { createLedger, isVisible, type Row, type Snapshot } from './ledger-model.ts';
import { createRandom } from './random.ts';
import { createFlawedSubscriber, type Flaw } from './variants.ts';

export interface Story {
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<Event, number>>;
}

export type Event =
  | 'confirmed'
  | 'whole'
  | 'lateCommit'
  | 'hint'
  | 'failedApply'
  | 'epochChange'
  | 'clockJump'
  | 'swept'
  | 'acceptable';

const maxStalenessMs = 5_000;
const leewaySeconds = 5;
/** Ledger entries outlive the tokens they end by this: room for a node whose clock is behind. */
const marginSeconds = 120;
const startMs = 1_800_000_000_000;

interface Flight {
  readonly attempt: Attempt;
  /** Set once the first statement of the read has run. */
  moment?: { readonly storeEpoch: string; readonly snapshot: Snapshot; readonly sequence: number };
  rows: Row[];
  /** Whole loads read in two pages; then, and for tails at once, the answer is on its way. */
  pages: number;
  answered: boolean;
}

interface Node {
  readonly replica: Pick<Replica, 'apply' | 'covers' | 'horizon' | 'sweep'>;
  readonly freshness: Freshness;
  readonly subscriber: Subscriber;
  flights: Flight[];
}

const hashKey = Uint8Array.from({ length: 8 }, (_, at) => at);

export function runSchedule(seed: number, steps: number, flaw: Flaw | null): Story {
  const random = createRandom(seed);
  const ledger = createLedger();
  const truth = { nowMs: 0, clockOffsetMs: random.below(60_000) - 30_000 };
  const known = new Map<string, { readonly entry: RevocationEntry; committedAt: number }>();
  const held = new Map<string, RevocationEntry>();
  const violations: string[] = [];
  const counts: Record<Event, number> = {
    ...{ confirmed: 0, whole: 0, lateCommit: 0, hint: 0, failedApply: 0 },
    ...{ epochChange: 0, clockJump: 0, swept: 0, acceptable: 0 },
  };
  let hints: RevocationEntry[] = [];
  let failNextApply = false;
  let names = 0;

  const trueSeconds = (): number => (startMs + truth.nowMs) / 1_000;
  const wallMs = (): number => startMs + truth.nowMs + truth.clockOffsetMs;

  let node = startNode(null);

  function startNode(keptCursor: Cursor | null): Node {
    let replica = createReplica({ hashKey });
    const time = { monotonicNow: () => truth.nowMs, wallNow: wallMs };
    const freshness = createFreshness({ ...time, maxStalenessMs });
    const guarded = {
      applyMany(entries: Iterable<RevocationEntry>): void {
        const list = [...entries];
        if (failNextApply && list.length > 0) {
          failNextApply = false;
          counts.failedApply += 1;
          replica.applyMany(list.slice(0, list.length >> 1));
          throw new Error('the process ran out of memory while applying');
        }
        replica.applyMany(list);
      },
      horizon: () => replica.horizon(),
      swept: () => replica.swept(),
      reloaded: (sweptBefore: number) => replica.reloaded(sweptBefore),
    };
    const clear = (): void => {
      replica = createReplica({ hashKey });
    };
    const view: Node['replica'] = {
      apply: (entry) => replica.apply(entry),
      covers: (kind, subject, epoch) => replica.covers(kind, subject, epoch),
      horizon: () => (flaw === 'clock_ignored' ? Number.NEGATIVE_INFINITY : replica.horizon()),
      sweep: (seconds, shards) => replica.sweep(seconds, shards),
    };
    const subscriber =
      flaw === null
        ? createSubscriber({ replica: guarded, freshness })
        : createFlawedSubscriber(flaw, { replica: guarded, freshness, clear, keptCursor });
    held.clear();
    return { replica: view, freshness, subscriber, flights: [] };
  }

  const isAcceptable = ({ kind, subject, min_epoch, expires_at }: RevocationEntry): boolean => {
    const until = expires_at - marginSeconds + leewaySeconds;
    const isRevoked = node.replica.covers(kind, subject, Math.max(0, min_epoch - 1));
    return node.freshness.isFresh() && wallMs() / 1_000 < until && until > node.replica.horizon() && !isRevoked;
  };

  function check(step: string): void {
    for (const { entry, committedAt } of known.values()) {
      if (!isAcceptable(entry)) continue;
      counts.acceptable += 1;
      if (truth.nowMs >= committedAt + maxStalenessMs) violations.push(`${step}: accepted after the bound`);
    }
    for (const [key, entry] of held) {
      if (isAcceptable(entry)) violations.push(`${step}: accepted again after it was known (${key})`);
    }
    for (const { entry } of known.values()) {
      if (node.replica.covers(entry.kind, entry.subject, Math.max(0, entry.min_epoch - 1))) {
        held.set(entry.subject, entry);
      }
    }
  }

  function newEntry(): RevocationEntry {
    names += 1;
    const kind = (['session', 'token', 'user', 'key'] as const)[random.below(4)] ?? 'session';
    const tail = names.toString(16).padStart(12, '0');
    return {
      kind,
      subject: kind === 'key' ? `key ${names}` : `0198a000-0000-7000-8000-${tail}`,
      min_epoch: kind === 'user' ? 1 + random.below(3) : 0,
      expires_at: Math.ceil(trueSeconds()) + marginSeconds + 5 + random.below(200),
    };
  }

  /** One statement of a read runs on the store. */
  function serve(flight: Flight): void {
    const { attempt } = flight;
    const take = () => ({
      storeEpoch: ledger.storeEpoch(),
      snapshot: ledger.snapshot(),
      sequence: Math.max(0, ...ledger.live(0).map((row) => row.sequence)),
    });
    if (!attempt.whole && attempt.cursor !== null) {
      const since = JSON.parse(attempt.cursor.snapshot) as { snapshot: Snapshot; sequence: number };
      flight.moment = take();
      flight.rows = [
        ...(flaw === 'cursor_by_sequence'
          ? ledger.numberedAbove(since.sequence, trueSeconds())
          : ledger.visibleSince(since.snapshot, trueSeconds())),
      ];
      flight.answered = true;
      return;
    }
    if (flight.moment !== undefined && flight.moment.storeEpoch !== ledger.storeEpoch()) {
      // The connection broke with the store: this read has failed.
      node.flights = node.flights.filter((one) => one !== flight);
      return;
    }
    if (flight.moment === undefined) {
      flight.moment = take();
      return;
    }
    // A row belongs to one page for good, as with paging by key.
    flight.rows.push(...ledger.live(trueSeconds()).filter((row) => row.sequence % 2 === flight.pages));
    flight.pages += 1;
    flight.answered = flight.pages === 2;
    if (flight.answered && flaw === 'snapshot_after_rows') flight.moment = take();
  }

  function deliver(flight: Flight): void {
    const { moment, attempt } = flight;
    if (moment === undefined) return;
    const read: LedgerRead = {
      storeEpoch: moment.storeEpoch,
      snapshot: JSON.stringify({ snapshot: moment.snapshot, sequence: moment.sequence }),
      entries: flight.rows.map((row) => row.entry),
      whole: attempt.whole,
    };
    failNextApply = random.chance(0.05);
    let completion: string;
    try {
      completion = node.subscriber.complete(attempt, read);
    } catch {
      return;
    } finally {
      failNextApply = false;
    }
    if (completion !== 'confirmed') return;
    counts.confirmed += 1;
    if (attempt.whole) counts.whole += 1;
    if (moment.storeEpoch !== ledger.storeEpoch()) return;
    for (const row of ledger.live(trueSeconds())) {
      if (isVisible(row, moment.snapshot) && isAcceptable(row.entry)) {
        violations.push(`a row visible in the confirmed snapshot is missing (xid ${row.xid})`);
      }
    }
  }

  /** Lost by the store in a fail-over and swept here by a clock that was ahead: two faults, and nobody knows it any more. */
  function forgetLost(): void {
    for (const { kind, subject } of held.values()) {
      if (!known.has(subject) && !node.replica.covers(kind, subject)) held.delete(subject);
    }
  }

  function sweep(): void {
    counts.swept += node.replica.sweep(wallMs() / 1_000, random.chance(0.5) ? 256 : 64);
    forgetLost();
  }

  const actions: readonly (readonly [weight: number, name: string, run: () => void])[] = [
    [14, 'write', () => ledger.begin(Array.from({ length: 1 + random.below(2) }, newEntry))],
    [
      14,
      'commit',
      () => {
        const open = ledger.open();
        const xid = random.pick(open);
        if (xid === undefined) return;
        if (open.some((other) => other < xid)) counts.lateCommit += 1;
        for (const { entry } of ledger.commit(xid, truth.nowMs)) {
          known.set(entry.subject, { entry, committedAt: truth.nowMs });
          for (let copies = random.below(3); copies > 0; copies -= 1) hints.push(entry);
        }
      },
    ],
    [2, 'abort', () => ledger.open().length > 0 && ledger.abort(random.pick(ledger.open()) ?? 0)],
    [
      8,
      'hint',
      () => {
        const entry = random.take(hints);
        if (entry === undefined || random.chance(0.3)) return;
        counts.hint += 1;
        node.replica.apply(entry);
      },
    ],
    [
      12,
      'begin',
      () => {
        if (node.flights.length < 3) {
          node.flights.push({ attempt: node.subscriber.begin(), rows: [], pages: 0, answered: false });
        }
      },
    ],
    [
      26,
      'serve',
      () => {
        const flight = random.pick(node.flights.filter((one) => !one.answered));
        if (flight !== undefined) serve(flight);
      },
    ],
    [
      14,
      'deliver',
      () => {
        const flight = random.pick(node.flights.filter((one) => one.answered));
        if (flight === undefined) return;
        node.flights = node.flights.filter((one) => one !== flight);
        deliver(flight);
      },
    ],
    [2, 'lose', () => void random.take(node.flights)],
    [18, 'time', () => (truth.nowMs += random.chance(0.1) ? random.below(20_000) : random.below(900))],
    [4, 'sweep', sweep],
    [
      1,
      'store restarts',
      () => {
        counts.epochChange += 1;
        ledger.restart();
        node.flights = node.flights.filter((one) => one.answered);
      },
    ],
    [
      1,
      'fail-over',
      () => {
        counts.epochChange += 1;
        ledger.failOver(random.below(3));
        node.flights = node.flights.filter((one) => one.answered);
        const left = new Set(ledger.live(0).map((row) => row.entry.subject));
        // What the store has lost is no promise of the store any more; a node that knew it still refuses it.
        for (const subject of [...known.keys()]) if (!left.has(subject)) known.delete(subject);
        forgetLost();
        hints = [];
      },
    ],
    [1, 'node restarts', () => (node = startNode(node.subscriber.cursor()))],
    [
      2,
      'clock jumps',
      () => {
        counts.clockJump += 1;
        truth.clockOffsetMs = random.chance(0.5) ? random.below(60_000) - 30_000 : 60_000 + random.below(7_200_000);
      },
    ],
  ];
  const total = actions.reduce((sum, [weight]) => sum + weight, 0);

  for (let step = 0; step < steps && violations.length === 0; step += 1) {
    let at = random.below(total);
    const action = actions.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    action?.[2]();
    check(`seed ${seed}, step ${step}, ${action?.[1]}`);
  }
  return { violations, counts };
}
