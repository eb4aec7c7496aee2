/**
 * Receipts of several nodes under thousands of seeded schedules; `SIMULATION_SEED` begins at another seed, and
 * `SIMULATION_SCHEDULES` runs more or fewer.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ClusterFlaw, runCluster } from './cluster-world.ts';

const schedules = Number(process.env['SIMULATION_SCHEDULES'] ?? 4_000);
const firstSeed = Number(process.env['SIMULATION_SEED'] ?? 1);
const steps = 400;
const seeds = Array.from({ length: schedules }, (_, at) => firstSeed + at);

test('no receipt of any of 2 to 4 nodes is broken by loss, doubles, reordering, freezes, kills, restarts or fail-overs', (context) => {
  const totals = new Map<string, number>();
  for (const seed of seeds) {
    const { violation, counts } = runCluster(seed, steps, null);
    assert.equal(violation, undefined);
    for (const [event, count] of Object.entries(counts)) totals.set(event, (totals.get(event) ?? 0) + count);
  }
  context.diagnostic(`seeds ${firstSeed} to ${firstSeed + schedules - 1}: ${JSON.stringify([...totals])}`);
  for (const [event, count] of totals) assert.ok(count > schedules / 4, `${event}: ${count}`);
});

describe('the simulation of several nodes catches', () => {
  const flaws: Readonly<Record<ClusterFlaw, string>> = {
    leases_before_commit: 'leases that are read before the commit',
    own_row_unasked: 'a node that takes itself for confirmed',
    no_quiet_time: 'leases lost in a fail-over, without the quiet time',
    lease_deleted_first: 'a lease that is deleted before its node stops answering',
    acknowledged_before_applied: 'a hint that is acknowledged before it is applied',
    short_lease: 'a lease that ends before its node stops vouching',
  };
  for (const [flaw, title] of Object.entries(flaws)) {
    test(title, (context) => {
      for (const seed of seeds) {
        const { violation } = runCluster(seed, steps, flaw as ClusterFlaw);
        if (violation === undefined) continue;
        context.diagnostic(violation);
        return;
      }
      assert.fail(`${schedules} schedules passed with ${flaw}`);
    });
  }
});
