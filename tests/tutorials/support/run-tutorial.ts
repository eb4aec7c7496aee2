/** Does what a tutorial says, in a fresh folder, and compares what is printed with what it shows. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTerminal, type Terminal } from './terminal.ts';
import { type Entry, matches, parseTutorial, type Step } from './tutorial.ts';

export interface Stage {
  /** Where every terminal begins. */
  readonly folder: string;
  /** Where the files go, below it. */
  readonly project: string;
  readonly env: (terminal: string) => NodeJS.ProcessEnv;
  /** What stands for a line that cannot run here as it is; see `stage.ts`. */
  readonly adapt?: (text: string) => string;
  readonly timeoutMs?: number;
  /** Called at each heading, when everything before it was done: for what a reader does in a browser. */
  readonly atHeading?: (heading: string) => Promise<void>;
}

const pauseMs = 100;

/** Rejects with the line of the tutorial that is not true. */
export async function runTutorial(markdown: string, stage: Stage): Promise<void> {
  const adapt = stage.adapt ?? ((text: string) => text);
  const timeoutMs = stage.timeoutMs ?? 60_000;
  const terminals = new Map<string, Terminal>();
  const terminal = (name: string): Terminal => {
    const opened = terminals.get(name) ?? openTerminal({ cwd: stage.folder, env: stage.env(name), timeoutMs });
    terminals.set(name, opened);
    return opened;
  };

  async function carryOut(step: Step): Promise<void> {
    if (step.kind === 'heading') {
      await at(step.line, async () => stage.atHeading?.(step.text));
    } else if (step.kind === 'file') {
      const path = join(stage.folder, stage.project, step.path);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, adapt(step.text));
    } else if (step.kind === 'commands') {
      const { status, output } = await at(step.line, () => terminal(step.terminal).run(adapt(step.text)));
      if (status !== 0) throw new Error(`line ${step.line}: a command ended with status ${status}:\n${output}`);
    } else {
      for (const entry of step.entries) await at(entry.line, () => play(entry, step));
    }
  }

  async function play(entry: Entry, step: Extract<Step, { kind: 'transcript' }>): Promise<void> {
    const shell = terminal(step.terminal);
    const prints = entry.prints.map(adapt);
    if (entry.command === null) {
      await shell.interrupt();
      return;
    }
    const until = performance.now() + timeoutMs;
    for (;;) {
      const isDone = (output: string): boolean => prints.length > 0 && matches(prints, output, { begins: true });
      const ran = await shell.run(adapt(entry.command), step.terminal === '' ? undefined : isDone);
      if (ran.status === null) return;
      const good = ran.status === 0 && matches(prints, ran.output);
      if (good) return;
      if (!step.eventually || performance.now() > until) {
        const shown = `$ ${entry.command}\n${prints.join('\n')}`;
        throw new Error(
          `the tutorial shows\n${shown}\nbut this ended with status ${ran.status} and printed\n${ran.output.slice(0, 3_000)}`,
        );
      }
      await sleep(pauseMs);
    }
  }

  try {
    for (const step of parseTutorial(markdown)) await carryOut(step);
  } finally {
    await Promise.all([...terminals.values()].map((opened) => opened.close()));
  }
}

async function at<T>(line: number, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new Error(`line ${line}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
