/** What one line of an import says: an account, or why it is refused. Nothing of the line is repeated in a refusal. */
import { canonicalEmail, describeEmailProblem } from '../accounts/index.ts';
import { type FirebaseParameters, readForeignHash } from '../passwords/index.ts';
import { csvFields, type Format } from './import-lines.ts';

export interface ImportedUser {
  readonly email: string;
  readonly emailKey: string;
  readonly emailVerified: boolean;
  readonly passwordHash: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly roles: readonly string[];
  readonly status: 'active' | 'disabled';
  readonly createdAt: Date | null;
}

export interface LineProblem {
  readonly code: string;
  readonly detail: string;
}

export type ReadRecord =
  | { readonly kind: 'user'; readonly user: ImportedUser }
  | ({ readonly kind: 'refused' } & LineProblem);

export const importFields = [
  'email',
  'email_verified',
  'password_hash',
  'password_salt',
  'first_name',
  'last_name',
  'roles',
  'disabled',
  'created_at',
] as const;

type Fields = Readonly<Record<string, unknown>>;

const nameLengthMax = 100;
const rolesMax = 64;
const hashProblems = {
  unknown_format: 'The password hash is of no known format.',
  too_weak: 'The cost of the password hash is too low: it could be searched at leisure.',
  too_costly: 'The cost of the password hash is too high to be checked at a login.',
} as const;

const refused = (code: string, detail: string): { kind: 'refused' } & LineProblem => ({
  kind: 'refused',
  code,
  detail,
});

/** The names of the columns, or why the first line of a CSV file is none. */
export function readHeader(text: string | undefined): readonly string[] | LineProblem {
  const names = text === undefined ? undefined : csvFields(text)?.map((name) => name.trim());
  if (names === undefined) return { code: 'malformed', detail: 'The first line is no header.' };
  const unknown = names.find((name) => !importFields.some((field) => field === name));
  if (unknown !== undefined || new Set(names).size !== names.length || !names.includes('email'))
    return { code: 'malformed', detail: `The first line names the columns, each once, of ${importFields.join(', ')}.` };
  return names;
}

export function readRecord(
  text: string | undefined,
  format: Format,
  header: readonly string[],
  firebase: FirebaseParameters | undefined,
): ReadRecord {
  if (text === undefined) return refused('malformed', 'The line is longer than 64 KiB, or not UTF-8.');
  const fields = format === 'csv' ? csvRecord(text, header) : jsonRecord(text);
  if (fields === undefined) {
    const what = format === 'csv' ? 'The line has not the columns of the header.' : 'The line is no JSON object.';
    return refused('malformed', what);
  }
  const unknown = Object.keys(fields).find((name) => !importFields.some((field) => field === name));
  if (unknown !== undefined) return refused('unknown_field', `The fields are ${importFields.join(', ')}.`);
  return readFields(fields, firebase);
}

function readFields(fields: Fields, firebase: FirebaseParameters | undefined): ReadRecord {
  const address = typeof fields['email'] === 'string' ? canonicalEmail(fields['email']) : undefined;
  if (address === undefined) return refused('invalid_email', 'An e-mail address is needed.');
  if (!address.ok) return refused('invalid_email', describeEmailProblem(address.problem));

  const firstName = nameOf(fields['first_name']);
  const lastName = nameOf(fields['last_name']);
  if (firstName === undefined || lastName === undefined)
    return refused('invalid_name', `A name is a text of at most ${nameLengthMax} characters.`);
  const roles = rolesOf(fields['roles']);
  if (roles === undefined) return refused('invalid_roles', 'Roles are a list of names.');
  const emailVerified = flagOf(fields['email_verified']);
  const disabled = flagOf(fields['disabled']);
  if (emailVerified === undefined || disabled === undefined)
    return refused('invalid_flag', 'email_verified and disabled are true or false.');
  const createdAt = timeOf(fields['created_at']);
  if (createdAt === undefined) return refused('invalid_time', 'created_at is a time of RFC 3339.');

  let passwordHash: string | null = null;
  if (fields['password_hash'] !== undefined && fields['password_hash'] !== null) {
    const salt = fields['password_salt'] ?? undefined;
    if (salt !== undefined && typeof salt !== 'string') return refused('unknown_format', hashProblems.unknown_format);
    const hash = readForeignHash(fields['password_hash'], salt, firebase);
    if (hash.kind === 'refused') return refused(`hash_${hash.problem}`, hashProblems[hash.problem]);
    passwordHash = hash.kind === 'hash' ? hash.encoded : null;
  }
  return {
    kind: 'user',
    user: {
      email: address.email,
      emailKey: address.key,
      emailVerified,
      passwordHash,
      firstName,
      lastName,
      roles,
      status: disabled ? 'disabled' : 'active',
      createdAt,
    },
  };
}

function jsonRecord(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** An empty cell says nothing, as a member that is not there. */
function csvRecord(text: string, header: readonly string[]): Fields | undefined {
  const cells = csvFields(text);
  if (cells?.length !== header.length) return undefined;
  return Object.fromEntries(header.map((name, at) => [name, cells[at]]).filter(([, cell]) => cell !== ''));
}

/** What no text field of the API takes either. */
const controls = /\p{Cc}/u;

function nameOf(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string' || !value.isWellFormed() || controls.test(value)) return undefined;
  return [...value].length <= nameLengthMax ? value : undefined;
}

function rolesOf(value: unknown): readonly string[] | undefined {
  const given: unknown =
    typeof value === 'string' ? value.split(/[\s,;]+/).filter((role) => role !== '') : (value ?? []);
  if (!Array.isArray(given) || given.length > rolesMax) return undefined;
  const names = given.filter((role): role is string => typeof role === 'string' && /^[\w-]{1,64}$/.test(role));
  return names.length === given.length ? [...new Set(['user', ...names])].toSorted() : undefined;
}

function flagOf(value: unknown): boolean | undefined {
  if (value === undefined || value === null || value === false || value === 'false' || value === '0') return false;
  return value === true || value === 'true' || value === '1' ? true : undefined;
}

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

function timeOf(value: unknown): Date | null | undefined {
  if (value === undefined || value === null) return null;
  const time = typeof value === 'string' && rfc3339.test(value) ? new Date(value) : undefined;
  return time !== undefined && time.getTime() >= 0 ? time : undefined;
}
