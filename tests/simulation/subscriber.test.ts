/**
 * The subscriber, the replica and the freshness rule under thousands of seeded schedules: no token is accepted whose revocation
 * was committed longer ago than the staleness bound, none that this node already refused, and a confirmed cursor misses nothing
 * that was visible in it. Each wrong variant of the design is seen to break one of these.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Flaw } from './variants.ts';
import { type Event, runSchedule } from './world.ts';

const schedules = 3_000;
const steps = 250;

test('in 3,000 schedules with late commits, loss, duplicates, reordering, restarts and clock jumps nothing is accepted past its bound', () => {
  const totals = new Map<string, number>();
  for (let seed = 1; seed <= schedules; seed += 1) {
    const { violations, counts } = runSchedule(seed, steps, null);
    assert.deepEqual(violations, [], `seed ${seed}`);
    for (const [event, count] of Object.entries(counts)) totals.set(event, (totals.get(event) ?? 0) + count);
  }
  // The schedules must have been hard, and not all stale: otherwise nothing was proved.
  const expected: readonly Event[] = [
    'confirmed',
    'whole',
    'lateCommit',
    'hint',
    'failedApply',
    'epochChange',
    'clockJump',
    'swept',
    'acceptable',
  ];
  for (const event of expected) assert.ok((totals.get(event) ?? 0) > schedules / 10, `${event}: ${totals.get(event)}`);
});

test('a schedule is the same whenever its seed is', () => {
  assert.deepEqual(runSchedule(7, steps, null), runSchedule(7, steps, null));
});

describe('the simulation catches', () => {
  const flaws: Readonly<Record<Flaw, string>> = {
    cursor_by_sequence: 'a cursor by sequence number',
    fresh_from_the_answer: 'freshness counted from the answer instead of from before the request',
    cursor_before_rows: 'a cursor that moves before the rows are applied',
    snapshot_after_rows: 'a snapshot taken after the rows of a whole load',
    reload_replaces: 'a whole load that replaces what hints have brought',
    cursor_kept_over_restart: 'a cursor kept over a restart of the node',
    epoch_ignored: 'a change of the store epoch that is not noticed',
    clock_ignored: 'a clock that ran ahead and back, when nothing is read anew',
  };
  for (const [flaw, title] of Object.entries(flaws)) {
    test(title, (context) => {
      for (let seed = 1; seed <= schedules; seed += 1) {
        const [violation] = runSchedule(seed, steps, flaw as Flaw).violations;
        if (violation === undefined) continue;
        context.diagnostic(violation);
        return;
      }
      assert.fail(`${schedules} schedules passed with ${flaw}`);
    });
  }
});
