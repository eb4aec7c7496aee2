/**
 * The list of accounts. Without a search the newest come first; a search finds addresses, last names and first names that begin
 * with it, whatever their case, or with `@` in front the domains. A page costs what it shows, however many accounts there are.
 */
import type { Queryable } from '../platform/database/index.ts';
import {
  listUsersByDomain,
  listUsersByEmail,
  listUsersByFirstName,
  listUsersByLastName,
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

/** In the order of their ranks; what one fills the next need not look for. */
const searches = [listUsersByEmail, listUsersByLastName, listUsersByFirstName] as const;

/** At most `limit` accounts after `after`. Those that stay as they are come exactly once, whatever comes and goes meanwhile. */
export async function listUsers(
  on: Queryable,
  query: UsersQuery,
  after: UsersPlace | undefined,
  limit: number,
): Promise<readonly PlacedUser[]> {
  const search = query.search?.trim().normalize('NFC').toLowerCase() ?? '';
  if (search === '') return listUsersPlain(on, query, after?.id, limit);
  const from = after ?? firstPlace;
  if (search.startsWith('@')) return listUsersByDomain(on, query, search, from, limit);
  const found: PlacedUser[] = [];
  for (const [rank, list] of searches.entries()) {
    if (rank < from.rank || found.length === limit) continue;
    found.push(...(await list(on, query, search, rank === from.rank ? from : firstPlace, limit - found.length)));
  }
  return found;
}
