/** Statements of challenges: what is between a first factor and a second. */
import { one, type Queryable, statement } from '../platform/database/index.ts';

export interface ChallengeRow {
  readonly hash: Uint8Array;
  readonly user_id: string;
  readonly purpose: 'login' | 'reauthenticate';
  /** The session that the step-up replaces. */
  readonly session_id: string | null;
  /** What was proven first. */
  readonly amr: readonly string[];
  readonly device_epoch: number;
}

const columns = 'c.hash, c.user_id, c.purpose, c.session_id, c.amr, c.device_epoch';

const insert = statement<
  [Uint8Array, string, string, string | null, readonly string[], number, number],
  { hash: Uint8Array }
>(
  'mfa_challenges_insert',
  `insert into mfa_challenges (hash, user_id, purpose, session_id, amr, device_epoch, expires_at)
   values ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7)) returning hash`,
);

/** Live: in time, not tried out, and nothing has happened to the account that ends it. */
const find = statement<[Uint8Array, number], ChallengeRow>(
  'mfa_challenges_find',
  `select ${columns} from mfa_challenges c
     join users u on u.id = c.user_id and u.status = 'active' and u.device_epoch = c.device_epoch
    where c.hash = $1 and c.attempts < $2 and c.expires_at > clock_timestamp()`,
);

const updateAttempts = statement<[Uint8Array, number], { attempts: number }>(
  'mfa_challenges_update_attempts',
  `update mfa_challenges set attempts = attempts + 1
    where hash = $1 and attempts < $2 and expires_at > clock_timestamp() returning attempts`,
);

const consume = statement<[Uint8Array, number], ChallengeRow>(
  'mfa_challenges_consume',
  `delete from mfa_challenges c
    where c.hash = $1 and c.device_epoch = $2 and c.expires_at > clock_timestamp() returning ${columns}`,
);

const deleteExpired = statement<[number], { readonly count: number }>(
  'mfa_challenges_delete_expired',
  `with gone as (
     delete from mfa_challenges where hash in (
       select hash from mfa_challenges where expires_at <= clock_timestamp()
        order by expires_at limit $1 for update skip locked)
     returning 1)
   select count(*) as count from gone`,
);

export async function insertChallenge(on: Queryable, row: ChallengeRow, lifeSeconds: number): Promise<void> {
  const { hash, user_id: userId, purpose, session_id: sessionId, amr, device_epoch: deviceEpoch } = row;
  await one(on, insert, [hash, userId, purpose, sessionId, amr, deviceEpoch, lifeSeconds]);
}

export function findChallenge(on: Queryable, hash: Uint8Array, attemptsMax: number): Promise<ChallengeRow | undefined> {
  return one(on, find, [hash, attemptsMax]);
}

/** Counted before the try, so no number of parallel ones gets more of them. False: there was none left. */
export async function updateChallengeAttempts(on: Queryable, hash: Uint8Array, attemptsMax: number): Promise<boolean> {
  return (await one(on, updateAttempts, [hash, attemptsMax])) !== undefined;
}

/** On the user's locked row, whose `deviceEpoch` it must be of. Of any number at once one is true. */
export async function consumeChallenge(on: Queryable, hash: Uint8Array, deviceEpoch: number): Promise<boolean> {
  return (await one(on, consume, [hash, deviceEpoch])) !== undefined;
}

export async function deleteExpiredChallenges(on: Queryable, limit: number): Promise<number> {
  return (await one(on, deleteExpired, [limit]))?.count ?? 0;
}
