/**
 * The heartbeat, which is also the catch-up. One beat:
 *
 *   1. extend this node's lease and tell what it has confirmed (committed on its own);
 *   2. read what became visible since the cursor, in one statement with the next cursor;
 *   3. apply every row, then move the cursor, then count as fresh from before step 1 was sent.
 *
 * What else every node holds in memory is read between 2 and 3 by the same cursor (`follow`), so that it is as fresh.
 *
 * States of a node: `unread` (nothing loaded, refuses to vouch) → `fresh` → (no beat for the staleness bound) `stale`
 * → `fresh`. A changed store epoch goes back to reading the whole ledger, merged into what is held; when it may have lost
 * commits, what is held and not in the ledger is written back first, and receipts are quiet for the length of a lease.
 * A beat that fails changes nothing; the next one catches up. Rhythm: each second ± 10 % alone or with healthy hints,
 * every 50 ms while other nodes live whose hints do not reach this one, at once when nudged. What a beat has read the next
 * one tells, so that one comes sooner.
 */
import type { Cursor, Subscriber } from '@auth-service/guard';
import type { RevocationEntry } from '@auth-service/protocol';
import { type Database, DatabaseUnavailable, type DedicatedConnection } from '../platform/database/index.ts';
import type { Clock } from '../platform/time/index.ts';
import {
  type BeatRow,
  deleteLease,
  findMoment,
  type LivePageRow,
  type LivePeer,
  listLivePage,
  listRevocationsSince,
  noteTimeline,
  updateLease,
} from './ledger.sql.ts';
import { type WriteBackDeps, writeBack } from './write-back.ts';

export interface BeatNode {
  readonly incarnation: string;
  readonly name: string;
  /** Where the others reach it, `host:port`; set once the mesh listens, and told with the next beat. */
  address: string | null;
  readonly version: string;
  readonly startedAtMs: number;
  /** Configured to answer while stale: others then count it until its tokens have expired. */
  readonly servesStale: boolean;
  /** What it tells the others of itself with each beat: small, and without a secret. */
  readonly stats?: () => Readonly<Record<string, unknown>>;
}

export interface Beat {
  /** Resolves after the first whole beat: only then may the node vouch. */
  start(onFailed: (error: unknown) => void): Promise<void>;
  /**
   * Orderly end: stops vouching first, then deletes the lease, so that nobody waits for this node. `keepLease`: for a node
   * that goes on answering while stale; the others must go on counting it.
   */
  stop(options?: { readonly keepLease: boolean }): Promise<void>;
  /** Beats at once, or once more after the beat under way. */
  nudge(): void;
  cursor(): Cursor | null;
  /** The other nodes that may vouch, as of the last beat. */
  peers(): readonly LivePeer[];
  /** Set while an epoch change may have lost commits: receipts say "not everywhere" until then (monotonic ms). */
  quietUntil(): number;
}

const calmMs = 1_000;
const eagerMs = 50;
/** After a beat that read something, where no message tells the others that it was applied. */
const tellMs = 10;
const jitter = 0.1;
const livePage = 20_000;
const firstId = '00000000-0000-0000-0000-000000000000';
/** Beats in a row that fail by a fault of ours before the child is called broken and restarted. */
const faultsMax = 100;

