/**
 * An exhaustive search of a model: breadth first, each state once, the shortest way to whatever is wrong.
 *
 * States are rows of small numbers. Those seen are remembered by 52 bits of a hash: among three million states two share one
 * with a probability of one in a thousand, and then one of them is not followed.
 */
export interface Model {
  readonly initial: Uint8Array;
  /** Hands out every state that may come next, with the name of what happened. The array handed out may be used again. */
  successors(state: Uint8Array, emit: (next: Uint8Array, action: string) => void): void;
  /** What is wrong with this state, if anything. */
  problem(state: Uint8Array): string | undefined;
}

export interface Found {
  readonly states: number;
  readonly transitions: number;
  /** Steps from the start to the last state looked at. */
  readonly depth: number;
  /** Every reachable state was looked at. */
  readonly complete: boolean;
  readonly problem: string | undefined;
  /** What happened, from the start to the problem. */
  readonly trace: readonly string[];
}

export function search(model: Model, statesMax: number): Found {
  const width = model.initial.length;
  const seen = createHashSet();
  const actions: string[] = [];
  const actionNumbers = new Map<string, number>();
  let rows = new Uint8Array(width * 4_096);
  let parents = new Int32Array(4_096);
  let causes = new Uint8Array(4_096);
  let count = 0;
  let transitions = 0;
  let current = -1;
  let problem: string | undefined;

  function numberOf(action: string): number {
    const known = actionNumbers.get(action);
    if (known !== undefined) return known;
    actions.push(action);
    actionNumbers.set(action, actions.length - 1);
    return actions.length - 1;
  }

  function grow(): void {
    const size = parents.length * 2;
    const [moreRows, moreParents, moreCauses] = [
      new Uint8Array(size * width),
      new Int32Array(size),
      new Uint8Array(size),
    ];
    moreRows.set(rows);
    moreParents.set(parents);
    moreCauses.set(causes);
    [rows, parents, causes] = [moreRows, moreParents, moreCauses];
  }

  function add(next: Uint8Array, action: string): void {
    transitions += 1;
    if (problem !== undefined || !seen.add(next)) return;
    if (count === parents.length) grow();
    rows.set(next, count * width);
    parents[count] = current;
    causes[count] = numberOf(action);
    count += 1;
    const wrong = model.problem(next);
    if (wrong === undefined) return;
    problem = wrong;
    current = count - 1;
  }

  function wayTo(at: number): string[] {
    const way: string[] = [];
    for (let index = at; index >= 0; index = parents[index] ?? -1) way.push(actions[causes[index] ?? 0] ?? '');
    return way.toReversed().slice(1);
  }

  add(model.initial, 'start');
  const state = new Uint8Array(width);
  for (let next = 0; next < count && problem === undefined && count < statesMax; next += 1) {
    current = next;
    state.set(rows.subarray(next * width, (next + 1) * width));
    model.successors(state, add);
  }
  const trace = wayTo(current);
  const complete = problem === undefined && count < statesMax;
  return { states: count, transitions, depth: trace.length, complete, problem, trace: problem ? trace : [] };
}

/** Open addressing over two hashes of each row; nothing is ever taken out. */
function createHashSet() {
  let high = new Uint32Array(1 << 16);
  let low = new Uint32Array(1 << 16);
  let size = 0;

  function place(a: number, b: number): boolean {
    const mask = high.length - 1;
    for (let at = (a ^ (b >>> 7)) & mask; ; at = (at + 1) & mask) {
      if (high[at] === 0 && low[at] === 0) {
        high[at] = a;
        low[at] = b;
        return true;
      }
      if (high[at] === a && low[at] === b) return false;
    }
  }

  function grow(): void {
    const [oldHigh, oldLow] = [high, low];
    high = new Uint32Array(oldHigh.length * 2);
    low = new Uint32Array(oldLow.length * 2);
    for (let at = 0; at < oldHigh.length; at += 1) {
      const [a, b] = [oldHigh[at] ?? 0, oldLow[at] ?? 0];
      if (a !== 0 || b !== 0) place(a, b);
    }
  }

  return {
    /** Whether it is new. */
    add(row: Uint8Array): boolean {
      if (size * 2 >= high.length) grow();
      let a = 0x811c9dc5;
      let b = 0x9e3779b9;
      for (const value of row) {
        a = Math.imul(a ^ value, 0x01000193);
        b = Math.imul(b ^ (value + 0x7f), 0x85ebca6b);
        b ^= b >>> 13;
      }
      a ^= a >>> 15;
      a = Math.imul(a, 0x2c1b3c6d);
      a ^= a >>> 12;
      const isNew = place((a | 1) >>> 0, b >>> 0);
      if (isNew) size += 1;
      return isNew;
    },
  };
}
