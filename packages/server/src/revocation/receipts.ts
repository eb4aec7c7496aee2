/**
 * The barrier: a revoker waits until every node that may still vouch has confirmed, or until its patience ends.
 *
 * The leases are read only after the revoking transaction has committed. A node whose lease is not seen then takes its next
 * snapshot after the commit (the beat commits its lease before it reads), so it will know. All waiting revokers share one
 * read of the leases: a read that began before a commit never serves that revoker. Of the nodes that such a read has named,
 * each confirms by the ledger or by message, whichever comes first.
 */
import type { Cursor } from '@auth-service/guard';
import type { Receipt } from '@auth-service/protocol';
import { type Database, isVisibleIn } from '../platform/database/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { type LeaseRow, type Leases, listLiveLeases } from './ledger.sql.ts';

export interface Standing {
  readonly acknowledged: number;
  readonly pending: readonly LeaseRow[];
  /** The history in which the leases were read, and how long ago it was noticed to be another than before. */
  readonly storeEpoch: string;
  readonly timelineAgeMs: number;
}

export interface Barrier {
  /** The standing of one transaction after a fresh read of the leases. */
  stand(xid: string, storeEpoch: string): Promise<Standing>;
  /** Waits until nothing is pending, or until the timeout; answers the last standing. */
  wait(xid: string, storeEpoch: string): Promise<Standing>;
  /** A peer said that it has applied the transaction: of that history alone, since ids repeat after commits were lost. */
  acknowledged(incarnation: string, xid: string, storeEpoch: string): void;
  /** This node has applied what the transaction wrote. */
  applied(xid: string, storeEpoch: string): void;
}

interface Asker {
  readonly xid: string;
  readonly resolve: (leases: Leases) => void;
  readonly reject: (error: unknown) => void;
}

interface Waiter {
  readonly missing: Set<string>;
  readonly resolve: () => void;
}

const pollMsMin = 2;
const pollMsMax = 25;
const asksPerRead = 1_000;
const heardMax = 10_000;

