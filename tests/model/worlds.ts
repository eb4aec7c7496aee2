/** What is searched: by every run of the tests, and by `npm run model -- --deep`. */
export type Flaw =
  | 'one_statement'
  | 'cursor_by_sequence'
  | 'fresh_from_the_answer'
  | 'leases_before_commit'
  | 'cursor_before_rows'
  | 'cursor_kept_over_restart'
  | 'snapshot_after_rows'
  | 'reload_replaces'
  | 'one_row_for_two'
  | 'lease_deleted_first'
  | 'late_statement_shortens'
  | 'no_quiet_time'
  | 'confirmed_without_epoch'
  | 'clock_step_beyond_margin'
  | 'await_before_look_up'
  | 'quiet_by_memory_alone'
  | 'own_row_unasked'
  | 'acknowledged_before_applied'
  | 'late_delete_takes_the_next_lease';

export interface World {
  readonly nodes: number;
  readonly stalenessTicks: number;
  readonly marginTicks: number;
  /** A node, which waits for its own receipt, or the command line, which holds no replica. */
  readonly revoker: 'node' | 'command_line';
  /** Starts of nodes after the first of each, restarts and fail-overs of the store, steps of its clock, freezes: at most. */
  readonly lives: number;
  readonly restarts: number;
  readonly failOvers: number;
  readonly clockSteps: number;
  readonly freezes: number;
  /** First statements that run after their node has given them up: at most, together. */
  readonly lateLeases: number;
}

export const quietWorld: World = {
  nodes: 2,
  stalenessTicks: 2,
  marginTicks: 1,
  revoker: 'node',
  ...{ lives: 0, restarts: 0, failOvers: 0, clockSteps: 0, freezes: 0, lateLeases: 0 },
};

/** Each is searched to its end. */
export const worlds: Readonly<Record<string, Partial<World>>> = {
  'a node is frozen and thaws': { freezes: 1 },
  'the command line revokes while the clock of the store steps': { revoker: 'command_line', clockSteps: 1 },
  'a node stops, is killed, starts again or joins': { lives: 1 },
  'the store restarts': { restarts: 1 },
  'the store fails over and loses leases': { failOvers: 1 },
  'a lease is taken after its node has given it up': { lateLeases: 1 },
};

export const deepWorlds: Readonly<Record<string, Partial<World>>> = {
  'three nodes': { nodes: 3, revoker: 'command_line' },
  'a fail-over while nodes start and stop': { lives: 1, failOvers: 1 },
  'a fail-over, then a restart, while a node is frozen': { failOvers: 1, restarts: 1, freezes: 1 },
  'a late lease while nodes start and stop': { lives: 2, lateLeases: 1 },
  'everything at once': { lives: 2, restarts: 1, failOvers: 1, clockSteps: 1, freezes: 2, lateLeases: 1 },
};

export const flaws: Readonly<Record<Flaw, readonly [title: string, world?: Partial<World>]>> = {
  one_statement: ['lease and ledger in one statement'],
  cursor_by_sequence: ['a cursor by sequence number'],
  fresh_from_the_answer: ['freshness counted from after the read'],
  leases_before_commit: ['leases that are read before the commit'],
  cursor_before_rows: ['a cursor that moves before the rows are applied'],
  cursor_kept_over_restart: ['a cursor kept over a restart of the node', { lives: 1 }],
  snapshot_after_rows: ['a snapshot taken after the rows of a whole load'],
  reload_replaces: ['a whole load that replaces what hints have brought'],
  one_row_for_two: ['one row for two incarnations', { revoker: 'command_line' }],
  lease_deleted_first: ['a lease that is deleted before its node stops answering', { lives: 1 }],
  late_statement_shortens: ['a late first statement that shortens the lease', { lateLeases: 1 }],
  no_quiet_time: ['leases lost in a fail-over, without the quiet time', { failOvers: 1 }],
  confirmed_without_epoch: ['a confirmed snapshot without its epoch', { restarts: 1 }],
  clock_step_beyond_margin: ['a step of the clock larger than the margin'],
  await_before_look_up: ['freshness checked, then an await, then the look-up'],
  quiet_by_memory_alone: ['a quiet time known only to who saw the fail-over', { failOvers: 1, lives: 1 }],
  own_row_unasked: ['a node that asks for a receipt and takes itself for confirmed'],
  acknowledged_before_applied: ['a hint that is acknowledged before it is applied'],
  late_delete_takes_the_next_lease: ['a late deletion that takes the next lease', { lives: 1 }],
};
