import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standingOf } from './standing.rule.ts';

const at = (lastSeenMs: number, link: 'up' | 'lost' | 'none' = 'none', tableIsFresh = true) =>
  standingOf({ lastSeenMs, link, tableIsFresh });

test('a node is up while it beats, suspect after one missed beat or a lost link, down after four seconds', () => {
  assert.deepEqual(
    [0, 1_100, 2_200, 2_201, 4_000, 4_001].map((ms) => at(ms)),
    ['up', 'up', 'up', 'suspect', 'suspect', 'down'],
  );
  assert.equal(at(100, 'lost'), 'suspect');
  assert.equal(at(4_001, 'up'), 'down', 'a link is no beat: it cannot reach the database');
});

test('a beat that seems to lie ahead was written before the database’s clock went back, and is old', () => {
  assert.equal(at(-3_600_000), 'down');
  assert.equal(at(-50), 'up');
});

test('nobody is told dead by a table that cannot be read', () => {
  assert.equal(at(60_000, 'none', false), 'suspect');
  assert.equal(at(60_000, 'lost', false), 'suspect');
  assert.equal(at(60_000, 'up', false), 'up');
});
