/**
 * Accounts from another system, from a stream of NDJSON or CSV, with the password hashes that they had there.
 *
 * - A line is an account or a refusal with its reason; an account that exists is never touched.
 * - A batch is one transaction with its events and with how far the file has come. So an import that was killed goes on where it
 *   stood, and one that ran through does nothing when it is asked for again.
 * - Bounded memory: one batch, one line of at most 64 KiB. (A rehearsal also keeps what it needs to find an address twice.)
 */
import { createHash } from 'node:crypto';
import { type Actor, claimsTooLarge, findRolesForGrant, permissionsOf, type RoleRow } from '../access/index.ts';
import { insertUsers, listTakenEmailKeys } from '../accounts/index.ts';
import type { Audit } from '../audit/index.ts';
import type { FirebaseParameters } from '../passwords/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { type Format, type RawRecord, records } from './import-lines.ts';
import { type ImportedUser, type LineProblem, readHeader, readRecord } from './import-record.ts';
import {
  deleteImport,
  findImport,
  type ImportRow,
  insertImport,
  type RefusedLine,
  updateImportProgress,
} from './imports.sql.ts';

export interface ImportSource {
  /** SHA-256 of all that is in it: by this an import is known again. */
  readonly digest: string;
  readonly bytes: number;
  readonly format: Format;
  /** Its octets from this one on. */
  open(fromByte: number): AsyncIterable<Uint8Array>;
}

export interface ImportOptions {
  readonly source: ImportSource;
  readonly firebase?: FirebaseParameters | undefined;
  /** Looks at every line and changes nothing. */
  readonly rehearse?: boolean;
  /** From the first line on, whatever was done before. */
  readonly restart?: boolean;
  readonly by: Actor;
  readonly onProgress?: (bytes: number, ofBytes: number) => void;
  /** Told first of all where it goes on from: later refusals are still to come. */
  readonly onResume?: (lines: number, lastRefused: readonly RefusedLine[]) => void;
  /** The refused lines of a batch that stands. */
  readonly onRefused?: (lines: readonly RefusedLine[]) => void;
}

export interface ImportSummary {
  /** Accounts and refused lines, of all runs over this file. */
  readonly created: number;
  readonly refused: number;
  /** It had run through before, and nothing was done. */
  readonly wasDone: boolean;
  /** Accounts of this run whose hash another system made: renewed at their first login. */
  readonly foreignHashes: number;
}

export type ImportOutcome =
  | { readonly kind: 'done'; readonly value: ImportSummary }
  | { readonly kind: 'refused'; readonly detail: string };

export type ImportUsers = (options: ImportOptions) => Promise<ImportOutcome>;

interface Line {
  readonly line: number;
  readonly user: ImportedUser;
}

interface Batch {
  readonly lines: readonly Line[];
  readonly refused: readonly RefusedLine[];
  readonly toByte: number;
  readonly toLine: number;
}

interface Done {
  readonly created: number;
  readonly foreign: number;
  readonly refused: readonly RefusedLine[];
}

const batchLines = 500;
/** Addresses of a rehearsal, as 48 bits of a hash each: some 80 MiB at most. */
const rememberedMax = 1_000_000;

const taken: LineProblem = { code: 'address_taken', detail: 'An account with this address exists.' };

/** Somebody else moved this import on: our batch must not stand. */
class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

