/** Statements of challenges. All times are the database's, so nodes whose clocks differ agree. */
import type { WebauthnPurpose } from '../mfa/index.ts';
import { one, type Queryable, statement } from '../platform/database/index.ts';

/** What a challenge was given for: it is worth nothing for anything else. */
export type Ceremony = 'registration' | 'login' | WebauthnPurpose;

/** Each new challenge takes away some that have expired, so that the table stays small without a sweeper. */
const sweptAtOnce = 4;

const insert = statement<[Uint8Array, string, string | null, number], { swept: number }>(
  'webauthn_challenges_insert',
  `with expired as (
     select challenge_hash from webauthn_challenges where expires_at <= clock_timestamp()
      order by expires_at limit ${sweptAtOnce} for update skip locked),
   swept as (
     delete from webauthn_challenges c using expired e where c.challenge_hash = e.challenge_hash returning 1),
   added as (
     insert into webauthn_challenges (challenge_hash, ceremony, user_id, expires_at)
     values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4)))
   select count(*) as swept from swept`,
);

const consume = statement<[Uint8Array, string, string | null], { ceremony: string }>(
  'webauthn_challenges_consume',
  `delete from webauthn_challenges
    where challenge_hash = $1 and ceremony = $2 and user_id is not distinct from $3 and expires_at > clock_timestamp()
    returning ceremony`,
);

export async function insertChallenge(
  on: Queryable,
  challenge: { hash: Uint8Array; ceremony: Ceremony; userId: string | null; ttlSeconds: number },
): Promise<void> {
  await on.run(insert, [challenge.hash, challenge.ceremony, challenge.userId, challenge.ttlSeconds]);
}

/** Whether it was there, alive and for this: true once. */
export async function consumeChallenge(
  on: Queryable,
  challenge: { hash: Uint8Array; ceremony: Ceremony; userId: string | null },
): Promise<boolean> {
  return (await one(on, consume, [challenge.hash, challenge.ceremony, challenge.userId])) !== undefined;
}
