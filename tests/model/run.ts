/**
 * `npm run model`: what the tests search. `-- --deep`: larger worlds, up to `--states` (20 million) each; about 40 bytes a state
 * and some minutes a world.
 */
import { parseArgs } from 'node:util';
import { createDesign } from './design.ts';
import { search } from './search.ts';
import { deepWorlds, quietWorld, worlds } from './worlds.ts';

const { values } = parseArgs({
  options: { deep: { type: 'boolean', default: false }, states: { type: 'string', default: '20000000' } },
});

for (const [title, world] of Object.entries(values.deep ? { ...worlds, ...deepWorlds } : worlds)) {
  const began = performance.now();
  const found = search(createDesign({ ...quietWorld, ...world }), Number(values.states));
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  const end = found.problem ?? (found.complete ? 'complete, no violation' : 'no violation as far as it went');
  console.log(`${title}: ${found.states} states, depth ${found.depth}, ${seconds} s: ${end}`);
  if (found.problem === undefined) continue;
  console.log(found.trace.map((action) => `  ${action}`).join('\n'));
  process.exitCode = 1;
}
