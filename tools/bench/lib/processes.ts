/** Processes seen from outside: what they use of the machine, where they run, and how they are started and ended. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** Linux counts in hundredths of a second wherever it tells user space. */
const ticksPerSecond = 100;

function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // It has ended, or this is not Linux.
  }
}

/** Processor time of all threads of a process, also of those that ended. */
export function cpuSecondsOf(pid: number): number {
  const fields = statOf(pid);
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/**
 * The same of the threads that live now, to the nanosecond. Of a thread that runs, what it has used since its last tick is
 * missing.
 */
export function exactCpuSecondsOf(pid: number): number {
  try {
    const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)[0]),
    );
    return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9;
  } catch {
    return cpuSecondsOf(pid); // A kernel that does not write it up, or a thread that has just ended.
  }
}

/** A process and everything below it. */
export function treeOf(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statOf(Number(name))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree: number[] = [];
  const walk = (pid: number): void => {
    tree.push(pid);
    for (const child of children.get(pid) ?? []) walk(child);
  };
  walk(root);
  return tree;
}

/** Resident memory of a process and everything below it, MiB. */
export function residentMib(root: number): number {
  const kib = treeOf(root).map((pid) => {
    try {
      return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return kib.reduce((sum, one) => sum + one, 0) / 1024;
}

const onPath = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));

/** What keeps the figures from meaning what they should, one line each. */
export function missingForPinning(): readonly string[] {
  return [
    ...(process.platform === 'linux' ? [] : ['this is not Linux: no processor time and no memory of other processes']),
    ...(onPath('taskset') ? [] : ['`taskset` is missing (apt-get install util-linux): nothing is pinned to a core']),
    ...(availableParallelism() >= 2 ? [] : ['one core only: server and generator share it']),
  ];
}

const canPin = missingForPinning().length === 0;

export interface Pinned {
  /** The core to run on; `undefined`: all. */
  readonly core: number | undefined;
}

const pinned = ({ core }: Pinned, words: readonly string[]): readonly [string, ...string[]] => {
  const [program = '', ...rest] = core === undefined || !canPin ? words : ['taskset', '-c', String(core), ...words];
  return [program, ...rest];
};

/** What a script prints, once it has ended well. */
export async function outputOf(script: string, args: readonly string[], where: Pinned): Promise<string> {
  const [program, ...rest] = pinned(where, [process.execPath, script, ...args]);
  const { stdout } = await promisify(execFile)(program, rest, { maxBuffer: 64 * 1024 * 1024, timeout: 300_000 });
  return stdout;
}

/** Node with a script, on one core where that is asked for. */
export function spawnNode(
  script: string,
  args: readonly string[],
  options: Pinned & {
    readonly ipc: boolean;
    readonly env?: NodeJS.ProcessEnv;
    readonly nodeArgs?: readonly string[];
    /** Where its output goes, an open file; ours without it. */
    readonly log?: number;
    readonly cwd?: string;
  },
): ChildProcess {
  const [program, ...rest] = pinned(options, [process.execPath, ...(options.nodeArgs ?? []), script, ...args]);
  const output = options.log ?? 'inherit';
  return spawn(program, rest, {
    stdio: options.ipc ? ['ignore', output, output, 'ipc'] : ['ignore', output, output],
    env: options.env ?? process.env,
    cwd: options.cwd,
  });
}

export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('the process did not start');
  return child.pid;
}

export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const cut = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(cut);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** A child that answers one message after another. */
export interface Peer {
  readonly pid: number;
  ask<T>(message: object): Promise<T>;
  stop(): Promise<void>;
}

export function startPeer(
  script: string,
  args: readonly string[],
  options: Pinned & { readonly nodeArgs?: readonly string[] },
): Peer {
  const child = spawnNode(script, args, { ...options, ipc: true });
  let failed: Error | undefined;
  child.on('error', (error) => {
    failed = error;
  });
  return {
    pid: pidOf(child),
    ask: <T>(message: object) =>
      new Promise<T>((resolve, reject) => {
        if (failed !== undefined || !child.connected) return reject(failed ?? new Error(`${script} has ended`));
        const onExit = (code: number | null): void => {
          child.off('message', onMessage);
          reject(new Error(`${script} ended with code ${code}`));
        };
        const onMessage = (answer: unknown): void => {
          child.off('exit', onExit);
          resolve(answer as T);
        };
        child.once('exit', onExit);
        child.once('message', onMessage);
        child.send(message);
      }),
    stop: () => end(child),
  };
}
