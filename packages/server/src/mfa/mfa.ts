/** The room's parts, put together. */
import type { RootSecret } from '../keys/index.ts';
import { createLockout } from '../lockout/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Revocation } from '../revocation/index.ts';
import type { Sessions } from '../sessions/index.ts';
import { type Challenges, createChallenges } from './challenges.ts';
import { createEnrolment, type Enrolment, type EnrolmentDeps } from './enrolment.ts';
import { createFactors, type Factors } from './factors.ts';
import { createSecondFactor, type Proof, type SecondFactor, wrongCodes } from './second-factor.ts';
import { deleteExpiredTotp } from './totp.sql.ts';
import type { WebauthnFactor } from './webauthn.ts';

export interface Mfa {
  readonly factors: Factors;
  readonly challenges: Challenges;
  readonly secondFactor: SecondFactor;
  readonly enrolment: Enrolment;
  readonly webauthn: WebauthnFactor | null;
  /** Removes a bounded number of challenges and unconfirmed apps that are out of time, on `on` where that is given. */
  sweep(on?: Queryable): Promise<number>;
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
/** The lockouts table has rows of this room, too. */
export const counterKeepSeconds = wrongCodes.durationSeconds;

export function createMfa(deps: MfaDeps): Mfa {
  const { db, root, webauthn } = deps;
  const factors = createFactors(deps);
  const challenges = createChallenges(deps);
  const lockout = createLockout({ db, hmacKey: root.key('lockout'), ...wrongCodes });
  return {
    factors,
    challenges,
    secondFactor: createSecondFactor({ ...deps, lockout }),
    enrolment: createEnrolment({ ...deps, factors }),
    webauthn,
    async sweep(on = db) {
      return (await challenges.sweep(on)) + (await deleteExpiredTotp(on, sweepRowsMax));
    },
  };
}
