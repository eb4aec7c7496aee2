/**
 * `npm run test:faults`: experiments with real processes on a bed of network namespaces. Needs root.
 *
 *   npm run test:faults                      every experiment, on the whole bed: clustering and Redis
 *   npm run test:faults -- F-12 F-06         only these
 *   npm run test:faults -- --shape database  nodes tied together by PostgreSQL alone
 *   npm run test:faults -- --write-docs      and writes the rows into docs/guarantees.md
 *   npm run test:faults -- --keep FOLDER     leaves logs and the whole history there
 *   npm run test:faults -- --list            what there is
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Shape, shapes } from './bed/bed.ts';
import { experiments, fits } from './experiments.ts';
import type { Result } from './inside.ts';
import { describeResult, writeReport } from './report.ts';
import { demandNamespaces, perform } from './sandbox.ts';

const defaultShape: Shape = 'redis';

function usage(problem: string): never {
  console.error(
    `${problem}\nusage: npm run test:faults -- [F-01 …] [--shape ${shapes.join('|')}] [--seed N] [--keep FOLDER] [--write-docs] [--list]`,
  );
  process.exit(2);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shape: { type: 'string', default: defaultShape },
    seed: { type: 'string', default: '1' },
    keep: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});
const shape = shapes.find((one) => one === values.shape) ?? usage(`there is no shape ${values.shape}`);
const unknown = positionals.filter((id) => !experiments.some((one) => one.id === id));
if (unknown.length > 0) usage(`there is no experiment ${unknown.join(', ')}`);
if (values.list) {
  for (const one of experiments) console.log(`${one.id.padEnd(6)} ${one.needs ?? 'any'}  ${one.title}`);
  process.exit(0);
}
const chosen = experiments.filter((one) =>
  positionals.length === 0 ? fits(one, shape) : positionals.includes(one.id),
);
const impossible = chosen.filter((one) => !fits(one, shape));
if (impossible.length > 0) usage(`${impossible.map((one) => one.id).join(', ')} needs more than the shape ${shape}`);
demandNamespaces();
const keep = values.keep === undefined ? undefined : resolve(values.keep);
if (keep !== undefined) mkdirSync(keep, { recursive: true });

const results: Result[] = [];
let failed = 0;
for (const { id } of chosen) {
  try {
    const result = await perform({ id, shape, seed: Number(values.seed), keep });
    results.push(result);
    if (result.findings.violations.length > 0) failed += 1;
    console.log(describeResult(result));
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${id}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (values['write-docs']) writeReport(results);
}
console.log(`\n${chosen.length - failed} experiments passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
