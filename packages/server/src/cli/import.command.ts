/** auth-service users import: the file, the bar and the report; what an import is stands in `administration/import.ts`. */
import { createHash } from 'node:crypto';
import { appendFileSync, createReadStream, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { commandLine, type ImportSource, type RefusedLine } from '../administration/index.ts';
import type { FirebaseParameters } from '../passwords/index.ts';
import { type Command, type CommandContext, exitFailed, exitOk, exitUsage, printable } from './command.ts';

const ownFileMode = 0o600;

export const importCommand: Command = {
  name: 'users import',
  summary: 'Create accounts from a file of another system, with their password hashes (docs/operations/import.md)',
  positionals: ['FILE'],
  flags: {
    format: { type: 'string', describe: 'ndjson or csv; by default what the name of the file says' },
    'dry-run': { type: 'boolean', describe: 'Look at every line and change nothing' },
    report: { type: 'string', describe: 'Where refused lines are told (FILE.refused.ndjson)' },
    restart: { type: 'boolean', describe: 'From the first line on; an import goes on where it stood otherwise' },
    'firebase-signer-key-file': { type: 'string', describe: "A file with base64_signer_key of Firebase's project" },
    'firebase-salt-separator': { type: 'string', describe: 'base64_salt_separator (Bw==)' },
    'firebase-rounds': { type: 'string', describe: 'rounds (8)' },
    'firebase-mem-cost': { type: 'string', describe: 'mem_cost (14)' },
  },
  examples: [
    'auth-service users import users.ndjson --dry-run',
    'auth-service users import users.csv --report refused.ndjson',
    'auth-service users import firebase.ndjson --firebase-signer-key-file key.txt',
  ],
  async run(context) {
    const { args, flags, out, rooms, json, cwd } = context;
    const path = resolve(cwd, args[0] ?? '');
    const format = text(flags['format']) ?? (path.endsWith('.csv') ? 'csv' : 'ndjson');
    if (format !== 'ndjson' && format !== 'csv') return misuse(context, '--format is ndjson or csv');
    const firebase = firebaseOf(context);
    if (typeof firebase === 'string') return misuse(context, firebase);
    if (!existsSync(path) || !statSync(path).isFile()) {
      out.error(`${printable(path)} is no file that can be read here`);
      return exitFailed;
    }
    const source = await sourceOf(context, path, format);
    const rehearse = flags['dry-run'] === true;
    const report = createReport(resolve(cwd, text(flags['report']) ?? `${path}.refused.ndjson`));
    const result = await rooms.importUsers({
      source,
      firebase,
      rehearse,
      restart: flags['restart'] === true,
      by: commandLine,
      onProgress: (done, total) => out.progress('importing', done, total),
      onResume: report.resume,
      onRefused: report.append,
    });
    if (result.kind === 'refused') {
      out.error(printable(result.detail));
      return exitFailed;
    }
    const { created, refused, wasDone, foreignHashes } = result.value;
    if (json) {
      out.line(
        JSON.stringify({ ...counts(result.value), dry_run: rehearse, report: refused > 0 ? report.path : null }),
      );
    } else {
      if (wasDone) out.line('this file was imported before; nothing was done (--restart begins anew)');
      out.line(`${created} accounts ${rehearse ? 'would be created' : 'created'}, ${refused} lines refused`);
      if (refused > 0) out.line(`refused lines: ${printable(report.path)}`);
      if (foreignHashes > 0) out.line(timingNote(foreignHashes));
    }
    return refused > 0 ? exitFailed : exitOk;
  },
};

const timingNote = (hashes: number): string =>
  `${hashes} accounts have a hash of another kind until their first login; until then a wrong password for them takes another ` +
  'time than for unknown addresses';

const counts = (value: { created: number; refused: number; wasDone: boolean; foreignHashes: number }) => ({
  created: value.created,
  refused: value.refused,
  was_done: value.wasDone,
  foreign_hashes: value.foreignHashes,
});

async function sourceOf({ out }: CommandContext, path: string, format: ImportSource['format']): Promise<ImportSource> {
  const { size } = statSync(path);
  const hash = createHash('sha256').update(`${format}\0`);
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    out.progress('reading', bytes, size);
  }
  const open = (fromByte: number): AsyncIterable<Buffer> => createReadStream(path, { start: fromByte, end: bytes - 1 });
  return { digest: hash.digest('hex'), bytes, format, open: (from) => (from < bytes ? open(from) : nothing()) };
}

async function* nothing(): AsyncGenerator<Buffer> {}

/** One line of JSON for each refused line of the file: its number and why, and nothing of what it says. */
function createReport(path: string) {
  return {
    path,
    /** Takes out what a killed run told and did not commit, and adds what it committed and did not tell. */
    resume(linesDone: number, lastRefused: readonly RefusedLine[]): void {
      if (!existsSync(path) && lastRefused.length === 0) return;
      const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
      const told = lines.map(readLine).filter((one) => one !== undefined && one.line <= linesDone) as RefusedLine[];
      const known = new Set(told.map((one) => one.line));
      const all = [...told, ...lastRefused.filter((one) => !known.has(one.line))];
      writeFileSync(path, all.map(written).join(''), { mode: ownFileMode });
    },
    append(refused: readonly RefusedLine[]): void {
      appendFileSync(path, refused.map(written).join(''), { mode: ownFileMode });
    },
  };
}

const written = ({ line, code, detail }: RefusedLine): string => `${JSON.stringify({ line, code, detail })}\n`;

function readLine(line: string): RefusedLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'line' in value ? (value as RefusedLine) : undefined;
  } catch {
    return undefined;
  }
}

/** A text says what is wrong. */
function firebaseOf({ flags, cwd }: CommandContext): FirebaseParameters | string | undefined {
  const file = text(flags['firebase-signer-key-file']);
  if (file === undefined) return undefined;
  const path = resolve(cwd, file);
  if (!existsSync(path)) return `${path} does not exist`;
  const signerKey = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64');
  const rounds = Number(text(flags['firebase-rounds']) ?? '8');
  const memoryCost = Number(text(flags['firebase-mem-cost']) ?? '14');
  if (signerKey.length < 16) return '--firebase-signer-key-file holds no base64 key';
  if (!Number.isInteger(rounds) || rounds < 1) return '--firebase-rounds is a whole number from 1 up';
  if (!Number.isInteger(memoryCost) || memoryCost < 1) return '--firebase-mem-cost is a whole number from 1 up';
  const saltSeparator = Buffer.from(text(flags['firebase-salt-separator']) ?? 'Bw==', 'base64');
  return { signerKey, saltSeparator, rounds, memoryCost };
}

const text = (value: CommandContext['flags'][string]): string | undefined =>
  typeof value === 'string' ? value : undefined;

function misuse({ out }: CommandContext, detail: string): number {
  out.error(printable(detail));
  return exitUsage;
}
