/**
 * The list of accounts. Without a search the newest come first; a search finds addresses, last names and first names that begin
 * with it, whatever their case, or with `@` in front the domains. A page costs what it shows, however many accounts there are.
 */
import type { Queryable } from '../platform/database/index.ts';
import {
  listUsersByDomain,
  listUsersByWord,
  listUsersPlain,
  type PlacedUser,
  type UserFilters,
} from './users-list.sql.ts';

export type { ListedUser, PlacedUser } from './users-list.sql.ts';

export interface UsersQuery extends UserFilters {
  readonly search: string | undefined;
}

/** Where a page ends. */
export interface UsersPlace {
  readonly rank: number;
  readonly place: string;
  readonly id: string;
}

const firstPlace: UsersPlace = { rank: 0, place: '', id: '00000000-0000-0000-0000-000000000000' };

export const placeOf = ({ rank, place, id }: PlacedUser): UsersPlace => ({ rank, place, id });

/** At most `limit` accounts after `after`. Those that stay as they are come exactly once, whatever comes and goes meanwhile. */
export function listUsers(
  on: Queryable,
  query: UsersQuery,
  after: UsersPlace | undefined,
  limit: number,
): Promise<readonly PlacedUser[]> {
  const search = query.search?.trim().normalize('NFC').toLowerCase() ?? '';
  if (search === '') return listUsersPlain(on, query, after?.id, limit);
  return search.startsWith('@')
    ? listUsersByDomain(on, query, search, after ?? firstPlace, limit)
    : listUsersByWord(on, query, search, after ?? firstPlace, limit);
}
