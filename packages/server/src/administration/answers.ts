/** What the routes of this room have in common: who acts, pages, entity tags, refusals. */
import { createHash } from 'node:crypto';
import type { AdminUser, Role } from '@auth-service/protocol';
import type { Actor, Precondition, RoleRow } from '../access/index.ts';
import { type ShownUser, toUser, type UserRow } from '../accounts/index.ts';
import type { Cursors } from '../keys/index.ts';
import { type Refusal, type RequestContext, type RouteAnswer, refusal } from '../platform/http/index.ts';
import { freshAuthenticationSeconds, originOf, type Principal, reauthenticationRequired } from '../sessions/index.ts';
import type { AdminRefusal } from './users.ts';

export const actorOf = (request: RequestContext & { readonly auth: Principal }): Actor => ({
  actor: request.auth.userId,
  userId: request.auth.userId,
  holds: request.auth.claims.permissions,
  authentication:
    request.auth.apiKeyId === null ? { time: request.auth.claims.auth_time, acr: request.auth.claims.acr } : null,
  origin: originOf(request),
});

/** A 422 names the member that is wrong. */
export function refusalOf({ code, detail, pointer }: AdminRefusal): Refusal {
  if (code === 'reauthentication_required') return reauthenticationRequired(freshAuthenticationSeconds, 'aal2');
  if (code !== 'validation_failed') return refusal(code, { detail });
  return refusal(code, { detail, errors: [{ pointer: pointer ?? '', code: 'invalid', detail }] });
}

export const toAdminUser = (row: ShownUser & { readonly status: UserRow['status'] }): AdminUser => ({
  ...toUser(row),
  status: row.status,
});

export const toRole = (row: RoleRow): Role => ({
  name: row.name,
  description: row.description,
  permissions: [...row.permissions],
  built_in: row.built_in,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
});

/** Of what an administrator may change: a login meanwhile is no change. */
export const userTag = (row: UserRow): string => tagOf({ ...toAdminUser(row), last_login_at: null });
export const roleTag = (row: RoleRow): string => tagOf(toRole(row));

/** A strong tag: equal exactly when what is shown is. */
const tagOf = (shown: unknown): string =>
  `"${createHash('sha256').update(JSON.stringify(shown)).digest('base64url').slice(0, 22)}"`;

export const userAnswer = (row: UserRow, status = 200): RouteAnswer => ({
  status,
  body: { user: toAdminUser(row) },
  headers: { ETag: userTag(row), ...(status === 201 ? { Location: `/api/admin/users/${row.id}` } : {}) },
});

export const roleAnswer = (row: RoleRow, status = 200): RouteAnswer => ({
  status,
  body: { role: toRole(row) },
  headers: { ETag: roleTag(row), ...(status === 201 ? { Location: `/api/admin/roles/${row.name}` } : {}) },
});

/** `If-Match` (RFC 9110 section 13.1.1), compared strongly; `undefined` where it was not sent. */
export function preconditionOf<Row>(request: RequestContext, tag: (row: Row) => string): Precondition<Row> | undefined {
  const sent = request.headers['if-match'];
  if (sent === undefined) return undefined;
  if (sent.trim() === '*') return () => true;
  const tags = new Set(sent.split(',').map((one) => one.trim()));
  return (row) => tags.has(tag(row));
}

export interface PageRequest<Row> {
  readonly cursors: Cursors;
  readonly list: string;
  readonly query: { readonly limit?: number; readonly cursor?: string };
  /** What a cursor is good for only together with. */
  readonly filters?: unknown;
  /** At most `limit` rows after `place`. */
  fetch(place: readonly (string | number)[] | undefined, limit: number): Promise<readonly Row[]>;
  placeOf(row: Row): readonly (string | number)[];
  show(row: Row): unknown;
}

const limitDefault = 50;

/** Reads one row more than it answers, to know whether there is a next page. */
export async function answerPage<Row>(page: PageRequest<Row>): Promise<RouteAnswer | Refusal> {
  const { cursors, list, query, filters = {} } = page;
  const limit = query.limit ?? limitDefault;
  const place = query.cursor === undefined ? undefined : cursors.read(list, filters, query.cursor);
  if (query.cursor !== undefined && place === undefined) return notACursor;
  const rows = await page.fetch(place, limit + 1);
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  const next = last === undefined ? null : cursors.write(list, filters, page.placeOf(last));
  return { status: 200, body: { items: shown.map(page.show), next_cursor: next } };
}

const notACursorText = 'This is no cursor of this list with these filters.';
export const notACursor = refusal('validation_failed', {
  errors: [{ pointer: '/cursor', code: 'invalid', detail: notACursorText }],
});

/** A list that is whole by nature. */
export const wholePage = (items: readonly unknown[]): RouteAnswer => ({
  status: 200,
  body: { items, next_cursor: null },
});
