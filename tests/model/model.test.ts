/**
 * The promise of revocation under every order of events, as far as two nodes and one fault of each kind go. Larger worlds:
 * `npm run model -- --deep`.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createDesign } from './design.ts';
import { search } from './search.ts';
import { type Flaw, flaws, quietWorld, worlds } from './worlds.ts';

const statesMax = 3_000_000;
/** Of how many states one is looked at for whether its nodes can become fresh. */
const recoveryEvery = 16;

describe('no order of events lets a node accept after "everywhere", after `effective_by`, or after the bound', () => {
  for (const [title, world] of Object.entries(worlds)) {
    test(title, (context) => {
      const { nodes } = { ...quietWorld, ...world };
      const design = createDesign({ ...quietWorld, ...world });
      let looked = 0;
      const stuck: number[] = [];
      const found = search(
        {
          ...design,
          problem(state) {
            looked += 1;
            for (let node = 0; looked % recoveryEvery === 0 && node < nodes; node += 1) {
              if (!design.recovers(state, node)) stuck.push(looked);
            }
            return design.problem(state);
          },
        },
        statesMax,
      );
      context.diagnostic(`${found.states} states, ${found.transitions} transitions, depth ${found.depth}`);
      assert.equal(found.problem, undefined, found.trace.join('\n'));
      assert.ok(found.complete, 'every reachable state was looked at');
      assert.ok(found.states > 50_000, 'there was something to look at');
      assert.deepEqual(stuck, [], 'two undisturbed beats make every running node fresh');
    });
  }
});

describe('the search finds', () => {
  for (const [flaw, [title, world]] of Object.entries(flaws)) {
    test(title, (context) => {
      const found = search(createDesign({ ...quietWorld, ...world }, flaw as Flaw), statesMax);
      context.diagnostic(`${found.states} states: ${found.problem}: ${found.trace.join('; ')}`);
      assert.ok(found.problem, `${found.states} states passed`);
    });
  }
});

test('a search is the same each time', () => {
  const [first, second] = [0, 1].map(() => search(createDesign(quietWorld), 20_000));
  assert.deepEqual(first, second);
});
