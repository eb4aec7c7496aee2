/**
 * Some nodes on one store, one seeded schedule: beats, hints, acknowledgements and receipts of many revocations, with loss,
 * doubles, reordering, late commits, freezes, kills, orderly stops, restarts and fail-overs of the store, and its clock in
 * steps up to the margin. Subscriber, replica and freshness are the real ones; after each step every receipt is held against
 * every node that answers.
 */
import { createFreshness, createReplica, createSubscriber, type Freshness, type Replica } from '@auth-service/guard';
import type { RevocationEntry } from '@auth-service/protocol';
import { lostCommits } from '../../packages/server/src/revocation/beat.ts';
import { createLedger, type Row, type Snapshot } from './ledger-model.ts';
import { createRandom } from './random.ts';

export type ClusterFlaw =
  | 'leases_before_commit'
  | 'own_row_unasked'
  | 'no_quiet_time'
  | 'lease_deleted_first'
  | 'acknowledged_before_applied'
  | 'short_lease';

interface Point {
  readonly storeEpoch: string;
  readonly snapshot: string;
}

interface Lease {
  until: number;
  confirmed: Point | null;
}

interface Flight {
  readonly attempt: ReturnType<ReturnType<typeof createSubscriber>['begin']>;
  stage: 'sent' | 'leased' | 'answered';
  point: Point | null;
  rows: readonly Row[];
}

interface Node {
  readonly id: string;
  readonly replica: Replica;
  readonly freshness: Freshness;
  readonly subscriber: ReturnType<typeof createSubscriber>;
  flight: Flight | null;
  state: 'running' | 'frozen' | 'leaving' | 'gone';
}

interface Revocation {
  readonly xid: number;
  readonly entry: RevocationEntry;
  readonly storeEpoch: string;
  readonly by: string;
  readonly heard: Set<string>;
  committed: boolean;
  earlyEverywhere: boolean;
  everywhere: boolean;
  effectiveBy: number;
}

const stalenessMs = 5_000;
const marginMs = 1_000;
const forEver = 2 ** 31;
const parse = (point: Point): Snapshot => JSON.parse(point.snapshot) as Snapshot;

