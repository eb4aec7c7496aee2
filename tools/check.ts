/**
 * `npm run check`: everything that can be known about the code without running the service, in seconds.
 *
 * Steps run side by side, one a core. Each prints one line; what failed prints its whole output at the end, and the exit code
 * is 1. `npm run check -- types lint` runs only the steps named.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { root } from './tidy/files.ts';

interface Step {
  readonly name: string;
  /** What to do when it fails. */
  readonly mend: string;
  readonly command: readonly [string, ...string[]];
}

interface Outcome {
  readonly step: Step;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

const stepSecondsMax = 180;
const linesShownMax = 150;
const bin = (name: string): string => `${root}node_modules/.bin/${name}`;
const script = (path: string, ...args: string[]): readonly [string, ...string[]] => [
  process.execPath,
  root + path,
  ...args,
];

/** The slowest first, so that two cores end together. */
const steps: readonly Step[] = [
  {
    name: 'types',
    mend: 'mend the types; `npx tsc -p .` shows them again',
    command: [bin('tsc'), '-p', '.'],
  },
  {
    name: 'dead-code',
    mend: 'remove what nothing uses, or export it only where it is used',
    command: [bin('knip'), '--no-progress', '--no-config-hints'],
  },
  {
    name: 'lint',
    mend: 'mend the promises; a suppression needs its reason on the line',
    command: [bin('oxlint'), '--deny-warnings'],
  },
  {
    name: 'tools',
    mend: 'the checks themselves are broken: run `npm test -- tools`',
    command: [process.execPath, '--test', '--test-reporter=dot', 'tools/**/*.test.ts'],
  },
  {
    name: 'format',
    mend: 'run `npm run format`',
    command: [bin('biome'), 'check', '--error-on-warnings', '--max-diagnostics=100', '.'],
  },
  {
    name: 'generated',
    mend: 'run `npm run generate` and commit what it wrote',
    command: script('tools/generate.ts', '--check'),
  },
  {
    name: 'architecture',
    mend: 'see ARCHITECTURE.md: who may import whom',
    command: script('tools/architecture/check.ts'),
  },
  {
    name: 'lockfile',
    mend: 'see docs/dependencies.md',
    command: script('tools/tidy/lockfile.ts'),
  },
  {
    name: 'tidy',
    mend: 'see STYLE.md',
    command: script('tools/tidy/hygiene.ts'),
  },
];

function run(step: Step): Promise<Outcome> {
  const began = performance.now();
  return new Promise((resolve) => {
    const [program, ...args] = step.command;
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: stepSecondsMax * 1000,
    });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const end = (ok: boolean): void => resolve({ step, ok, seconds: (performance.now() - began) / 1000, output });
    child.on('error', (error) => {
      output += `${program} could not be started: ${error.message}\nIs everything installed? Run \`npm ci\`.\n`;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}

async function runAll(chosen: readonly Step[]): Promise<readonly Outcome[]> {
  const waiting = [...chosen];
  const outcomes: Outcome[] = [];
  const lane = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const outcome = await run(step);
      outcomes.push(outcome);
      console.log(
        `${outcome.ok ? 'ok  ' : 'FAIL'}  ${step.name.padEnd(13)} ${outcome.seconds.toFixed(1).padStart(5)} s`,
      );
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, Math.min(4, availableParallelism())) }, lane));
  return outcomes;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(', ')}; the steps are ${steps.map((step) => step.name).join(', ')}`);
  process.exit(2);
}
const outcomes = await runAll(wanted.length === 0 ? steps : steps.filter((step) => wanted.includes(step.name)));
const failed = outcomes.filter((outcome) => !outcome.ok);
for (const { step, output } of failed) {
  const lines = output.trimEnd().split('\n');
  const more = lines.length - linesShownMax;
  console.log(`\n── ${step.name}: ${step.mend}\n\n${lines.slice(0, linesShownMax).join('\n')}`);
  if (more > 0) console.log(`… and ${more} more lines: ${step.command.join(' ').replaceAll(root, '')}`);
}
console.log(`\n${outcomes.length - failed.length} checks passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
