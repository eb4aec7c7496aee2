/**
 * Beat, lease, barrier and hints of one revocation, as `packages/server/src/revocation` does them, with everything that may
 * happen between two steps: late commits, frozen and killed nodes, statements that run after their node has given them up,
 * hints and acknowledgements that are lost, late or double, restarts and fail-overs of the store, steps of its clock.
 * What a finished beat means is asked of the real `Subscriber` and the real freshness rule.
 *
 * A flaw is the same design with one rule taken away.
 */
import { lostCommits } from '../../packages/server/src/revocation/beat.ts';
import { completeReally } from './real.ts';
import type { Model } from './search.ts';
import {
  at,
  epochName,
  epochOf,
  f,
  fact,
  g,
  globals,
  mode,
  perNode,
  phase,
  put,
  read,
  seesIn,
  snapshotCode,
  sortAlike,
  timelineOf,
} from './state.ts';
import type { Flaw, World } from './worlds.ts';

export function createDesign(
  world: World,
  flaw: Flaw | null = null,
): Model & {
  /** Whether one undisturbed beat, or two, make a running node fresh. */
  recovers(state: Uint8Array, node: number): boolean;
} {
  const { nodes, stalenessTicks: staleness, marginTicks: margin } = world;
  const leaseTicks = staleness + margin;
  const clockSteps = flaw === 'clock_step_beyond_margin' ? margin + 1 : world.clockSteps;
  const all = Array.from({ length: nodes }, (_, node) => node);
  const rowOf = (node: number): number => (flaw === 'one_row_for_two' ? 0 : node);
  const known = new Map<string, ReturnType<typeof completeReally>>();

  const initial = new Uint8Array(globals + nodes * perNode);
  for (const node of all) initial[at(node, f.mode)] = mode.running;

  // What the store does.

  const now = (s: Uint8Array, sees = read(s, g.x) === fact.committed): number => {
    // Numbers are given at the insert: a younger row, committed meanwhile, lies above the open one.
    const passed = flaw === 'cursor_by_sequence' && read(s, g.x) === fact.open;
    return snapshotCode(read(s, g.epoch), sees || passed);
  };

  function takeLease(s: Uint8Array, node: number, cursor: number, left: number): void {
    const row = rowOf(node);
    const lease = flaw === 'late_statement_shortens' ? Math.max(0, left + margin) : leaseTicks;
    s[at(row, f.lease)] = flaw === 'late_statement_shortens' ? lease : Math.max(read(s, at(row, f.lease)), lease);
    s[at(row, f.confirmed)] = cursor;
    if (flaw !== 'late_delete_takes_the_next_lease') s[at(row, f.lateDelete)] = 0;
  }

  function readLedger(s: Uint8Array, node: number): void {
    const cursor = read(s, at(node, f.cursor));
    const committed = read(s, g.x) === fact.committed;
    if (cursor !== 0) {
      s[at(node, f.read)] = now(s);
      s[at(node, f.row)] = committed && !seesIn(cursor) ? 1 : 0;
      s[at(node, f.phase)] = phase.answered;
      return;
    }
    if (flaw === 'snapshot_after_rows') s[at(node, f.row)] = committed ? 1 : 0;
    else s[at(node, f.read)] = now(s);
    s[at(node, f.phase)] = phase.moment;
  }

  function readRows(s: Uint8Array, node: number): void {
    if (flaw === 'snapshot_after_rows') s[at(node, f.read)] = now(s);
    else s[at(node, f.row)] = read(s, g.x) === fact.committed ? 1 : 0;
    s[at(node, f.phase)] = phase.answered;
    const timeline = timelineOf(s, read(s, g.epoch));
    if (read(s, g.notedTimeline) === timeline) return;
    s[g.notedTimeline] = timeline;
    s[g.notedAge] = 0;
  }

  /** The connections break with the store; what was answered is on its way. */
  function breakStore(s: Uint8Array, event: number): void {
    const epoch = read(s, g.epoch) + 1;
    s[g.epoch] = epoch;
    s[epoch === 1 ? g.event1 : g.event2] = event;
    if (read(s, g.x) === fact.open) s[g.x] = fact.gone;
    for (const node of all) {
      if (read(s, at(node, f.phase)) !== phase.answered) s[at(node, f.phase)] = phase.idle;
      s[at(node, f.late)] = 0;
      s[at(node, f.lateLeft)] = 0;
      s[at(node, f.lateDelete)] = 0;
    }
  }

  // What a node does.

  function beginBeat(s: Uint8Array, node: number): void {
    s[at(node, f.phase)] = phase.sent;
    s[at(node, f.left)] = staleness;
    s[at(node, f.read)] = 0;
    s[at(node, f.row)] = 0;
  }

  function abandon(s: Uint8Array, node: number): void {
    const isOnItsWay = read(s, at(node, f.phase)) === phase.sent && read(s, at(node, f.late)) === 0;
    if (isOnItsWay && read(s, g.lateLeases) < world.lateLeases) {
      s[g.lateLeases] = read(s, g.lateLeases) + 1;
      s[at(node, f.late)] = 1 + read(s, at(node, f.cursor));
      s[at(node, f.lateLeft)] = read(s, at(node, f.left));
    }
    for (const field of [f.phase, f.left, f.read, f.row]) s[at(node, field)] = 0;
  }

  function completeBeat(s: Uint8Array, node: number): void {
    const cursor = read(s, at(node, f.cursor));
    const snapshot = read(s, at(node, f.read));
    const age = staleness - read(s, at(node, f.left));
    const point = (code: number) => ({ epoch: epochName(s, epochOf(code)), snapshot: String(code) });
    const key = `${cursor === 0 ? '' : point(cursor).epoch} ${cursor} ${point(snapshot).epoch} ${snapshot} ${age}`;
    let done = known.get(key);
    if (done === undefined) {
      done = completeReally({ cursor: cursor === 0 ? null : point(cursor), ...point(snapshot), age }, staleness);
      known.set(key, done);
    }
    const row = done.applied && read(s, at(node, f.row)) === 1;
    if (flaw === 'reload_replaces' && cursor === 0) s[at(node, f.holds)] = row ? 1 : 0;
    else if (row) s[at(node, f.holds)] = 1;
    s[at(node, f.cursor)] = done.cursor === null ? 0 : Number(done.cursor.snapshot);
    s[at(node, f.fresh)] = flaw === 'fresh_from_the_answer' && done.cursor !== null ? staleness : done.freshFor;
    for (const field of [f.phase, f.left, f.read, f.row]) s[at(node, field)] = 0;
  }

  function forgetProcess(s: Uint8Array, node: number): void {
    s[at(node, f.kept)] = flaw === 'cursor_kept_over_restart' ? read(s, at(node, f.cursor)) : 0;
    for (const field of [f.fresh, f.cursor, f.checked]) s[at(node, field)] = 0;
  }

  function end(s: Uint8Array, node: number): void {
    abandon(s, node);
    forgetProcess(s, node);
    s[at(node, f.mode)] = mode.down;
    s[at(node, f.holds)] = 0;
    s[at(node, f.heard)] = 0;
    if (node === 0 && world.revoker === 'node') {
      // Before its commit the transaction ends with its client; after it nobody waits for the receipt any more.
      if (read(s, g.x) === fact.open) s[g.x] = fact.gone;
      s[g.waits] = 0;
    }
  }

  /** A new incarnation: its row is another, and what was said of the old one does not count for it. */
  function start(s: Uint8Array, node: number): void {
    const kept = read(s, at(node, f.kept));
    const row = read(s, at(node, f.lease));
    const confirmed = read(s, at(node, f.confirmed));
    s.fill(0, at(node, 0), at(node, perNode));
    if (flaw === 'one_row_for_two') {
      s[at(node, f.lease)] = row;
      s[at(node, f.confirmed)] = confirmed;
    }
    s[at(node, f.mode)] = mode.running;
    s[at(node, f.cursor)] = kept;
    s[g.lives] = read(s, g.lives) + 1;
    if (node === 0) s[g.born] = timelineOf(s, read(s, g.epoch));
  }

  // What a receipt says.

  function quietTicks(s: Uint8Array): number {
    if (flaw === 'no_quiet_time') return 0;
    const timeline = timelineOf(s, read(s, g.epoch));
    if (flaw === 'quiet_by_memory_alone' && read(s, g.born) === timeline) return 0;
    if (isAnotherHistory(s)) return leaseTicks;
    if (timeline === 0) return 0;
    return read(s, g.notedTimeline) === timeline ? Math.max(0, leaseTicks - read(s, g.notedAge)) : leaseTicks;
  }

  const isAnotherHistory = (s: Uint8Array): boolean =>
    lostCommits(epochName(s, read(s, g.xEpoch)), epochName(s, read(s, g.epoch)));

  function hasConfirmed(s: Uint8Array, row: number, asker: number, isRevoker: boolean): boolean {
    const confirmed = read(s, at(row, f.confirmed));
    const epoch = read(s, g.epoch);
    if (row === asker && (isRevoker || flaw === 'own_row_unasked')) return true;
    if (row === asker && read(s, at(row, f.cursor)) === snapshotCode(epoch, true)) return true;
    if (isRevoker && read(s, at(row, f.heard)) === 2) return true;
    if (flaw === 'confirmed_without_epoch' && confirmed !== 0 && epochOf(confirmed) !== epoch) return true;
    return confirmed === snapshotCode(epoch, true);
  }

  /** `asker`: the node that asks, or -1; the revoker asks with its acknowledgements, anybody else by the position. */
  function ask(s: Uint8Array, asker: number, isRevoker: boolean): boolean {
    const rows = flaw === 'one_row_for_two' ? [0] : all;
    const pending = rows.filter((row) => read(s, at(row, f.lease)) > 0 && !hasConfirmed(s, row, asker, isRevoker));
    const quiet = quietTicks(s);
    if (pending.length === 0 && quiet === 0) return true;
    const ticks = Math.max(quiet, ...pending.map((row) => read(s, at(row, f.lease))));
    s[g.by] = read(s, g.by) === 0 ? ticks + 1 : Math.min(read(s, g.by), ticks + 1);
    return false;
  }

  // What may happen next.

  function tick(s: Uint8Array): void {
    for (const node of all) {
      for (const field of [f.fresh, f.left, f.lateLeft, f.lease]) {
        s[at(node, field)] = Math.max(0, read(s, at(node, field)) - 1);
      }
    }
    s[g.by] = Math.max(Math.min(1, read(s, g.by)), read(s, g.by) - 1);
    if (read(s, g.x) === fact.committed) s[g.commitAge] = Math.min(staleness, read(s, g.commitAge) + 1);
    s[g.notedAge] = read(s, g.notedTimeline) === 0 ? 0 : Math.min(leaseTicks, read(s, g.notedAge) + 1);
  }

  function stepClock(s: Uint8Array): void {
    s[g.steps] = read(s, g.steps) + 1;
    for (const node of all) s[at(node, f.lease)] = Math.max(0, read(s, at(node, f.lease)) - 1);
    s[g.by] = Math.max(Math.min(1, read(s, g.by)), read(s, g.by) - 1);
    if (read(s, g.notedTimeline) > 0) s[g.notedAge] = Math.min(leaseTicks, read(s, g.notedAge) + 1);
  }

  function storeSteps(state: Uint8Array, go: Go): void {
    go('a tick', tick);
    if (read(state, g.steps) < clockSteps) go("the store's clock steps ahead", stepClock);
    const isLast = read(state, g.epoch) >= 2;
    if (!isLast && read(state, g.restarts) < world.restarts) {
      go('the store restarts', (s) => {
        s[g.restarts] = read(s, g.restarts) + 1;
        breakStore(s, 1);
      });
    }
    if (isLast || read(state, g.failOvers) >= world.failOvers) return;
    // A revocation that is lost with its commit is no promise of the store any more: only what is kept is followed.
    for (const lost of [null, ...all, 'all'] as const) {
      go(`the store fails over, leases lost: ${lost}`, (s) => {
        s[g.failOvers] = read(s, g.failOvers) + 1;
        breakStore(s, 2);
        for (const node of all) if (lost === 'all' || lost === node) s[at(node, f.lease)] = 0;
      });
    }
  }

  function revokerSteps(state: Uint8Array, go: Go): void {
    const own = world.revoker === 'node' ? 0 : -1;
    const acts = own === -1 || read(state, at(0, f.mode)) === mode.running;
    const x = read(state, g.x);
    if (x === fact.none && acts) {
      go('the revoking transaction begins', (s) => {
        s[g.x] = fact.open;
        s[g.xEpoch] = read(s, g.epoch);
        s[g.waits] = 1;
      });
    }
    if (x === fact.open && acts && flaw === 'leases_before_commit' && read(state, g.saidEarly) === 0) {
      go('the leases are read', (s) => {
        if (ask(s, own, true)) s[g.saidEarly] = 1;
        else s[g.by] = 0;
      });
    }
    if (x === fact.open) go('it commits', (s) => put(s, g.x, fact.committed));
    if (x !== fact.committed) return;
    const waits = read(state, g.waits) === 1 && acts;
    if (waits && read(state, g.hinted) === 0) {
      go('the revoker applies it and sends hints', (s) => {
        s[g.hinted] = 1;
        if (own === 0) s[at(0, f.holds)] = 1;
        if (read(s, g.saidEarly) === 1) s[g.said] = 1;
      });
    }
    if (isPromised(state)) return;
    const say = (s: Uint8Array, asker: number, isRevoker: boolean): void => {
      if (ask(s, asker, isRevoker)) s[g.said] = 1;
    };
    if (waits && read(state, g.hinted) === 1) go('the revoker reads the leases', (s) => say(s, own, true));
    if (isAnotherHistory(state)) return;
    for (const node of all) {
      if (read(state, at(node, f.mode)) !== mode.running) continue;
      go(`the receipt is asked for on node ${node}`, (s) => say(s, node, false));
    }
  }

  function beatSteps(state: Uint8Array, node: number, go: Go): void {
    const runs = read(state, at(node, f.mode)) === mode.running;
    const where = read(state, at(node, f.phase));
    if (where === phase.idle && runs && !isInert(state, node))
      go(`node ${node} sends its lease`, (s) => beginBeat(s, node));
    if (where === phase.sent && flaw === 'one_statement') {
      go(`the store reads the ledger for node ${node}`, (s) => {
        s[at(node, f.read)] = now(s);
        s[at(node, f.row)] = read(s, g.x) === fact.committed ? 1 : 0;
        s[at(node, f.phase)] = phase.oneTransaction;
      });
    } else if (where === phase.sent) {
      go(`the store takes the lease of node ${node}`, (s) => {
        takeLease(s, node, read(s, at(node, f.cursor)), read(s, at(node, f.left)));
        s[at(node, f.phase)] = phase.leased;
      });
    }
    if (where === phase.oneTransaction) {
      go(`the store commits the lease of node ${node}`, (s) => {
        takeLease(s, node, read(s, at(node, f.cursor)), read(s, at(node, f.left)));
        s[at(node, f.phase)] = phase.answered;
      });
    }
    if (where === phase.leased) go(`the store reads the ledger for node ${node}`, (s) => readLedger(s, node));
    if (where === phase.moment) go(`the store reads the rows for node ${node}`, (s) => readRows(s, node));
    if (where === phase.answered && runs) go(`node ${node} completes its beat`, (s) => completeBeat(s, node));
    if (where === phase.answered && runs && flaw === 'cursor_before_rows') {
      go(`node ${node} fails while it applies the rows`, (s) => {
        s[at(node, f.cursor)] = read(s, at(node, f.read));
        for (const field of [f.phase, f.left, f.read, f.row]) s[at(node, field)] = 0;
      });
    }
    if (where !== phase.idle && runs) go(`node ${node} gives its beat up`, (s) => abandon(s, node));
    if (read(state, at(node, f.late)) > 0) {
      go(`a late lease of node ${node} is taken`, (s) => {
        takeLease(s, node, read(s, at(node, f.late)) - 1, read(s, at(node, f.lateLeft)));
        s[at(node, f.late)] = 0;
        s[at(node, f.lateLeft)] = 0;
      });
    }
    if (read(state, at(node, f.lateDelete)) === 1) {
      go(`the lease of node ${node} is deleted late`, (s) => {
        s[at(node, f.lease)] = 0;
        s[at(node, f.lateDelete)] = 0;
      });
    }
  }

  function lifeSteps(state: Uint8Array, node: number, go: Go): void {
    const is = read(state, at(node, f.mode));
    const runs = is === mode.running;
    const set = (value: number) => (s: Uint8Array) => put(s, at(node, f.mode), value);
    if (runs && read(state, g.freezes) < world.freezes) {
      go(`node ${node} is frozen`, (s) => {
        set(mode.frozen)(s);
        s[g.freezes] = read(s, g.freezes) + 1;
      });
    }
    if (is === mode.frozen) go(`node ${node} thaws`, set(mode.running));
    if (read(state, g.lives) >= world.lives) return;
    if (is === mode.down || is === mode.ended) go(`node ${node} starts`, (s) => start(s, node));
    if (is === mode.ended) {
      go(`the beat of node ${node} is started again`, (s) => {
        set(mode.running)(s);
        s[g.lives] = read(s, g.lives) + 1;
      });
    }
    if (runs || is === mode.frozen) go(`node ${node} is killed`, (s) => end(s, node));
    const stop = (s: Uint8Array, next: number): void => {
      abandon(s, node);
      forgetProcess(s, node);
      set(next)(s);
    };
    if (runs && flaw === 'lease_deleted_first') {
      go(`node ${node} deletes its lease`, (s) => {
        abandon(s, node);
        s[at(node, f.lease)] = 0;
        set(mode.deletedFirst)(s);
      });
    } else if (runs) go(`node ${node} stops answering`, (s) => stop(s, mode.stopped));
    if (is === mode.deletedFirst) go(`node ${node} stops answering`, (s) => stop(s, mode.ended));
    if (is !== mode.stopped) return;
    go(`node ${node} deletes its lease`, (s) => {
      s[at(node, f.lease)] = 0;
      set(mode.ended)(s);
    });
    go(`node ${node} gives the deletion of its lease up`, (s) => {
      s[at(node, f.lateDelete)] = 1;
      set(mode.ended)(s);
    });
  }

  function hintSteps(state: Uint8Array, node: number, go: Go): void {
    const runs = read(state, at(node, f.mode)) === mode.running;
    const heard = read(state, at(node, f.heard));
    const holds = read(state, at(node, f.holds)) === 1;
    const before = flaw === 'acknowledged_before_applied';
    if (runs && read(state, g.hinted) === 1 && heard === 0 && !isInert(state, node)) {
      go(`a hint reaches node ${node}`, (s) => {
        if (!before) s[at(node, f.holds)] = 1;
        s[at(node, f.heard)] = 1;
      });
    }
    if (before && runs && heard > 0 && !holds) {
      go(`node ${node} applies the hint`, (s) => put(s, at(node, f.holds), 1));
    }
    if (heard === 1) go(`the acknowledgement of node ${node} arrives`, (s) => put(s, at(node, f.heard), 2));
    if (flaw !== 'await_before_look_up' || !runs) return;
    if (read(state, at(node, f.fresh)) > 0 && read(state, at(node, f.checked)) === 0) {
      go(`node ${node} finds itself fresh, and awaits`, (s) => put(s, at(node, f.checked), 1));
    }
    if (read(state, at(node, f.checked)) === 1) {
      go(`node ${node} looks the token up`, (s) => {
        s[at(node, f.checked)] = 0;
        if (isPromised(s) && !holds) s[g.acceptedLate] = 1;
      });
    }
  }

  const isPromised = (s: Uint8Array): boolean => read(s, g.said) > 0;

  /**
   * A node that is gone, or that holds the revocation, cannot accept whatever becomes of its beat and its row. Receipts that
   * do not wait for it are said earlier, never later, so nothing is hidden by not following it.
   */
  function isInert(s: Uint8Array, node: number): boolean {
    if (flaw !== null && losesWhatItHolds.has(flaw)) return false;
    return read(s, at(node, f.mode)) === mode.down || read(s, at(node, f.holds)) === 1;
  }

  /** Brings states that have the same future to one form. */
  function settle(s: Uint8Array): void {
    if (read(s, g.said) === 0 && read(s, g.by) === 1) s[g.said] = 2;
    if (read(s, g.said) === 0 && read(s, g.commitAge) >= staleness) s[g.said] = 3;
    // The promise is in force: no receipt can add to it, so that nothing matters any more that receipts are made of.
    if (isPromised(s)) for (const field of receiptGlobals) s[field] = 0;
    for (const node of all) {
      if (isPromised(s)) for (const field of receiptFields) s[at(node, field)] = 0;
      if (read(s, at(node, f.lease)) === 0) s[at(node, f.confirmed)] = 0;
      if (isInert(s, node)) for (const field of beatFields) s[at(node, field)] = 0;
    }
    if (flaw !== 'one_row_for_two') sortAlike(s, world.revoker === 'node' ? 1 : 0, nodes);
  }

  function accepts(s: Uint8Array, node: number): boolean {
    const is = read(s, at(node, f.mode));
    const answers = is === mode.running || is === mode.deletedFirst;
    return answers && read(s, at(node, f.fresh)) > 0 && read(s, at(node, f.holds)) === 0;
  }

  const scratch = new Uint8Array(initial.length);

  return {
    initial,
    successors(state, emit) {
      if (read(state, g.x) === fact.gone) return;
      const go: Go = (action, change) => {
        scratch.set(state);
        change(scratch);
        settle(scratch);
        emit(scratch, action);
      };
      storeSteps(state, go);
      revokerSteps(state, go);
      for (const node of all) {
        beatSteps(state, node, go);
        lifeSteps(state, node, go);
        hintSteps(state, node, go);
      }
    },
    problem(s) {
      if (read(s, g.acceptedLate) === 1) return 'a verification accepted after the promise';
      const promise = [undefined, '"everywhere"', 'effective_by', 'the bound'][read(s, g.said)];
      if (promise === undefined) return undefined;
      const wrong = all.find((node) => accepts(s, node));
      return wrong === undefined ? undefined : `node ${wrong} accepts after ${promise}`;
    },
    recovers(state, node) {
      if (read(state, at(node, f.mode)) !== mode.running) return true;
      const s = state.slice();
      abandon(s, node);
      for (let beats = 0; beats < 2; beats += 1) {
        beginBeat(s, node);
        takeLease(s, node, read(s, at(node, f.cursor)), staleness);
        s[at(node, f.phase)] = phase.leased;
        readLedger(s, node);
        if (read(s, at(node, f.phase)) === phase.moment) readRows(s, node);
        completeBeat(s, node);
      }
      return read(s, at(node, f.fresh)) === staleness;
    },
  };
}

const losesWhatItHolds: ReadonlySet<Flaw> = new Set([
  'reload_replaces',
  'cursor_kept_over_restart',
  'one_row_for_two',
] as const);
const beatFields = [
  f.fresh,
  f.cursor,
  f.phase,
  f.left,
  f.read,
  f.row,
  f.late,
  f.lateLeft,
  f.lease,
  f.confirmed,
  f.heard,
];
const receiptGlobals = [g.waits, g.by, g.notedTimeline, g.notedAge, g.commitAge, g.born, g.saidEarly, g.steps];
const receiptFields = [f.lease, f.confirmed, f.late, f.lateLeft, f.lateDelete];

type Go = (action: string, change: (s: Uint8Array) => void) => void;
