/**
 * `npm run bench`: the service beside its limits, in one run.
 *
 *   npm run bench                                everything, about a quarter of an hour
 *   npm run bench -- --quick                     a few minutes, fewer and shorter rounds
 *   npm run bench -- --only validate,refresh     some workloads; an unknown name lists them
 *   npm run bench -- --json file                 where the figures of every round go
 *   npm run bench -- --rounds 20                 more rounds, on a machine with other work
 *   npm run bench -- --write-docs                put the table into docs/performance.md; with `--only`, its rows alone
 *
 * The exit code is 1 when a workload could not be measured. A bar that is missed is told and is no failure: figures depend on
 * the machine. `docs/performance.md` tells how to read the table.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../tidy/files.ts';
import { type Bench, createBench } from './lib/bench.ts';
import { missingForPinning } from './lib/processes.ts';
import { describeMachine, loadNow, type Report, type Row, textTable, writeTable } from './lib/report.ts';
import { allCores } from './workloads/all-cores.ts';
import { growth } from './workloads/growth.ts';
import { guardFeed, guardPeers, guardRoute } from './workloads/guarded.ts';
import { inProcess } from './workloads/in-process.ts';
import { oneCore } from './workloads/one-core.ts';
import { starting } from './workloads/starting.ts';
import { workers } from './workloads/workers.ts';

const names = [
  ...['validate', 'validate-10k', 'refresh', 'logout'],
  ...['register', 'login', 'mixed', 'flood'],
  ...['start', 'memory', 'guard', 'signature'],
  ...['guard-peers', 'guard-route', 'guard-feed'],
  ...['nodes-on-one-core', 'growth', 'workers'],
] as const;
type Group = (bench: Bench, wants: (name: string) => boolean) => Promise<readonly Row[]>;
const groups: Readonly<Record<string, Group>> = {
  'one core': oneCore,
  'all cores': allCores,
  'start and memory': starting,
  'in process': inProcess,
  'guard beside others': guardPeers,
  'a guarded route': guardRoute,
  'guarded services': guardFeed,
  'several nodes': growth,
  'several workers': workers,
};

function usage(problem: string): never {
  console.error(`${problem}\nusage: npm run bench -- [--quick] [--only ${names.join(',')}] [--rounds n] [--json file]`);
  process.exit(2);
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        rounds: { type: 'string' },
        json: { type: 'string' },
        'write-docs': { type: 'boolean', default: false },
      },
    });
    const only = values.only?.split(',').map((name) => name.trim());
    const unknown = only?.filter((name) => !(names as readonly string[]).includes(name)) ?? [];
    if (unknown.length > 0) usage(`no such workload: ${unknown.join(', ')}`);
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
    if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1 && rounds <= 100)) usage('rounds: 1 to 100');
    return { ...values, only, rounds };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

const options = readArguments();
const loadAtStart = loadNow();
const bench = createBench({ quick: options.quick, rounds: options.rounds });
const rows: Row[] = [];
const failures: string[] = [];
const wants = (name: string): boolean => options.only === undefined || options.only.includes(name);

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupted = true;
    void bench.close().finally(() => process.exit(130));
  });
}
for (const line of missingForPinning()) bench.say(`missing: ${line}`);
try {
  for (const [name, group] of Object.entries(groups)) {
    const beganMs = performance.now();
    try {
      const made = await group(bench, wants);
      rows.push(...made);
      if (made.length > 0) {
        bench.say(`\n${name}, ${((performance.now() - beganMs) / 1_000).toFixed(0)} s\n${textTable(made)}`);
      }
    } catch (error) {
      if (interrupted) break;
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      bench.say(`\n${name} could not be measured`);
      console.error(error);
    }
  }
} finally {
  await bench.close();
}

const report: Report = {
  at: new Date().toISOString().slice(0, 16).replace('T', ' '),
  machine: describeMachine(),
  loadAtStart,
  quick: options.quick,
  missing: missingForPinning(),
  rows,
  failures,
};
console.log(`\n${report.machine}; load at the start ${loadAtStart.toFixed(1)}\n\n${textTable(rows)}`);
const barred = rows.filter((row) => row.bar !== undefined);
console.log(`\n${barred.filter((row) => row.bar?.met).length} of ${barred.length} bars met`);
for (const failure of failures) console.log(`not measured: ${failure}`);
if (options.json !== undefined) {
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}
if (options['write-docs']) writeTable(join(root, 'docs/performance.md'), report, options.only !== undefined);
process.exitCode = failures.length === 0 ? 0 : 1;
