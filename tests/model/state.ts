/** The state of the model: a row of small numbers. Times are counted in ticks that are left, so that the states are finite. */
export const mode = { down: 0, running: 1, frozen: 2, stopped: 3, ended: 4, deletedFirst: 5 } as const;
export const phase = { idle: 0, sent: 1, leased: 2, moment: 3, answered: 4, oneTransaction: 5 } as const;
export const fact = { none: 0, open: 1, committed: 2, gone: 3 } as const;

/** Of the store, the revocation and its revoker. */
export const g = {
  x: 0,
  xEpoch: 1,
  epoch: 2,
  /** What began epoch 1 and 2: 1 a restart, 2 a fail-over. */
  event1: 3,
  event2: 4,
  notedTimeline: 5,
  notedAge: 6,
  /** The revoker still waits for its receipt. */
  waits: 7,
  hinted: 8,
  /** A promise is in force: 1 by "everywhere", 2 by `effective_by`, 3 by the bound after the commit. */
  said: 9,
  /** 0: nothing promised; n: by n - 1 ticks from now. */
  by: 10,
  commitAge: 11,
  steps: 12,
  lives: 13,
  restarts: 14,
  failOvers: 15,
  /** The timeline under which the revoker's process began. */
  born: 16,
  saidEarly: 17,
  acceptedLate: 18,
  freezes: 19,
  lateLeases: 20,
} as const;
export const globals = 21;

/** Of one node: its process, its beat under way, its row in the store. Cursors and snapshots: 0, or 1 + 2 * epoch + sees. */
export const f = {
  mode: 0,
  holds: 1,
  fresh: 2,
  cursor: 3,
  phase: 4,
  left: 5,
  read: 6,
  row: 7,
  /** A first statement that its node has given up, and that runs some time later: 0, or 1 + its cursor. */
  late: 8,
  lateLeft: 9,
  lease: 10,
  confirmed: 11,
  /** 1: the acknowledgement is on its way; 2: it has arrived. */
  heard: 12,
  checked: 13,
  lateDelete: 14,
  kept: 15,
} as const;
export const perNode = 16;

export const at = (node: number, field: number): number => globals + node * perNode + field;
export const read = (state: Uint8Array, index: number): number => state[index] ?? 0;
export function put(state: Uint8Array, index: number, value: number): void {
  state[index] = value;
}
export const snapshotCode = (epoch: number, sees: boolean): number => 1 + 2 * epoch + (sees ? 1 : 0);
export const epochOf = (code: number): number => (code - 1) >> 1;
export const seesIn = (code: number): boolean => code > 0 && ((code - 1) & 1) === 1;

/** The timeline of an epoch: how many fail-overs there were until it began. */
export function timelineOf(state: Uint8Array, epoch: number): number {
  const first = epoch >= 1 && read(state, g.event1) === 2 ? 1 : 0;
  const second = epoch >= 2 && read(state, g.event2) === 2 ? 1 : 0;
  return first + second;
}

export const epochName = (state: Uint8Array, epoch: number): string => `store/${timelineOf(state, epoch)}/${epoch}`;

/** Nodes that differ by their number alone are brought into an order. */
export function sortAlike(s: Uint8Array, first: number, end: number): void {
  for (let node = first + 1; node < end; node += 1) {
    for (let place = node; place > first && isAfter(s, place - 1, place); place -= 1) swap(s, place - 1, place);
  }
}

function isAfter(s: Uint8Array, a: number, b: number): boolean {
  for (let field = 0; field < perNode; field += 1) {
    const difference = read(s, at(a, field)) - read(s, at(b, field));
    if (difference !== 0) return difference > 0;
  }
  return false;
}

function swap(s: Uint8Array, a: number, b: number): void {
  for (let field = 0; field < perNode; field += 1) {
    const kept = read(s, at(a, field));
    s[at(a, field)] = read(s, at(b, field));
    s[at(b, field)] = kept;
  }
}
