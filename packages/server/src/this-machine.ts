/** What the defaults of the settings depend on, of the machine that this runs on. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { describeProblems, loadSettings, type Machine, type Settings } from './settings.ts';

const suffixBytes = 3;

export const thisMachine = (options: { readonly isTerminal: boolean }): Machine => ({
  hostName: hostname(),
  suffix: randomBytes(suffixBytes).toString('hex'),
  cores: availableParallelism(),
  isTerminal: options.isTerminal,
});

export const readTextFile = (path: string): string => readFileSync(path, 'utf8');

/** Thrown by `readSettings`: one line per problem. */
export class SettingsInvalid extends Error {
  override readonly name = 'SettingsInvalid';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * The settings of a service in a host application, from variables of the names that the service itself reads
 * (`docs/reference/configuration.md`). Throws `SettingsInvalid` with every problem.
 */
export function readSettings(variables: Readonly<Record<string, string | undefined>>): Settings {
  const machine = thisMachine({ isTerminal: false });
  const loaded = loadSettings(variables, { readFile: readTextFile, machine });
  if (!loaded.ok) throw new SettingsInvalid(describeProblems(loaded.problems));
  return loaded.settings;
}
