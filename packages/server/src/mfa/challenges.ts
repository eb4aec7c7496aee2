/**
 * Challenges: the `mfa_token` of somebody who has proven a first factor. It opens nothing but the second step of what it was
 * given for; it lives five minutes, bears five tries, serves once, and ends with whatever ends the user's device tokens.
 */
import { createHash } from 'node:crypto';
import type { Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import {
  type ChallengeRow,
  consumeChallenge,
  deleteExpiredChallenges,
  findChallenge,
  insertChallenge,
  updateChallengeAttempts,
} from './challenges.sql.ts';

export interface NewChallenge {
  readonly user: { readonly id: string; readonly device_epoch: number };
  /** `sessionId`: of the session that a step-up replaces. */
  readonly purpose: { readonly kind: 'login' } | { readonly kind: 'reauthenticate'; readonly sessionId: string };
  /** What was proven first (RFC 8176). */
  readonly amr: readonly string[];
}

export interface Challenge {
  readonly userId: string;
  readonly purpose: ChallengeRow['purpose'];
  /** The session that it replaces. */
  readonly sessionId: string | null;
  readonly amr: readonly string[];
  readonly hash: Uint8Array;
}

export interface Challenges {
  begin(on: Queryable, challenge: NewChallenge): Promise<{ readonly token: string; readonly expiresIn: number }>;
  /** `undefined` for whatever is no live token of ours. */
  find(on: Queryable, token: string): Promise<Challenge | undefined>;
  /** Takes one of its tries; false when there is none left. */
  take(on: Queryable, challenge: Challenge): Promise<boolean>;
  /** In the transaction that begins the session, on the user's locked row; true once. */
  consume(tx: Queryable, challenge: Challenge, user: { readonly device_epoch: number }): Promise<boolean>;
  sweep(on: Queryable): Promise<number>;
}

const prefix = 'mfa_';
const tokenBytes = 32;
const tokenLength = prefix.length + Math.ceil((tokenBytes * 4) / 3);
const lifeSeconds = 300;
const attemptsMax = 5;
const sweepRowsMax = 1_000;

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export function createChallenges({ random }: { readonly random: Random }): Challenges {
  return {
    async begin(on, { user, purpose, amr }) {
      const token = prefix + random.bytes(tokenBytes).toString('base64url');
      const row: ChallengeRow = {
        hash: hashOf(token),
        user_id: user.id,
        purpose: purpose.kind,
        session_id: purpose.kind === 'reauthenticate' ? purpose.sessionId : null,
        amr,
        device_epoch: user.device_epoch,
      };
      await insertChallenge(on, row, lifeSeconds);
      return { token, expiresIn: lifeSeconds };
    },
    async find(on, token) {
      if (token.length !== tokenLength || !token.startsWith(prefix)) return undefined;
      const row = await findChallenge(on, hashOf(token), attemptsMax);
      return (
        row && { userId: row.user_id, purpose: row.purpose, sessionId: row.session_id, amr: row.amr, hash: row.hash }
      );
    },
    take: (on, { hash }) => updateChallengeAttempts(on, hash, attemptsMax),
    consume: (tx, { hash }, user) => consumeChallenge(tx, hash, user.device_epoch),
    sweep: (on) => deleteExpiredChallenges(on, sweepRowsMax),
  };
}
