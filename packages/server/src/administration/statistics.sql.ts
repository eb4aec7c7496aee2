/** Statements that count. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface UserCounts {
  readonly total: number;
  readonly disabled: number;
  readonly email_verified: number;
  readonly mfa_enabled: number;
  readonly without_password: number;
}

const countAll = statement<[], UserCounts>(
  'statistics_count_users',
  `select count(*) as total,
          count(*) filter (where status = 'disabled') as disabled,
          count(*) filter (where email_verified) as email_verified,
          count(*) filter (where mfa_enabled) as mfa_enabled,
          count(*) filter (where password_hash is null) as without_password
     from users`,
);

const countRolesText = statement<[], { roles: number }>(
  'statistics_count_roles',
  'select count(*) as roles from roles',
);

export async function countUsersByKind(on: Queryable): Promise<UserCounts> {
  const row = await one(on, countAll, []);
  if (row === undefined) throw new Error('a count always answers a row');
  return row;
}

export async function countRoles(on: Queryable): Promise<number> {
  return (await one(on, countRolesText, []))?.roles ?? 0;
}
