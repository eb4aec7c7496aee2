/** Statements of authenticator apps. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface TotpRow {
  readonly id: string;
  readonly user_id: string;
  readonly secret: Uint8Array;
  readonly last_step: number;
  readonly confirmed_at: Date | null;
}

const columns = 'id, user_id, secret, last_step, confirmed_at';

const findConfirmed = statement<[string], TotpRow>(
  'totp_find_confirmed',
  `select ${columns} from totp_factors where user_id = $1 and confirmed_at is not null`,
);

export function findConfirmedTotp(on: Queryable, userId: string): Promise<TotpRow | undefined> {
  return one(on, findConfirmed, [userId]);
}
