/**
 * The second step of a login or of a step-up: an `mfa_token` and one second factor become a session.
 *
 * The token opens nothing else, bears five tries and serves once. A recovery code ends every other session with its use, and
 * its owner is told.
 */
import type { TokenAnswer } from '@auth-service/protocol';
import { findUserById, type UserRow } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { Mail } from '../mail/index.ts';
import {
  type Challenge,
  counterKeepSeconds,
  type Mfa,
  type NewChallenge,
  type Proof,
  type Proven,
} from '../mfa/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { CompleteLogin } from './complete.ts';

/** What a first factor gets for an account that has a second. */
export interface MfaRequired {
  readonly kind: 'mfa_required';
  readonly token: string;
  readonly methods: readonly string[];
  readonly expiresIn: number;
}

export type SecondStepOutcome =
  | { readonly kind: 'logged_in'; readonly answer: TokenAnswer; readonly purpose: Challenge['purpose'] }
  | { readonly kind: 'refused'; readonly code: 'mfa_token_invalid' | 'mfa_invalid' }
  | { readonly kind: 'refused'; readonly code: 'account_locked' | 'overloaded'; readonly retryAfterSeconds: number };

export type OptionsOutcome =
  | { readonly kind: 'options'; readonly options: Readonly<Record<string, unknown>> }
  | { readonly kind: 'refused'; readonly code: 'mfa_token_invalid' | 'token_revoked' | 'conflict' };

export interface SecondStep {
  /** After a first factor was proven. */
  require(challenge: NewChallenge, user: UserRow, origin: Origin): Promise<MfaRequired>;
  /** What a browser asks the user's passkeys with. */
  options(token: string): Promise<OptionsOutcome>;
  verify(command: {
    readonly token: string;
    readonly proof: Proof;
    readonly origin: Origin;
  }): Promise<SecondStepOutcome>;
}

export interface SecondStepDeps {
  readonly db: Database;
  readonly audit: Audit;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly mfa: Pick<Mfa, 'factors' | 'challenges' | 'secondFactor' | 'webauthn'>;
  readonly complete: CompleteLogin;
  readonly onLockout: () => void;
}

/** As long as the counter of wrong codes locks. */
const lockedMinutes = String(counterKeepSeconds / 60);
const invalid = { kind: 'refused', code: 'mfa_token_invalid' } as const;

export function createSecondStep(deps: SecondStepDeps): SecondStep {
  const { db, audit, mail, complete } = deps;
  const { factors, challenges, secondFactor, webauthn } = deps.mfa;

  async function begin(challenge: Challenge, proof: Proof, proven: Proven, origin: Origin): Promise<SecondStepOutcome> {
    const done = await complete({
      userId: challenge.userId,
      amr: [...challenge.amr, ...proven.amr],
      acr: 'aal2',
      origin,
      // The token first: a code that it did not serve is not used up.
      async stillHolds(user, tx) {
        if (!(await challenges.consume(tx, challenge, user))) return false;
        if (proven.consume === undefined) return true;
        if (!(await proven.consume(tx))) return false;
        if (proof.kind === 'recovery_code') await tellOfRecoveryCode(tx, user, origin);
        return true;
      },
      ...endsOf(challenge, proof),
    });
    if (done.kind !== 'completed') return invalid;
    return { kind: 'logged_in', answer: done.answer, purpose: challenge.purpose };
  }

  async function tellOfRecoveryCode(tx: Queryable, user: UserRow, origin: Origin): Promise<void> {
    const left = await secondFactor.countRecoveryCodes(tx, user.id);
    const event = { type: 'mfa.recovery_code_used', actor: user.id, target: user.id, outcome: 'success' } as const;
    await audit.append(tx, origin, { ...event, detail: { left } });
    await mail.enqueue(tx, { kind: 'recovery_code_used', to: user.email, values: { left: String(left) }, origin });
  }

  return {
    async require(challenge, user, origin) {
      const methods = await factors.methodsOf(db, user);
      const { token, expiresIn } = await challenges.begin(db, challenge);
      const event = { type: 'authn_mfa_required', actor: user.id, target: user.id, outcome: 'success' } as const;
      await audit.append(db, origin, { ...event, detail: { methods } });
      return { kind: 'mfa_required', token, methods, expiresIn };
    },

    async options(token) {
      const challenge = await challenges.find(db, token);
      if (challenge === undefined) return invalid;
      if (webauthn === null || !(await webauthn.has(db, challenge.userId)))
        return { kind: 'refused', code: 'conflict' };
      return { kind: 'options', options: await webauthn.options(challenge.userId, 'second_factor') };
    },

    async verify({ token, proof, origin }) {
      const challenge = await challenges.find(db, token);
      if (challenge === undefined) return invalid;
      const checked = await secondFactor.check(challenge.userId, proof, 'second_factor', () =>
        challenges.take(db, challenge),
      );
      switch (checked.kind) {
        case 'proven':
          return begin(challenge, proof, checked, origin);
        case 'not_taken':
          return invalid;
        case 'overloaded':
          return { kind: 'refused', code: 'overloaded', retryAfterSeconds: 1 };
        case 'locked':
          await noteWrong(deps, { userId: challenge.userId, method: proof.kind, origin, reason: 'locked' });
          return { kind: 'refused', code: 'account_locked', retryAfterSeconds: checked.retryAfterSeconds };
        case 'wrong': {
          const reason = checked.lockedNow ? 'locked_now' : 'wrong';
          await noteWrong(deps, { userId: challenge.userId, method: proof.kind, origin, reason });
          return { kind: 'refused', code: 'mfa_invalid' };
        }
      }
    },
  };
}

function endsOf(challenge: Challenge, proof: Proof): { ends?: { session: string } | 'everything' } {
  if (proof.kind === 'recovery_code') return { ends: 'everything' };
  return challenge.sessionId === null ? {} : { ends: { session: challenge.sessionId } };
}

/** The event of a wrong second factor; the lock that it may be the last of is told to the owner, once. */
export async function noteWrong(
  deps: Pick<SecondStepDeps, 'db' | 'audit' | 'mail' | 'onLockout'>,
  wrong: {
    readonly userId: string;
    readonly method: string;
    readonly origin: Origin;
    readonly reason: 'wrong' | 'locked' | 'locked_now';
  },
): Promise<void> {
  const { userId, method, origin, reason } = wrong;
  await deps.db.transaction(async (tx) => {
    const outcome = reason === 'locked' ? 'denied' : 'failure';
    const event = { type: 'authn_mfa', actor: userId, target: userId, outcome, detail: { method, reason } } as const;
    await deps.audit.append(tx, origin, event);
    const user = reason === 'locked_now' ? await findUserById(tx, userId) : undefined;
    if (user === undefined) return;
    await deps.mail.enqueue(tx, { kind: 'account_locked', to: user.email, values: { minutes: lockedMinutes }, origin });
  });
  if (reason === 'locked_now') deps.onLockout();
}
