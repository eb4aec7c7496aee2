/** Programs of this repository in processes of their own, which end with their test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Program {
  readonly pid: number;
  /** What it has printed so far, line by line. */
  readonly lines: readonly string[];
  readonly errors: () => string;
  /** Resolves with the first line that fits, past or future; rejects when the program ends without one. */
  line(fits: (line: string) => boolean): Promise<string>;
  kill(signal: NodeJS.Signals): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Runs a `.ts` file of ours in Node. */
export function startProgram(file: URL, args: readonly string[]): Program {
  const child = spawn(process.execPath, [file.pathname, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  const lines: string[] = [];
  let errors = '';
  const waiting = new Set<{
    fits: (line: string) => boolean;
    resolve: (line: string) => void;
    reject: (e: Error) => void;
  }>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    for (const waiter of waiting) {
      if (!waiter.fits(line)) continue;
      waiting.delete(waiter);
      waiter.resolve(line);
    }
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      children.delete(child);
      for (const waiter of waiting) waiter.reject(new Error(`the program ended (${code ?? signal}): ${errors}`));
      resolve({ code, signal });
    });
  });
  return {
    pid: child.pid ?? 0,
    lines,
    errors: () => errors,
    line: (fits) => {
      const past = lines.find(fits);
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve, reject) => waiting.add({ fits, resolve, reject }));
    },
    kill: (signal) => {
      child.kill(signal);
      return ended;
    },
    ended,
  };
}
