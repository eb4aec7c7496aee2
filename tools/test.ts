/**
 * `npm test`: every test, or those asked for.
 *
 *   npm test                                        everything
 *   npm test -- packages/guard/src/replica.test.ts  one file; a folder works too
 *   npm test -- --grep "reused refresh token"       tests whose name matches (a regular expression)
 *   npm test -- --coverage                          with line, branch and function coverage
 *
 * Finding no test is a failure. A file that does not end in time is killed and fails. After the run no process that it
 * started may be left: what is left is named, killed, and fails the run. All temporary files live in one folder that goes
 * with the run.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { root } from './tidy/files.ts';

const homes = ['packages', 'tests', 'tools'];
const filesAtOnce = 2;
const testSecondsMax = 240;
const fileSecondsMax = 300;
const secondsToEnd = 3;

function usage(problem: string): never {
  console.error(`${problem}\nusage: npm test -- [file or folder…] [--grep <pattern>] [--coverage]`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { coverage: { type: 'boolean', default: false }, grep: { type: 'string' } },
    });
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

/** Paths relative to the root, sorted. */
function findTests(folder: string): readonly string[] {
  return globSync('**/*.test.ts', { cwd: join(root, folder), exclude: (name) => name === 'node_modules' })
    .map((file) => join(folder, file))
    .toSorted();
}

function selectTests(asked: readonly string[]): readonly string[] {
  const selected = asked.flatMap((path) => {
    const absolute = resolve(path);
    if (!existsSync(absolute)) usage(`${path} does not exist`);
    const inside = relative(root, absolute);
    return statSync(absolute).isDirectory() ? findTests(inside) : [inside];
  });
  return asked.length === 0
    ? homes.filter((home) => existsSync(root + home)).flatMap(findTests)
    : [...new Set(selected)];
}

const fileIn = (folder: string, file: string): string | undefined => {
  try {
    return readFileSync(join(folder, file), 'latin1');
  } catch {
    return undefined; // The process has ended meanwhile, or is not ours to look into.
  }
};

interface Found {
  readonly pid: number;
  readonly command: string;
}

const processes = (): readonly Found[] =>
  (existsSync('/proc/self/environ') ? readdirSync('/proc') : [])
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({
      pid: Number(name),
      command: (fileIn(`/proc/${name}`, 'cmdline') ?? '').replaceAll('\0', ' ').trim(),
    }));

/** Everything that this run started carries its mark in the environment, or its folder in the arguments. */
const leftOver = (mark: string, folder: string): readonly Found[] =>
  processes().filter(
    ({ pid, command }) => command.includes(folder) || (fileIn(`/proc/${pid}`, 'environ') ?? '').includes(mark),
  );

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Node's runner has no deadline for a whole file: one open handle would hold the run for ever. */
function watch(runner: number, ended: AbortSignal): void {
  const seen = new Map<number, number>();
  const look = setInterval(() => {
    const children = (fileIn(`/proc/${runner}/task/${runner}`, 'children') ?? '')
      .split(' ')
      .filter(Boolean)
      .map(Number);
    for (const pid of children) {
      const since = seen.get(pid) ?? Date.now();
      seen.set(pid, since);
      if (Date.now() - since < fileSecondsMax * 1000) continue;
      const file = (fileIn(`/proc/${pid}`, 'cmdline') ?? '').split('\0').find((part) => part.endsWith('.test.ts'));
      console.error(
        `${file ?? pid} did not end within ${fileSecondsMax} s and was killed: is something it opened not closed?`,
      );
      kill(pid);
    }
  }, 1000);
  ended.addEventListener('abort', () => clearInterval(look));
}

function runTests(files: readonly string[], options: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  const args = [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${filesAtOnce}`,
    `--test-timeout=${testSecondsMax * 1000}`,
  ];
  const child = spawn(process.execPath, [...args, ...options, ...files], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env,
  });
  const ended = new AbortController();
  if (child.pid !== undefined) watch(child.pid, ended.signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (code) => {
      ended.abort();
      done(code === 0);
    });
  });
}

async function nothingLeft(mark: string, folder: string): Promise<boolean> {
  for (let waited = 0; waited < secondsToEnd * 10 && leftOver(mark, folder).length > 0; waited += 1) await sleep(100);
  const left = leftOver(mark, folder);
  for (const { pid, command } of left) {
    console.error(`left running by the tests, killed now: ${pid} ${command.slice(0, 200)}`);
    kill(pid);
  }
  return left.length === 0;
}

async function main(): Promise<boolean> {
  const { values, positionals } = readArguments();
  const files = selectTests(positionals);
  if (files.length === 0) usage('no test was found');
  const options = [
    ...(values.grep === undefined ? [] : [`--test-name-pattern=${values.grep}`]),
    ...(values.coverage
      ? [
          '--experimental-test-coverage',
          '--test-coverage-include=packages/*/src/**',
          '--test-coverage-exclude=**/*.test.ts',
        ]
      : []),
  ];
  const folder = mkdtempSync(join(tmpdir(), 'auth-test-'));
  // Database servers of the tests run as another user when the tests run as root.
  chmodSync(folder, 0o1777);
  const mark = `AUTH_SERVICE_TEST_RUN=${randomBytes(8).toString('hex')}`;
  const [name = '', value = ''] = mark.split('=');
  try {
    // Hundreds of processes load the same sources: each is compiled once. What is compiled so has no precise coverage.
    const compiled = values.coverage ? {} : { NODE_COMPILE_CACHE: join(folder, 'compiled') };
    const passed = await runTests(files, options, { ...process.env, ...compiled, TMPDIR: folder, [name]: value });
    return (await nothingLeft(mark, folder)) && passed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (Number(process.versions.node.split('.')[0]) < 24)
  usage(`Node 24 is needed, this is ${process.version}; run \`npm ci\` first`);
process.exitCode = (await main()) ? 0 : 1;
