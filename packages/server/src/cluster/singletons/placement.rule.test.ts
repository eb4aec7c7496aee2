import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mayTake, rankNodes } from './placement.rule.ts';

const singletons = Array.from({ length: 3_000 }, (_, at) => `singleton-${at}`);
const preferred = (nodes: readonly string[]) => singletons.map((name) => rankNodes(name, nodes)[0]);

describe('placement', () => {
  test('is the same wherever it is computed, in whatever order the nodes are known', () => {
    assert.deepEqual(preferred(['a', 'b', 'c']), preferred(['c', 'a', 'b']));
  });

  test('spreads singletons evenly over the nodes', () => {
    const counts = new Map<string | undefined, number>();
    for (const node of preferred(['a', 'b', 'c'])) counts.set(node, (counts.get(node) ?? 0) + 1);
    for (const node of ['a', 'b', 'c']) {
      const share = (counts.get(node) ?? 0) / singletons.length;
      assert.ok(share > 0.3 && share < 0.37, `${node} has ${share}`);
    }
  });

  test('a node that comes or goes moves only what is its own', () => {
    const [three, four] = [preferred(['a', 'b', 'c']), preferred(['a', 'b', 'c', 'd'])];
    for (const [at, node] of four.entries()) assert.ok(node === 'd' || node === three[at]);
    assert.ok(four.some((node) => node === 'd'));
  });

  test('the preferred node takes at once, each further one a grace later, a stranger never', () => {
    const ranked = ['a', 'b', 'c'];
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((node) => mayTake(ranked, node, 0, 1_000)),
      [true, false, false, false],
    );
    assert.deepEqual(
      ['b', 'c', 'd'].map((node) => mayTake(ranked, node, 1_000, 1_000)),
      [true, false, false],
    );
    assert.ok(mayTake(ranked, 'c', 2_000, 1_000));
  });
});