export function createImport(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
}): ImportUsers {
  const { db, clock, random, audit } = deps;

  async function begin({ source, rehearse, restart, by }: ImportOptions): Promise<ImportRow> {
    if (rehearse === true) return nothingDone;
    return db.transaction(async (tx) => {
      if (restart === true) await deleteImport(tx, source.digest);
      const begun = await insertImport(tx, source.digest);
      if (begun === undefined) return (await findImport(tx, source.digest)) ?? nothingDone;
      const detail = { bytes: source.bytes };
      const event = {
        type: 'users.import_started',
        actor: by.actor,
        target: source.digest,
        outcome: 'success',
      } as const;
      await audit.append(tx, by.origin, { ...event, detail });
      return begun;
    });
  }

  /** The accounts of a batch, its events, and where the file stands: all or nothing. */
  function commit(options: ImportOptions, batch: Batch, fromByte: number, isLast: boolean): Promise<Done> {
    const { source, by } = options;
    return db.transaction(async (tx) => {
      const { fine, refused } = await withKnownRoles(tx, batch);
      const rows = fine.map(({ line, user }) => ({ line, user, id: random.uuidv7(clock.wallMs()) }));
      const made =
        rows.length === 0
          ? new Set<string>()
          : await insertUsers(
              tx,
              rows.map(({ id, user }) => rowOf(id, user)),
            );
      const created = rows.filter(({ id }) => made.has(id));
      const doubles = rows.filter(({ id }) => !made.has(id)).map(({ line }) => ({ line, ...taken }));
      const allRefused = [...refused, ...doubles].toSorted((a, b) => a.line - b.line);
      const imported = created.map(({ id, user }) => ({
        type: 'user.imported',
        actor: by.actor,
        target: id,
        outcome: 'success' as const,
        detail: { import: source.digest, roles: user.roles },
      }));
      const end = {
        type: 'users.import_finished',
        actor: by.actor,
        target: source.digest,
        outcome: 'success' as const,
      };
      await audit.appendAll(tx, by.origin, isLast ? [...imported, end] : imported);
      const step = {
        fromByte,
        toByte: batch.toByte,
        toLine: batch.toLine,
        created: created.length,
        refused: allRefused,
      };
      if (!(await updateImportProgress(tx, source.digest, { ...step, isLast }))) throw new Overtaken();
      const foreign = created.filter(({ user }) => user.passwordHash?.startsWith('$bcrypt-sha256$') === false).length;
      return { created: created.length, foreign, refused: allRefused };
    });
  }

  return async (options) => {
    const { source } = options;
    const before = await begin(options);
    let { created, refused } = before;
    let foreignHashes = 0;
    const summary = (wasDone: boolean): ImportOutcome => ({
      kind: 'done',
      value: { created, refused, wasDone, foreignHashes },
    });
    options.onResume?.(before.lines_done, before.last_refused);
    if (before.finished_at !== null) return summary(true);

    const start = await startOf(source, before);
    if (!('header' in start)) return { kind: 'refused', detail: start.detail };
    const rehearsed = createRehearsal(db);
    let fromByte = before.bytes_done;
    try {
      for await (const batch of batches(source, start, options.firebase)) {
        const isLast = batch.toByte >= source.bytes;
        const done =
          options.rehearse === true ? await rehearsed(batch) : await commit(options, batch, fromByte, isLast);
        fromByte = batch.toByte;
        created += done.created;
        foreignHashes += done.foreign;
        refused += done.refused.length;
        if (done.refused.length > 0) options.onRefused?.(done.refused);
        options.onProgress?.(batch.toByte, source.bytes);
      }
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
      return { kind: 'refused', detail: 'Another import of this file is at work.' };
    }
    return summary(false);
  };
}

const nothingDone: ImportRow = {
  bytes_done: 0,
  lines_done: 0,
  created: 0,
  refused: 0,
  last_refused: [],
  finished_at: null,
};

interface Start {
  readonly byte: number;
  readonly line: number;
  readonly header: readonly string[];
}

/** Where to read on; in CSV the first line is read again for the names of the columns. */
async function startOf(source: ImportSource, before: ImportRow): Promise<Start | LineProblem> {
  const resumed = { byte: before.bytes_done, line: before.lines_done + 1 };
  if (source.format === 'ndjson') return { ...resumed, header: [] };
  for await (const first of records(source.open(0), 'csv', { byte: 0, line: 1 })) {
    const header = readHeader(first.text);
    if (!isHeader(header)) return header;
    return before.bytes_done > 0 ? { ...resumed, header } : { byte: first.nextByte, line: first.nextLine, header };
  }
  return { code: 'malformed', detail: 'The file is empty.' };
}

