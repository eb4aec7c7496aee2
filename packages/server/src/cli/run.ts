/** Finds the command that the words name, reads its flags, runs it. Wrong usage is exit code 2 and says how it goes. */
import { parseArgs } from 'node:util';
import { type Command, type CommandOutput, type CommandRooms, exitFailed, type FlagSpec } from './command.ts';
import { auditCommands, keysCommands, migrationCommands, rolesCommands } from './other.commands.ts';
import { usersCommands } from './users.commands.ts';

export const roomCommands: readonly Command[] = [
  ...usersCommands,
  ...rolesCommands,
  ...keysCommands,
  ...auditCommands,
  ...migrationCommands,
];

export interface ParsedCommand {
  readonly command: Command;
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly json: boolean;
}

export type Parsed =
  | { readonly kind: 'command'; readonly parsed: ParsedCommand }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'usage'; readonly text: string };

/**
 * The name of a key is base64url, so one in 64 begins with a dash. The only flag of one dash is `-h`, and no flag is as
 * long as such a name, unless its value stands behind a `=`: what begins with a dash and is neither is a value.
 */
const dashed = /^-(?:[^-].|[\w-]{42}$)/s;
const mark = '\0';
const marked = (word: string): string => (dashed.test(word) ? mark + word : word);
const unmarked = <T>(value: T): T | string =>
  typeof value === 'string' && value.startsWith(mark) ? value.slice(mark.length) : value;

export function parseCommand(words: readonly string[]): Parsed {
  const name = roomCommands.find(
    (command) => command.name === words.slice(0, command.name.split(' ').length).join(' '),
  )?.name;
  const command = roomCommands.find((one) => one.name === name);
  if (command === undefined) return unknownCommand(words);
  const rest = words.slice(command.name.split(' ').length);
  const options = Object.fromEntries(
    Object.entries(command.flags).map(([flag, spec]) => [flag, { type: spec.type, multiple: spec.multiple ?? false }]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: rest.map(marked),
      options: { ...options, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    if (values['help'] === true) return { kind: 'help', text: helpOf(command) };
    if (positionals.length !== command.positionals.length) {
      const missing = command.positionals[positionals.length];
      const problem =
        missing === undefined ? `too many arguments: ${unmarked(positionals.at(-1))}` : `${missing} is missing`;
      return { kind: 'usage', text: `${problem}\n\n${helpOf(command)}` };
    }
    const flags = Object.fromEntries(
      Object.entries(values).map(([flag, value]) => [
        flag,
        Array.isArray(value) ? value.map(unmarked) : unmarked(value),
      ]),
    ) as ParsedCommand['flags'];
    const args = positionals.map(unmarked);
    return { kind: 'command', parsed: { command, args, flags, json: values['json'] === true } };
  } catch (error) {
    const problem = error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : 'wrong usage';
    return { kind: 'usage', text: `${problem}\n\n${helpOf(command)}` };
  }
}

function unknownCommand(words: readonly string[]): Parsed {
  const [group = ''] = words;
  const inGroup = roomCommands.filter((command) => command.name.startsWith(`${group} `));
  if (inGroup.length === 0) return { kind: 'usage', text: `unknown command: ${words.join(' ').slice(0, 80)}` };
  const lines = inGroup.map((command) => `  auth-service ${usageOf(command)}\n      ${command.summary}`);
  const text = `${group}:\n${lines.join('\n')}`;
  const asked = words[1] === '--help' || words[1] === '-h';
  return asked ? { kind: 'help', text } : { kind: 'usage', text };
}

export const usageOf = (command: Command): string =>
  [command.name, ...command.positionals.map((one) => `<${one}>`)].join(' ');

export function helpOf(command: Command): string {
  const common: Readonly<Record<string, FlagSpec>> = { json: { type: 'boolean', describe: 'Print JSON' } };
  const flags = Object.entries({ ...command.flags, ...common }).map(
    ([flag, spec]) => `  --${flag}${spec.type === 'string' ? ' VALUE' : ''}`.padEnd(28) + spec.describe,
  );
  return [
    `usage: auth-service ${usageOf(command)} [flags]`,
    '',
    command.summary,
    '',
    'flags:',
    ...flags,
    '',
    'examples:',
    ...command.examples.map((example) => `  ${example}`),
  ].join('\n');
}

export async function runCommand(
  parsed: ParsedCommand,
  asked: { readonly secret: string | null; readonly cwd: string },
  rooms: CommandRooms,
  out: CommandOutput,
  onFailure: (error: unknown) => string,
): Promise<number> {
  try {
    return await parsed.command.run({
      args: parsed.args,
      flags: parsed.flags,
      json: parsed.json,
      out,
      rooms,
      ...asked,
    });
  } catch (error) {
    out.error(onFailure(error));
    return exitFailed;
  }
}