export function createBarrier(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly ackTimeoutMs: number;
  /** `null` for a process that does not verify. */
  readonly ownIncarnation: string | null;
  /** What this node's beat has confirmed, which its row tells only with the next one. */
  readonly ownCursor: () => Cursor | null;
  readonly sleep: (ms: number) => Promise<void>;
}): Barrier {
  const { db, clock } = deps;
  let askers: Asker[] = [];
  let reading = false;
  /** Acknowledgements by message, and what this node has applied itself; the older half dropped when there are too many. */
  let heard = new Set<string>();
  let heardBefore = new Set<string>();
  const waiters = new Map<string, Set<Waiter>>();
  /** Nodes that let a wait run out, with the transaction that it was for; nobody waits for them until they have confirmed it. */
  const silent = new Map<string, string>();

  async function readOnce(): Promise<void> {
    const batch = askers.slice(0, asksPerRead);
    askers = askers.slice(asksPerRead);
    try {
      const leases = await listLiveLeases(db, [...new Set([...batch.map((asker) => asker.xid), ...silent.values()])]);
      forgetSilence(leases.live);
      for (const asker of batch) asker.resolve(leases);
    } catch (error) {
      for (const asker of batch) asker.reject(error);
    }
  }

  async function readAll(): Promise<void> {
    reading = true;
    while (askers.length > 0) await readOnce();
    reading = false;
  }

  /** A node that has confirmed what it once missed is worth waiting for again; one without a lease is gone. */
  function forgetSilence(leases: readonly LeaseRow[]): void {
    for (const [incarnation, missed] of silent) {
      const lease = leases.find((one) => one.incarnation === incarnation);
      if (lease === undefined || lease.confirmed_xids.includes(missed)) silent.delete(incarnation);
    }
  }

  function leasesFor(xid: string): Promise<Leases> {
    return new Promise((resolve, reject) => {
      askers.push({ xid, resolve, reject });
      if (!reading) void readAll();
    });
  }

  /** This node is no exception: others may have revoked, and whoever asks here need not have. */
  function hasConfirmed(lease: LeaseRow, xid: string, ofEpoch: string, storeEpoch: string): boolean {
    const { incarnation } = lease;
    if (incarnation === deps.ownIncarnation && isKnownHere(xid, storeEpoch)) return true;
    const told = wordOf(incarnation, xid, ofEpoch);
    const confirmed = lease.confirmed_xids.includes(xid) || heard.has(told) || heardBefore.has(told);
    if (confirmed) silent.delete(incarnation);
    return confirmed;
  }

  function isKnownHere(xid: string, storeEpoch: string): boolean {
    const cursor = deps.ownCursor();
    return cursor !== null && cursor.storeEpoch === storeEpoch && isVisibleIn(xid, cursor.snapshot);
  }

  function hear(incarnation: string, xid: string, storeEpoch: string): void {
    if (heard.size >= heardMax) {
      heardBefore = heard;
      heard = new Set();
    }
    heard.add(wordOf(incarnation, xid, storeEpoch));
    silent.delete(incarnation);
    for (const waiter of waiters.get(transactionOf(xid, storeEpoch)) ?? []) {
      if (waiter.missing.delete(incarnation) && waiter.missing.size === 0) waiter.resolve();
    }
  }

  /** `ofEpoch`: the history of the transaction, which need not be the one in which the leases were read. */
  function standingOf({ live, storeEpoch, timelineAgeMs }: Leases, xid: string, ofEpoch: string): Standing {
    const pending = live.filter((lease) => !hasConfirmed(lease, xid, ofEpoch, storeEpoch));
    return { acknowledged: live.length - pending.length, pending, storeEpoch, timelineAgeMs };
  }

  /** Whether all of them have said so by message within the pause. */
  async function allTold(incarnations: readonly string[], key: string, pauseMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter: Waiter = { missing: new Set(incarnations), resolve: () => resolve(true) };
    const together = waiters.get(key) ?? new Set();
    waiters.set(key, together.add(waiter));
    const told = await Promise.race([promise, deps.sleep(pauseMs).then(() => false)]);
    together.delete(waiter);
    if (together.size === 0 && waiters.get(key) === together) waiters.delete(key);
    return told;
  }

  return {
    stand: async (xid, storeEpoch) => standingOf(await leasesFor(xid), xid, storeEpoch),
    async wait(xid, storeEpoch) {
      const until = clock.monotonicMs() + deps.ackTimeoutMs;
      let pause = pollMsMin;
      let leases = await leasesFor(xid);
      for (;;) {
        const standing = standingOf(leases, xid, storeEpoch);
        const awaited = standing.pending.map((lease) => lease.incarnation).filter((one) => !silent.has(one));
        if (awaited.length === 0) return standing;
        if (clock.monotonicMs() + pause > until) {
          for (const lease of standing.pending) silent.set(lease.incarnation, xid);
          return standing;
        }
        if (await allTold(awaited, transactionOf(xid, storeEpoch), pause)) continue;
        pause = Math.min(pause * 2, pollMsMax);
        leases = await leasesFor(xid);
      }
    },
    acknowledged: hear,
    applied(xid, storeEpoch) {
      if (deps.ownIncarnation !== null) hear(deps.ownIncarnation, xid, storeEpoch);
    },
  };
}

const transactionOf = (xid: string, storeEpoch: string): string => `${xid}/${storeEpoch}`;
const wordOf = (incarnation: string, xid: string, storeEpoch: string): string => `${incarnation}/${xid}/${storeEpoch}`;

/** The answer as the contract words it. */
export function toReceipt(
  position: string,
  standing: Pick<Standing, 'acknowledged' | 'pending'>,
  quiet: { until: Date } | null,
  now: Date,
): Receipt {
  const ends = standing.pending.map((lease) => lease.vouches_until.getTime());
  if (quiet !== null) ends.push(quiet.until.getTime());
  return {
    revoked: true,
    position,
    effective_everywhere: standing.pending.length === 0 && quiet === null,
    acknowledged_nodes: standing.acknowledged,
    pending_nodes: standing.pending.map((lease) => lease.name),
    effective_by: new Date(Math.max(now.getTime(), ...ends)).toISOString(),
  };
}
