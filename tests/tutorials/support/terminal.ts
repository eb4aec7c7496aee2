/** A terminal as a reader has it: one shell, in which variables, functions and the folder last from command to command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { plain } from './tutorial.ts';

export interface Ran {
  readonly output: string;
  /** Of its last command that failed; 0 where none did, `null` while it runs. */
  readonly status: number | null;
}

export interface Terminal {
  /** Resolves when it has ended, or as soon as `isDone` says so of what it has printed by then; rejects when that takes too long. */
  run(command: string, isDone?: (output: string) => boolean): Promise<Ran>;
  /** Ctrl-C: resolves when the command has ended, with all that it printed. */
  interrupt(): Promise<Ran>;
  /** Kills whatever runs in it. */
  close(): Promise<void>;
}

export function openTerminal(options: {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
}): Terminal {
  // In a group of its own, so that what it starts ends with it.
  const shell = spawn('bash', ['--noprofile', '--norc'], {
    ...{ cwd: options.cwd, env: options.env, detached: true },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const mark = `done-${randomBytes(8).toString('hex')}`;
  const ending = new RegExp(`\\n${mark} (\\d+)\\n`);
  let output = '';
  let gone = false;
  let look = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    shell.once('close', () => {
      gone = true;
      look();
      resolve();
    });
  });
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      look();
    });
  }
  shell.stdin.on('error', () => undefined);
  // The shell outlives a Ctrl-C, what it runs does not.
  shell.stdin.write("exec 2>&1\ntrap : INT\ntrap 'failed=$?' ERR\n");
  let running = false;
  const kill = (): void => signal(shell, 'SIGKILL');
  process.once('exit', kill);

  function wait(isDone: (output: string) => boolean): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        look = () => undefined;
        act();
      };
      const timer = setTimeout(() => {
        settle(() => reject(new Error(`this took longer than ${options.timeoutMs} ms; so far:\n${plain(output)}`)));
      }, options.timeoutMs);
      look = () => {
        const ended = ending.exec(output);
        if (ended !== null) {
          running = false;
          settle(() => resolve({ output: plain(output.slice(0, ended.index)), status: Number(ended[1]) }));
        } else if (gone) settle(() => reject(new Error(`the shell has ended:\n${plain(output)}`)));
        else if (isDone(plain(output))) settle(() => resolve({ output: plain(output), status: null }));
      };
      look();
    });
  }

  return {
    run(command, isDone = () => false) {
      if (running) throw new Error('this terminal is busy with the command before');
      running = true;
      output = '';
      const report = `last=$?; [ $failed != 0 ] || failed=$last; printf '\\n%s %s\\n' ${mark} $failed`;
      shell.stdin.write(`failed=0\n{\n${command}\n} </dev/null\n${report}\n`);
      return wait(isDone);
    },
    interrupt() {
      if (!running) throw new Error('nothing runs in this terminal');
      signal(shell, 'SIGINT');
      return wait(() => false);
    },
    async close() {
      process.off('exit', kill);
      kill();
      await closed;
    },
  };
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // The whole group has ended.
  }
}