export function createBeat(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly node: BeatNode;
  /** One for each life of the beat: a stopped one vouches never again. */
  readonly newSubscriber: () => Subscriber;
  readonly writeBack: WriteBackDeps;
  readonly maxStalenessMs: number;
  readonly marginMs: number;
  readonly random: () => number;
  /** Whether what these nodes revoke would be told to this one without a beat. */
  readonly hintsHealthy: (peers: readonly LivePeer[]) => boolean;
  /**
   * Reads what else became visible since the snapshot, everything for `null`; called when there is something. A throw fails
   * the beat.
   */
  readonly follow: (on: DedicatedConnection, since: string | null) => Promise<void>;
  readonly onKeysVersion: (version: string) => void;
  /** What a beat that counts has read, and up to where. */
  readonly onRead: (read: {
    readonly cursor: Cursor;
    readonly entries: readonly RevocationEntry[];
    readonly whole: boolean;
  }) => void;
  /** The database's clock, read between these two moments of the monotonic one. */
  readonly onStoreTime: (storeMs: number, sentMonotonicMs: number, receivedMonotonicMs: number) => void;
  readonly onBeat: (outcome: 'ok' | 'failed', applied: number) => void;
  /** A fail-over was seen, and what it had lost of what is held here stands in the ledger again. */
  readonly onWrittenBack: (entries: number) => void;
}): Beat {
  const { db, clock, node } = deps;
  let subscriber: Subscriber | null = null;
  let connection: DedicatedConnection | null = null;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = true;
  let failures = 0;
  let faults = 0;
  let life = 0;
  let ending: Promise<void> = Promise.resolve();
  let peers: readonly LivePeer[] = [];
  let readSomething = false;
  let leaseTaken: string | null = null;
  let quiet = Number.NEGATIVE_INFINITY;
  /** Of the last read, whatever became of it; it outlives the subscriber, as what the replica holds does. */
  let lastEpoch: string | null = null;
  let owesWriteBack = false;
  const cursor = (): Cursor | null => subscriber?.cursor() ?? null;

  async function connected(): Promise<DedicatedConnection> {
    connection ??= await db.dedicated();
    return connection;
  }

  async function beat(): Promise<void> {
    const own = subscriber;
    if (own === null) return;
    const attempt = own.begin();
    const on = await connected();
    const leaseMs = deps.maxStalenessMs + deps.marginMs;
    // Unknown until it is answered: a lease of which nothing is known ends by itself.
    leaseTaken = null;
    const askedMs = clock.monotonicMs();
    const lease = await updateLease(on, node, leaseMs, attempt.cursor);
    if (lease !== undefined) deps.onStoreTime(lease.now_ms, askedMs, clock.monotonicMs());
    peers = lease?.peers ?? [];
    readSomething = false;
    leaseTaken = lease?.beat_at ?? null;
    const read = attempt.cursor === null ? await readWhole(on) : await readTail(on, attempt.cursor.snapshot);
    if (lastEpoch !== null && lostCommits(lastEpoch, read.storeEpoch)) {
      quiet = clock.monotonicMs() + leaseMs;
      owesWriteBack = true;
    }
    lastEpoch = read.storeEpoch;
    if (read.whole) await settleHistory(on, read.entries);
    if (read.followed) await deps.follow(on, attempt.cursor?.snapshot ?? null);
    const completion = own.complete(attempt, read);
    if (completion === 'load_whole') {
      again = true;
      return;
    }
    const reached = own.cursor();
    if (completion === 'confirmed' && reached !== null)
      deps.onRead({ cursor: reached, entries: read.entries, whole: read.whole });
    readSomething = attempt.cursor !== null && read.entries.length > 0;
    deps.onKeysVersion(read.keysVersion);
    deps.onBeat('ok', read.entries.length);
  }

  /** Before a whole load counts: the timeline is noted, and what it has lost of what is held here is there again. */
  async function settleHistory(on: DedicatedConnection, ledger: readonly RevocationEntry[]): Promise<void> {
    await noteTimeline(on);
    if (!owesWriteBack) return;
    const written = await writeBack(on, ledger, deps.writeBack);
    owesWriteBack = false;
    deps.onWrittenBack(written);
  }

  async function once(): Promise<void> {
    try {
      await beat();
      failures = 0;
      faults = 0;
    } catch (error) {
      failures += 1;
      // A store that is away is found again by the next beat; to start anew would only take longer.
      if (!(error instanceof DatabaseUnavailable)) faults += 1;
      deps.onBeat('failed', 0);
      const broken = connection;
      connection = null;
      await broken?.close().catch(() => undefined);
      throw error;
    }
  }

  function rhythm(): number {
    if (failures > 0) return Math.min(calmMs, eagerMs * 2 ** Math.min(failures, 5));
    if (peers.length === 0) return calmMs;
    if (deps.hintsHealthy(peers)) return readSomething ? eagerMs : calmMs;
    return readSomething ? tellMs : eagerMs;
  }

  function schedule(onFailed: (error: unknown) => void): void {
    if (stopped) return;
    const pause = again ? 0 : rhythm() * (1 + jitter * (2 * deps.random() - 1));
    again = false;
    timer = setTimeout(() => run(onFailed), pause);
  }

  function run(onFailed: (error: unknown) => void): void {
    if (running !== null) return;
    running = once()
      .catch((error: unknown) => {
        if (faults >= faultsMax && !stopped) onFailed(error);
      })
      .finally(() => {
        running = null;
        schedule(onFailed);
      });
  }

  /** Of the start that was overtaken by a stop or by another start nothing may go on. */
  function assertCurrent(mine: number): void {
    if (mine !== life) throw new Error('this start of the beat was called off');
  }

  /** The first whole beat; what nudges meanwhile waits for it. */
  async function first(): Promise<void> {
    const beats = once().then(() => (again ? once() : undefined));
    running = beats.catch(() => undefined);
    try {
      await beats;
    } finally {
      running = null;
    }
  }

  async function end(keepLease: boolean): Promise<void> {
    await running;
    try {
      if (!keepLease && leaseTaken !== null) await deleteLease(await connected(), node.incarnation, leaseTaken);
    } catch {
      // The lease then ends by itself; others name this node as pending until it does.
    }
    await connection?.close().catch(() => undefined);
    connection = null;
  }

  let failed: (error: unknown) => void = () => undefined;
  return {
    async start(onFailed) {
      life += 1;
      const mine = life;
      // A stop that nobody waited for any more still deletes a lease: it must not be the one that is taken now.
      await ending;
      assertCurrent(mine);
      stopped = false;
      subscriber = deps.newSubscriber();
      failed = onFailed;
      failures = 0;
      faults = 0;
      await first();
      assertCurrent(mine);
      schedule(onFailed);
    },
    stop(options) {
      life += 1;
      stopped = true;
      clearTimeout(timer);
      subscriber?.stop();
      ending = end(options?.keepLease === true);
      return ending;
    },
    nudge() {
      if (stopped) return;
      if (running !== null) {
        again = true;
        return;
      }
      clearTimeout(timer);
      run(failed);
    },
    cursor,
    peers: () => peers,
    quietUntil: () => quiet,
  };
}

