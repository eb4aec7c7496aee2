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
type Filter = (status: Status, roleParameter: string | null) => string;
/** A status stands in the text, so that the small index of those who are not active may be used. */
const filter: Filter = (status, role) =>
  `${status === undefined ? '' : ` and status = '${status}'`}${role === null ? '' : ` and roles @> array[${role}::text]`}`;

/** Newest first. $1: before this id. $2: how many. $3: role. */
const plainText = (status: Status, role: string | null): string =>
  `select ${columns}, 0 as rank, '' as place from users
    where id < $1${filter(status, role)} order by id desc limit $2`;

/** By domain, then age. $1, $2: from and below. $3, $4: after this domain and id. $5: how many. $6: role. */
const domainText = (status: Status, role: string | null): string =>
  `select ${columns}, 0 as rank, ${domain} as place from users
    where ${domain} >= $1 and ${domain} < $2 and (${domain}, id) > ($3, $4)${filter(status, role)}
    order by ${domain}, id limit $5`;

/**
 * Addresses that begin so, then last names, then first names; each account once, in the first of them that holds.
 * $1, $2: from and below. $3, $4, $5: after this rank, place and id. $6: how many. $7: what sorts last. $8: role.
 */
function wordText(status: Status, role: string | null): string {
  const isEmail = `(${email} >= $1 and ${email} < $2)`;
  const isLastName = `(${lastName} >= lower($1) and ${lastName} < lower($1) || $7)`;
  const isFirstName = `(${firstName} >= lower($1) and ${firstName} < lower($1) || $7)`;
  const after = (rank: number, place: string): string =>
    `$3::int <= ${rank} and (${place}, id) > (case when $3::int = ${rank} then $4::text else '' end collate "C",
      case when $3::int = ${rank} then $5::uuid else '00000000-0000-0000-0000-000000000000' end)`;
  const branch = (rank: number, place: string, which: string): string =>
    `(select ${columns}, ${rank} as rank, ${place} as place from users
       where ${which} and ${after(rank, place)}${filter(status, role)} order by ${place}, id limit $6)`;
  return `select * from (
    (select ${columns}, 0 as rank, ${email} as place from users
      where ${isEmail} and $3::int = 0 and ${email} > $4${filter(status, role)} order by ${email} limit $6)
    union all ${branch(1, lastName, `last_name is not null and ${isLastName} and not ${isEmail}`)}
    union all ${branch(2, firstName, `first_name is not null and ${isFirstName} and not ${isEmail} and not coalesce(${isLastName}, false)`)}
  ) found order by rank, place collate "C", id limit $6`;
}

type Listing = Statement<readonly (string | number)[], PlacedUser>;

const statuses = [undefined, 'active', 'disabled'] as const;
const nameOf = (what: string, status: Status, byRole: boolean): string =>
  `users_list_${what}${status === undefined ? '' : `_${status}`}${byRole ? '_of_role' : ''}`;

function variants(what: string, text: (status: Status, role: string | null) => string, roleParameter: string) {
  const made = new Map<string, Listing>();
  for (const status of statuses) {
    for (const byRole of [false, true]) {
      const name = nameOf(what, status, byRole);
      made.set(name, statement(name, text(status, byRole ? roleParameter : null)));
    }
  }
  return ({ status, role }: UserFilters): Listing => {
    const found = made.get(nameOf(what, status, role !== undefined));
    if (found === undefined) throw new Error(`there is a listing of ${what} for every combination of filters`);
    return found;
  };
}

const plain = variants('plain', plainText, '$3');
const byDomain = variants('domain', domainText, '$6');
const byWord = variants('word', wordText, '$8');

const withRole = (filters: UserFilters): readonly string[] => (filters.role === undefined ? [] : [filters.role]);

export const listUsersPlain = (
  on: Queryable,
  filters: UserFilters,
  beforeId: string | undefined,
  limit: number,
): Promise<readonly PlacedUser[]> => on.run(plain(filters), [beforeId ?? lastId, limit, ...withRole(filters)]);

export const listUsersByDomain = (
  on: Queryable,
  filters: UserFilters,
  search: string,
  after: { readonly place: string; readonly id: string },
  limit: number,
): Promise<readonly PlacedUser[]> =>
  on.run(byDomain(filters), [search, search + last, after.place, after.id, limit, ...withRole(filters)]);

export const listUsersByWord = (
  on: Queryable,
  filters: UserFilters,
  search: string,
  after: { readonly rank: number; readonly place: string; readonly id: string },
  limit: number,
): Promise<readonly PlacedUser[]> =>
  on.run(byWord(filters), [
    search,
    search + last,
    after.rank,
    after.place,
    after.id,
    limit,
    last,
    ...withRole(filters),
  ]);