export function runCluster(seed: number, steps: number, flaw: ClusterFlaw | null) {
  const random = createRandom(seed);
  const ledger = createLedger();
  const leases = new Map<string, Lease>();
  const counts = { everywhere: 0, notYet: 0, hints: 0, frozen: 0, killed: 0, left: 0, restarts: 0, failOvers: 0 };
  let revocations: Revocation[] = [];
  let messages: { readonly kind: 'hint' | 'ack'; readonly to: string; readonly of: Revocation }[] = [];
  let nowMs = 0;
  let stepped = 0;
  let timeline = 1;
  let noted = { timeline: 1, at: Number.NEGATIVE_INFINITY };
  let names = 0;
  const storeNow = (): number => nowMs + stepped;
  const leaseMs = stalenessMs + (flaw === 'short_lease' ? -stalenessMs / 2 : marginMs);
  const storeEpoch = (): string => `store/${timeline}/${ledger.storeEpoch()}`;
  const nodes: Node[] = Array.from({ length: 2 + random.below(3) }, startNode);

  function startNode(): Node {
    names += 1;
    const replica = createReplica({ hashKey: new Uint8Array(8) });
    const time = { monotonicNow: () => nowMs, wallNow: () => nowMs };
    const freshness = createFreshness({ ...time, maxStalenessMs: stalenessMs });
    const subscriber = createSubscriber({ replica, freshness });
    return { id: `node ${names}`, replica, freshness, subscriber, flight: null, state: 'running' };
  }

  function beat(node: Node): void {
    const { flight } = node;
    if (flight === null) {
      node.flight = { attempt: node.subscriber.begin(), stage: 'sent', point: null, rows: [] };
    } else if (flight.stage === 'sent') {
      const until = Math.max(leases.get(node.id)?.until ?? 0, storeNow() + leaseMs);
      leases.set(node.id, { until, confirmed: flight.attempt.cursor });
      flight.stage = 'leased';
    } else if (flight.stage === 'leased') {
      const { cursor } = flight.attempt;
      flight.point = { storeEpoch: storeEpoch(), snapshot: JSON.stringify(ledger.snapshot()) };
      flight.rows = cursor === null ? ledger.live(0) : ledger.visibleSince(parse(cursor), 0);
      flight.stage = 'answered';
      if (cursor === null && noted.timeline !== timeline) noted = { timeline, at: storeNow() };
    } else if (flight.point !== null) {
      const entries = flight.rows.map((row) => row.entry);
      node.subscriber.complete(flight.attempt, { ...flight.point, entries, whole: flight.attempt.whole });
      node.flight = null;
    }
  }

  const sees = (point: Point | null, xid: number): boolean => {
    if (point === null) return false;
    if (point.storeEpoch !== storeEpoch()) return false;
    const { xmax, inProgress } = parse(point);
    return xid < xmax && !inProgress.includes(xid);
  };

  function ask(one: Revocation, asker: Node, isRevoker: boolean): boolean {
    let until = Number.NEGATIVE_INFINITY;
    for (const [id, lease] of leases) {
      if (lease.until <= storeNow() || sees(lease.confirmed, one.xid)) continue;
      if (id === asker.id && (isRevoker || flaw === 'own_row_unasked' || sees(asker.subscriber.cursor(), one.xid)))
        continue;
      if (!isRevoker || !one.heard.has(id)) until = Math.max(until, lease.until);
    }
    const changed = lostCommits(one.storeEpoch, storeEpoch()) || noted.timeline !== timeline;
    const quietUntil = changed ? storeNow() + leaseMs : noted.at + leaseMs;
    if (flaw !== 'no_quiet_time' && quietUntil > storeNow()) until = Math.max(until, quietUntil);
    if (until === Number.NEGATIVE_INFINITY) return true;
    if (one.committed) one.effectiveBy = Math.min(one.effectiveBy, until);
    counts.notYet += 1;
    return false;
  }

  function revoke(node: Node): void {
    names += 1;
    const subject = `0198a000-0000-7000-8000-${names.toString(16).padStart(12, '0')}`;
    const entry: RevocationEntry = { kind: 'session', subject, min_epoch: 0, expires_at: forEver };
    const told = { committed: false, earlyEverywhere: false, everywhere: false, effectiveBy: Number.POSITIVE_INFINITY };
    const one: Revocation = {
      ...{ xid: ledger.begin([entry]), entry, storeEpoch: storeEpoch(), by: node.id, heard: new Set<string>() },
      ...told,
    };
    if (flaw === 'leases_before_commit') one.earlyEverywhere = ask(one, node, true);
    revocations.push(one);
  }

  function commit(one: Revocation, node: Node): void {
    ledger.commit(one.xid, nowMs);
    one.committed = true;
    one.everywhere = one.earlyEverywhere;
    node.replica.apply(one.entry);
    for (const other of nodes) {
      for (let copies = random.below(3); copies > 0; copies -= 1)
        messages.push({ kind: 'hint', to: other.id, of: one });
    }
  }

  function deliver(): void {
    const message = random.take(messages);
    const node = nodes.find((one) => one.id === message?.to);
    if (message === undefined || node?.state !== 'running' || random.chance(0.2)) return;
    counts.hints += 1;
    if (message.kind === 'ack') message.of.heard.add(message.to);
    else {
      if (flaw !== 'acknowledged_before_applied') node.replica.apply(message.of.entry);
      messages.push({ kind: 'ack', to: node.id, of: message.of });
    }
  }

  function replaceNode(node: Node): void {
    nodes.splice(nodes.indexOf(node), 1, startNode());
  }

  function leave(node: Node): void {
    counts.left += 1;
    node.flight = null;
    if (flaw === 'lease_deleted_first' && node.state === 'running') {
      node.state = 'leaving';
      leases.delete(node.id);
      return;
    }
    node.subscriber.stop();
    leases.delete(node.id);
    replaceNode(node);
  }

  function breakStore(): void {
    for (const node of nodes) if (node.flight?.stage !== 'answered') node.flight = null;
    revocations = revocations.filter((one) => one.committed);
  }

  function failOver(): void {
    counts.failOvers += 1;
    breakStore();
    timeline += 1;
    ledger.failOver(random.below(3));
    // What the store has lost is no promise of it any more; leases are lost or as they were.
    const left = new Set(ledger.live(0).map((row) => row.entry.subject));
    revocations = revocations.filter((one) => left.has(one.entry.subject));
    messages = messages.filter((message) => left.has(message.of.entry.subject));
    for (const id of [...leases.keys()]) if (random.chance(0.5)) leases.delete(id);
  }

  function act(): string {
    const node = random.pick(nodes);
    if (node === undefined) return '';
    const at = random.below(100);
    if (at < 40) {
      if (node.state === 'running' || node.flight?.stage === 'sent') beat(node);
      return 'beat';
    }
    if (at < 46 && node.state === 'running') revoke(node);
    else if (at < 54) {
      const one = random.pick(revocations.filter((other) => !other.committed));
      const by = nodes.find((other) => other.id === one?.by && other.state === 'running');
      if (one !== undefined && by !== undefined) commit(one, by);
    } else if (at < 68) deliver();
    else if (at < 78 && node.state === 'running') {
      const one = random.pick(revocations.filter((other) => other.committed && !other.everywhere));
      const isKnown = one !== undefined && !lostCommits(one.storeEpoch, storeEpoch());
      if (one !== undefined && (isKnown || one.by === node.id) && ask(one, node, one.by === node.id)) {
        one.everywhere = true;
        counts.everywhere += 1;
      }
    } else if (at < 90) nowMs += random.below(1_200);
    else if (at < 92 && node.state !== 'leaving') {
      counts.frozen += 1;
      node.state = node.state === 'frozen' ? 'running' : 'frozen';
    } else if (at < 94) leave(node);
    else if (at < 95) {
      counts.killed += 1;
      for (const one of revocations.filter((other) => other.by === node.id && !other.committed)) ledger.abort(one.xid);
      revocations = revocations.filter((one) => one.by !== node.id || one.committed);
      replaceNode(node);
    } else if (at < 97) node.flight = null;
    else if (at < 98 && stepped < marginMs) stepped += random.below(marginMs - stepped + 1);
    else if (at < 99 && random.chance(0.5)) {
      counts.restarts += 1;
      ledger.restart();
      breakStore();
    } else if (random.chance(0.3)) failOver();
    return `action ${at} on ${node.id}`;
  }

  function findViolation(): string | undefined {
    for (const one of revocations) {
      const isDue = one.everywhere || storeNow() >= one.effectiveBy;
      if (!one.committed || !isDue) continue;
      for (const node of nodes) {
        const answers = node.state === 'running' || node.state === 'leaving';
        if (answers && node.freshness.isFresh() && !node.replica.covers('session', one.entry.subject)) {
          return `${node.id} accepts after ${one.everywhere ? '"everywhere"' : 'effective_by'} of transaction ${one.xid}`;
        }
      }
    }
    return undefined;
  }

  for (let step = 0; step < steps; step += 1) {
    const action = act();
    const violation = findViolation();
    if (violation !== undefined) return { violation: `seed ${seed}, step ${step}, ${action}: ${violation}`, counts };
  }
  return { violation: undefined, counts };
}
