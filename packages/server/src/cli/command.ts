/** What one command of the command line is, and what it may use. */
import type { Access } from '../access/index.ts';
import type { ImportUsers, KeyAdministration, Users } from '../administration/index.ts';
import type { Audit } from '../audit/index.ts';
import type { MigrationStatus } from '../platform/database/index.ts';
import type { ExportUser } from '../profile/index.ts';
import type { Revocation } from '../revocation/index.ts';

export const exitOk = 0;
export const exitFailed = 1;
export const exitUsage = 2;

/** The rooms that commands work with; the running service has the same, so a command runs beside or inside it. */
export interface CommandRooms {
  readonly users: Users;
  readonly importUsers: ImportUsers;
  readonly exportUser: ExportUser;
  readonly access: Access;
  readonly keyAdministration: KeyAdministration;
  readonly audit: Audit;
  readonly revocation: Revocation;
  migrations(): Promise<readonly MigrationStatus[]>;
}

export interface CommandOutput {
  /** One line on standard output. */
  line(text: string): void;
  /** One line on standard error. */
  error(text: string): void;
  /** When the lines have been taken, but for a few: asked between parts of what may be endless. */
  flush(): Promise<void>;
  /** Long work tells how far it is. */
  progress(label: string, done: number, total: number): void;
}

export interface CommandContext {
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly json: boolean;
  readonly out: CommandOutput;
  /** The working directory of who asks: names of files go by it. */
  readonly cwd: string;
  readonly rooms: CommandRooms;
  /** What the caller typed or piped where the command asked for a secret. */
  readonly secret: string | null;
}

export interface FlagSpec {
  readonly type: 'string' | 'boolean';
  readonly multiple?: boolean;
  readonly describe: string;
}

export interface Command {
  /** One or two words, as typed. */
  readonly name: string;
  readonly summary: string;
  /** Positional arguments, for the usage line, e.g. `EMAIL|ID`. */
  readonly positionals: readonly string[];
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly examples: readonly string[];
  /** Asks for a password: from `--password-file`, from standard input, or made up with `--generate`. */
  readonly secret?: 'new-password';
  run(context: CommandContext): Promise<number>;
}

/** A table for people, aligned by columns. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Text of others on a terminal: no control characters, no escape sequences. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