const isHeader = (header: readonly string[] | LineProblem): header is readonly string[] => Array.isArray(header);

/** At least one, so that an empty rest ends its import as well. */
async function* batches(
  source: ImportSource,
  start: Start,
  firebase: FirebaseParameters | undefined,
): AsyncGenerator<Batch> {
  let lines: Line[] = [];
  let refused: RefusedLine[] = [];
  let last: Pick<RawRecord, 'nextByte' | 'nextLine'> = { nextByte: start.byte, nextLine: start.line };
  const take = (): Batch => {
    const batch = { lines, refused, toByte: last.nextByte, toLine: last.nextLine - 1 };
    lines = [];
    refused = [];
    return batch;
  };
  for await (const record of records(source.open(start.byte), source.format, start)) {
    last = record;
    if (record.text === '') continue;
    const read = readRecord(record.text, source.format, start.header, firebase);
    if (read.kind === 'user') lines.push({ line: record.line, user: read.user });
    else refused.push({ line: record.line, code: read.code, detail: read.detail });
    // What ends the file is kept for the end: only then is it known to be the last.
    if (lines.length + refused.length >= batchLines && record.nextByte < source.bytes) yield take();
  }
  yield { ...take(), toByte: source.bytes };
}

/** Held until the transaction ends: a role may not go or grow between this look and the accounts that hold it. */
async function withKnownRoles(tx: Queryable, batch: Batch): Promise<{ fine: readonly Line[]; refused: RefusedLine[] }> {
  const names = [...new Set(batch.lines.flatMap(({ user }) => user.roles))];
  const known = names.length === 0 ? [] : await findRolesForGrant(tx, names);
  const problems = new Map<string, LineProblem | null>();
  const refused = [...batch.refused];
  const fine = batch.lines.filter(({ line, user }) => {
    const key = user.roles.join(' ');
    let problem = problems.get(key);
    if (problem === undefined) {
      problem = rolesProblem(user.roles, known);
      problems.set(key, problem);
    }
    if (problem !== null) refused.push({ line, ...problem });
    return problem === null;
  });
  return { fine, refused };
}

function rolesProblem(wanted: readonly string[], known: readonly RoleRow[]): LineProblem | null {
  const held = known.filter((role) => wanted.includes(role.name));
  if (held.length < wanted.length) return { code: 'unknown_role', detail: 'There is no role of this name.' };
  return claimsTooLarge(wanted, permissionsOf(held))
    ? { code: 'claims_too_large', detail: 'Roles and permissions would not fit into a token.' }
    : null;
}

/** What an import would do, without doing it. */
function createRehearsal(db: Database): (batch: Batch) => Promise<Done> {
  const seen = new Set<number>();
  return async (batch) => {
    const { fine, refused } = await db.transaction((tx) => withKnownRoles(tx, batch));
    const held = await listTakenEmailKeys(
      db,
      fine.map(({ user }) => user.emailKey),
    );
    const created = fine.filter(({ line, user }) => {
      const mark = createHash('sha256').update(user.emailKey).digest().readUIntBE(0, 6);
      const isTaken = held.has(user.emailKey) || seen.has(mark);
      if (isTaken) refused.push({ line, ...taken });
      else if (seen.size < rememberedMax) seen.add(mark);
      return !isTaken;
    });
    return { created: created.length, foreign: 0, refused: refused.toSorted((a, b) => a.line - b.line) };
  };
}

const rowOf = (id: string, user: ImportedUser) => ({
  id,
  email: user.email,
  email_key: user.emailKey,
  email_verified: user.emailVerified,
  password_hash: user.passwordHash,
  first_name: user.firstName,
  last_name: user.lastName,
  roles: user.roles,
  status: user.status,
  created_at: user.createdAt,
});
