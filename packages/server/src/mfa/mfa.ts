/** The room's parts, put together. */
import type { RootSecret } from '../keys/index.ts';
import { createLockout } from '../lockout/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Revocation } from '../revocation/index.ts';
import type { Sessions } from '../sessions/index.ts';
import { type Challenges, createChallenges } from './challenges.ts';
import { createEnrolment, type Enrolment, type EnrolmentDeps } from './enrolment.ts';
import { createFactors, type Factors } from './factors.ts';
import { createSecondFactor, type Proof, type SecondFactor, sealContext, wrongCodes } from './second-factor.ts';
import { deleteExpiredTotp, listSealedTotp, updateTotpSecret } from './totp.sql.ts';
import type { WebauthnFactor } from './webauthn.ts';

export interface Mfa {
  readonly factors: Factors;
  readonly challenges: Challenges;
  readonly secondFactor: SecondFactor;
  readonly enrolment: Enrolment;
  readonly webauthn: WebauthnFactor | null;
  /** Removes a bounded number of challenges and unconfirmed apps that are out of time, on `on` where that is given. */
  sweep(on?: Queryable): Promise<number>;
  /**
   * While the root secret is being changed: seals a bounded number of apps anew, from where it ended before, so that also those
   * that nobody uses open when the previous secret is gone. Answers how many were.
   */
  reseal(on?: Queryable): Promise<number>;
}

export interface MfaDeps extends Omit<EnrolmentDeps, 'factors'> {
  readonly root: RootSecret;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
  /** `null` where there are no passkeys. */
  readonly webauthn: WebauthnFactor | null;
  readonly onChecked: (method: Proof['kind'], result: 'success' | 'failure') => void;
}

const sweepRowsMax = 1_000;
const resealRowsMax = 5_000;
const firstId = '00000000-0000-0000-0000-000000000000';
/** The lockouts table has rows of this room, too. */
export const counterKeepSeconds = wrongCodes.durationSeconds;

export function createMfa(deps: MfaDeps): Mfa {
  const { db, root, webauthn } = deps;
  const factors = createFactors(deps);
  const challenges = createChallenges(deps);
  const lockout = createLockout({ db, hmacKey: root.key('lockout'), ...wrongCodes });
  let resealedUpTo = firstId;
  return {
    factors,
    challenges,
    secondFactor: createSecondFactor({ ...deps, lockout }),
    enrolment: createEnrolment({ ...deps, factors }),
    webauthn,
    async sweep(on = db) {
      return (await challenges.sweep(on)) + (await deleteExpiredTotp(on, sweepRowsMax));
    },
    async reseal(on = db) {
      if (!root.hasPrevious) return 0;
      const rows = await listSealedTotp(on, resealedUpTo, resealRowsMax);
      let resealed = 0;
      for (const row of rows) {
        const context = sealContext(row.user_id, row.id);
        const opened = root.open('mfa-secrets', context, row.secret);
        if (opened === undefined || opened.current) continue;
        const sealed = root.seal('mfa-secrets', context, opened.plain);
        if (await updateTotpSecret(on, row.id, row.secret, sealed)) resealed += 1;
      }
      // From the beginning again after the end: nodes that do not have the new secret yet go on sealing under the old one.
      resealedUpTo = rows.length < resealRowsMax ? firstId : (rows.at(-1)?.id ?? firstId);
      return resealed;
    },
  };
}
