/** What the words on the command line ask for, with everything ambient handed in. */

import { join } from 'node:path';
import {
  createOutput,
  exitFailed,
  exitOk,
  exitUsage,
  helpOf,
  parseCommand,
  roomCommands,
  type Terminal,
  usageOf,
} from './cli/index.ts';
import { type Environment, type ReadTextFile, withDotenv } from './platform/config/index.ts';
import type { ChannelPort, WorkerProcess } from './platform/workers/index.ts';
import { describeConfig, describeProblems, loadSettings, type Machine, type SettingsResult } from './settings.ts';
import { version } from './version.ts';

export interface ProgramHost {
  readonly words: readonly string[];
  readonly environment: Environment;
  readonly workingDirectory: string;
  readonly readFile: ReadTextFile;
  readonly terminal: Terminal;
  readonly machine: Machine;
  readonly monotonicMs: () => number;
  /** Since the process began, module loading included. */
  readonly uptimeMs: () => number;
  readonly onSignal: (listener: (signal: string) => void) => void;
  readonly onFailure: (listener: (error: unknown) => void) => void;
  /** Asked for new processes in place of those that run (SIGUSR2). */
  readonly onReplace: (listener: () => void) => void;
  readonly exit: (code: number) => void;
  /** Gives memory that nothing holds back to the system. */
  readonly collectGarbage: () => void;
  /** Starts this program as a worker, with this in its environment besides. */
  readonly fork?: (worker: WorkerPlace, environment: Readonly<Record<string, string>>) => WorkerProcess;
  /** Set in a worker: the way to its primary. */
  readonly parent?: ParentProcess | undefined;
}

export interface WorkerPlace {
  readonly place: number;
  /** How often the worker in this place was started before. */
  readonly restarts: number;
}

export interface ParentProcess extends ChannelPort, WorkerPlace {
  onGone(listener: () => void): void;
}

/** Answers the exit code; for `start`, once the service has ended. */
export async function run(host: ProgramHost): Promise<number> {
  const out = createOutput(host.terminal);
  const [word = 'help', ...rest] = host.words;
  switch (word) {
    case 'help':
    case '--help':
    case '-h':
      return help(host, rest);
    case '--version':
    case '-v':
      out.line(version);
      return exitOk;
    case 'start':
    case 'migrate':
    case 'doctor':
    case 'config':
    case 'openapi':
      return ownCommand(host, word, rest);
    default: {
      const parsed = parseCommand(host.words);
      if (parsed.kind === 'help') {
        out.line(parsed.text);
        return exitOk;
      }
      if (parsed.kind === 'usage') {
        out.error(`${parsed.text}\n\nSee: auth-service help`);
        return exitUsage;
      }
      const settings = settingsOf(host);
      if (settings === undefined) return exitFailed;
      const { runBeside } = await import('./beside.ts');
      return runBeside(host, settings.settings, parsed.parsed);
    }
  }
}

interface OwnCommand {
  readonly summary: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly example: string;
}

/** The commands that are not of a room. */
const ownCommands: Readonly<Record<string, OwnCommand>> = {
  start: { summary: 'Start the service', flags: {}, example: 'auth-service start' },
  migrate: {
    summary: 'Bring the database schema up to date',
    flags: { '--status': 'Only tell what is applied', '--json': 'Print JSON' },
    example: 'auth-service migrate --status',
  },
  doctor: {
    summary: 'Check configuration, database, Redis, clock and permissions, and say what to mend',
    flags: { '--json': 'Print JSON' },
    example: 'auth-service doctor',
  },
  config: {
    summary: 'The configuration in force, secrets masked',
    flags: { '--json': 'Print JSON' },
    example: 'auth-service config --json',
  },
  openapi: { summary: 'The API as an OpenAPI 3.1 document', flags: {}, example: 'auth-service openapi > openapi.json' },
};

async function ownCommand(host: ProgramHost, word: string, flags: readonly string[]): Promise<number> {
  const out = createOutput(host.terminal);
  const spec = ownCommands[word];
  if (flags.includes('--help') || flags.includes('-h')) return help(host, [word]);
  const unknown = flags.find((flag) => !(flag in (spec?.flags ?? {})));
  if (unknown !== undefined) {
    out.error(`unknown argument: ${unknown.slice(0, 80)}\n\nSee: auth-service ${word} --help`);
    return exitUsage;
  }
  const json = flags.includes('--json');
  if (word === 'openapi') {
    const { openapiText } = await import('./openapi-text.ts');
    out.line(openapiText());
    return exitOk;
  }
  const loaded = settingsOf(host);
  if (loaded === undefined) return exitFailed;
  if (word === 'config') {
    if (json) out.line(JSON.stringify({ settings: loaded.effective }));
    else for (const line of describeConfig(loaded.effective)) out.line(line);
    return exitOk;
  }
  if (word === 'start') {
    const warnings = loaded.warnings.map((warning) => describeProblems([warning]).join());
    if (loaded.settings.workers > 1 && host.fork !== undefined) {
      const { runWorkers } = await import('./run-workers.ts');
      return runWorkers(host, loaded.settings, warnings, host.fork);
    }
    const { runService } = await import('./run-service.ts');
    return runService(host, loaded.settings, warnings);
  }
  const { runMigrate, runDoctor } = await import('./maintenance.ts');
  return word === 'migrate'
    ? runMigrate(host, loaded.settings, { json, statusOnly: flags.includes('--status') })
    : runDoctor(host, loaded.settings, { json });
}

/** `undefined` when they are wrong: each problem was printed, a line each. */
function settingsOf(host: ProgramHost): Extract<SettingsResult, { ok: true }> | undefined {
  const out = createOutput(host.terminal);
  const { environment, problems } = withDotenv(host.environment, join(host.workingDirectory, '.env'), host.readFile);
  const loaded: SettingsResult =
    problems.length > 0
      ? { ok: false, problems }
      : loadSettings(environment, { readFile: host.readFile, machine: host.machine });
  if (loaded.ok) return loaded;
  for (const line of describeProblems(loaded.problems)) out.error(line);
  return undefined;
}

function help(host: ProgramHost, words: readonly string[]): number {
  const out = createOutput(host.terminal);
  const spec = ownCommands[words[0] ?? ''];
  if (spec !== undefined) {
    const flags = Object.entries(spec.flags).map(([flag, describe]) => `  ${flag.padEnd(26)}${describe}`);
    const section = flags.length === 0 ? [] : ['', 'flags:', ...flags];
    const lines = [
      `usage: auth-service ${words[0]}`,
      '',
      spec.summary,
      ...section,
      '',
      'example:',
      `  ${spec.example}`,
    ];
    out.line(lines.join('\n'));
    return exitOk;
  }
  const command = roomCommands.find((one) => one.name === words.join(' '));
  if (command !== undefined) {
    out.line(helpOf(command));
    return exitOk;
  }
  const rows = [
    ...Object.entries(ownCommands).map(([name, { summary }]) => [name, summary] as const),
    ...roomCommands.map((one) => [usageOf(one), one.summary] as const),
  ];
  out.line(
    [
      `auth-service ${version}`,
      '',
      'usage: auth-service <command> [arguments] [--json] [--help]',
      '',
      ...rows.map(([usage, summary]) => `  ${usage.padEnd(36)}${summary}`),
      '',
      'Configuration comes from environment variables and a .env file; see: auth-service config',
      'Exit codes: 0 done, 1 failed, 2 wrong usage.',
    ].join('\n'),
  );
  return exitOk;
}
