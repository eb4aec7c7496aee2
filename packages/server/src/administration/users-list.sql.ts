/**
 * Statements that list accounts, a page at a time. Each combination of filters is a statement of its own with its own plan: no
 * `or $1 is null` that keeps an index out. The texts are put together here, once, of constants.
 */
import type { ShownUser } from '../accounts/index.ts';
import { type Queryable, type Statement, statement } from '../platform/database/index.ts';

export interface ListedUser extends ShownUser {
  readonly status: 'active' | 'disabled';
}

/** A row with its place in the order of its list. */
export interface PlacedUser extends ListedUser {
  readonly rank: number;
  readonly place: string;
}

export interface UserFilters {
  readonly status: 'active' | 'disabled' | undefined;
  readonly role: string | undefined;
}

const columns = `id, email, email_verified, first_name, last_name, roles, permissions, status, mfa_enabled, created_at, updated_at,
  last_login_at`;
/** Sorts after every text that begins with what it is put after, in the order of bytes. */
const last = '\u{10ffff}';
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

const email = 'email_key collate "C"';
const domain = `(substr(email_key, position('@' in email_key))) collate "C"`;
const lastName = '(lower(last_name)) collate "C"';
const firstName = '(lower(first_name)) collate "C"';

type Status = UserFilters['status'];
/** Of accounts with any role, with the role that all have, or with another one, which few have. */
type Holders = 'any' | 'all' | 'few';
/** The role that every account is given. */
const roleOfAll = 'user';

interface Which {
  readonly status: Status;
  readonly holders: Holders;
  /** The parameter of the role. */
  readonly role: string;
}

/**
 * Those of a role that few have are looked up by the role, and then looked through: `offset 0` keeps the planner from reading
 * everybody in the order that is asked for until there are enough.
 */
const from = ({ holders, role }: Which): string =>
  holders === 'few' ? `(select * from users where roles @> array[${role}::text] offset 0) users` : 'users';
/** A status stands in the text, so that the small index of those who are not active may be used. */
const filter = ({ status, holders, role }: Which): string =>
  `${status === undefined ? '' : ` and status = '${status}'`}${holders === 'all' ? ` and roles @> array[${role}::text]` : ''}`;

/** Newest first. $1: before this id. $2: how many. $3: role. */
const plainText = (which: Which): string =>
  `select ${columns}, 0 as rank, '' as place from ${from(which)}
    where id < $1${filter(which)} order by id desc limit $2`;

/** By domain, then age. $1, $2: after this domain and id. $3: below. $4: how many. $5: role. */
const domainText = (which: Which): string =>
  `select ${columns}, 0 as rank, ${domain} as place from ${from(which)}
    where (${domain}, id) > ($1, $2) and ${domain} < $3${filter(which)}
    order by ${domain}, id limit $4`;

const isEmail = `(${email} >= $1 and ${email} < $2)`;

/** Addresses that begin so. $1, $2: from and below. $3: after this one. $4: how many. $5: role. */
const emailText = (which: Which): string =>
  `select ${columns}, 0 as rank, ${email} as place from ${from(which)}
    where ${isEmail} and ${email} > $3${filter(which)} order by ${email} limit $4`;

/**
 * Names that begin so, of whom the lists before do not have. $1, $2: from and below. $3, $4: after this name and id; the empty
 * name for the first page. $5: how many. $6: what sorts last. $7: role. One condition says where to begin: of two, the index is
 * read from the looser.
 */
const nameText =
  (rank: number, name: string, more: string) =>
  (which: Which): string =>
    `select ${columns}, ${rank} as rank, ${name} as place from ${from(which)}
      where (${name}, id) > (coalesce(nullif($3, ''), lower($1)), $4) and ${name} < lower($1) || $6
        and not ${isEmail}${more}${filter(which)}
      order by ${name}, id limit $5`;

type Listing = Statement<readonly (string | number)[], PlacedUser>;

const statuses = [undefined, 'active', 'disabled'] as const;
const holdersSuffix: Readonly<Record<Holders, string>> = { any: '', all: '_of_all', few: '_of_role' };
const nameOf = (what: string, status: Status, holders: Holders): string =>
  `users_list_${what}${status === undefined ? '' : `_${status}`}${holdersSuffix[holders]}`;

function variants(what: string, text: (which: Which) => string, role: string): (filters: UserFilters) => Listing {
  const made = new Map<string, Listing>();
  for (const status of statuses) {
    for (const holders of ['any', 'all', 'few'] as const) {
      const name = nameOf(what, status, holders);
      made.set(name, statement(name, text({ status, holders, role })));
    }
  }
  return (filters) => {
    const ofAll = filters.role === roleOfAll ? 'all' : 'few';
    const found = made.get(nameOf(what, filters.status, filters.role === undefined ? 'any' : ofAll));
    if (found === undefined) throw new Error(`there is a listing of ${what} for every combination of filters`);
    return found;
  };
}

const plain = variants('plain', plainText, '$3');
const byDomain = variants('domain', domainText, '$5');
const byEmail = variants('email', emailText, '$5');
const byLastName = variants('last_name', nameText(1, lastName, ' and last_name is not null'), '$7');
const isLastName = `(${lastName} >= lower($1) and ${lastName} < lower($1) || $6)`;
const notLastName = ` and first_name is not null and not coalesce(${isLastName}, false)`;
const byFirstName = variants('first_name', nameText(2, firstName, notLastName), '$7');

const withRole = (filters: UserFilters): readonly string[] => (filters.role === undefined ? [] : [filters.role]);

export const listUsersPlain = (
  on: Queryable,
  filters: UserFilters,
  beforeId: string | undefined,
  limit: number,
): Promise<readonly PlacedUser[]> => on.run(plain(filters), [beforeId ?? lastId, limit, ...withRole(filters)]);

interface After {
  readonly place: string;
  readonly id: string;
}

type ListUsers = (
  on: Queryable,
  filters: UserFilters,
  search: string,
  after: After,
  limit: number,
) => Promise<readonly PlacedUser[]>;

export const listUsersByDomain: ListUsers = (on, filters, search, after, limit) =>
  on.run(byDomain(filters), [after.place || search, after.id, search + last, limit, ...withRole(filters)]);

export const listUsersByEmail: ListUsers = (on, filters, search, after, limit) =>
  on.run(byEmail(filters), [search, search + last, after.place, limit, ...withRole(filters)]);

export const listUsersByLastName: ListUsers = (on, filters, search, after, limit) =>
  on.run(byLastName(filters), [search, search + last, after.place, after.id, limit, last, ...withRole(filters)]);

export const listUsersByFirstName: ListUsers = (on, filters, search, after, limit) =>
  on.run(byFirstName(filters), [search, search + last, after.place, after.id, limit, last, ...withRole(filters)]);