interface Read {
  readonly snapshot: string;
  readonly storeEpoch: string;
  readonly keysVersion: string;
  readonly entries: readonly RevocationEntry[];
  readonly whole: boolean;
  /** There is something to `follow`. */
  readonly followed: boolean;
}

async function readTail(on: DedicatedConnection, since: string): Promise<Read> {
  const rows = await listRevocationsSince(on, since);
  const [first] = rows;
  if (first === undefined) throw new Error('the beat read no moment');
  return {
    snapshot: first.snapshot,
    storeEpoch: first.store_epoch,
    keysVersion: first.keys_version,
    entries: rows.filter(isEntry),
    whole: false,
    followed: first.api_keys_changed,
  };
}

function isEntry(row: BeatRow): row is BeatRow & RevocationEntry {
  return row.kind !== null;
}

/** The moment is taken before the rows: what commits meanwhile comes with the next beat, at the latest. */
async function readWhole(on: DedicatedConnection): Promise<Read> {
  const moment = await findMoment(on);
  const entries: LivePageRow[] = [];
  let after = firstId;
  for (;;) {
    const page = await listLivePage(on, after, livePage);
    for (const row of page) entries.push(row);
    const last = page.at(-1);
    if (last === undefined || page.length < livePage) break;
    after = last.id;
  }
  return {
    snapshot: moment.snapshot,
    storeEpoch: moment.store_epoch,
    keysVersion: moment.keys_version,
    entries,
    whole: true,
    followed: true,
  };
}

/** Another store or another timeline: a fail-over or a restore. A restart of the same server loses nothing. */
export function lostCommits(before: string, after: string): boolean {
  const [storeBefore, timelineBefore] = before.split('/');
  const [storeAfter, timelineAfter] = after.split('/');
  return storeBefore !== storeAfter || timelineBefore !== timelineAfter;
}
