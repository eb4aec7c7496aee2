/** Statements of recovery codes. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

const count = statement<[string], { readonly count: number }>(
  'recovery_codes_count',
  'select count(*) as count from recovery_codes where user_id = $1',
);

export async function countRecoveryCodes(on: Queryable, userId: string): Promise<number> {
  return (await one(on, count, [userId]))?.count ?? 0;
}
