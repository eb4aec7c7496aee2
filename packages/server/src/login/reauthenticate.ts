/**
 * Step-up: whoever holds a session proves again who they are, and a new session takes its place in one transaction. Nothing
 * changes the time, strength or methods of a session that is there.
 *
 * The password alone gives no session of an account with a second factor; it leads to the second step, as a login does.
 */
import type { TokenAnswer } from '@auth-service/protocol';
import { findUserById } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { ProvePassword } from '../lockout/index.ts';
import type { Proof } from '../mfa/index.ts';
import type { Completed, CompleteLogin } from './complete.ts';
import {
  type MfaRequired,
  noteWrong,
  type OptionsOutcome,
  type SecondStep,
  type SecondStepDeps,
} from './second-step.ts';

export interface ReauthenticateCommand {
  readonly userId: string;
  readonly sessionId: string;
  /** Of the acting session. */
  readonly amr: readonly string[];
  readonly proof: { readonly kind: 'password'; readonly password: string } | Proof;
  readonly origin: Origin;
}

export type ReauthenticateOutcome =
  | { readonly kind: 'logged_in'; readonly answer: TokenAnswer }
  | MfaRequired
  | { readonly kind: 'refused'; readonly code: 'token_revoked' | 'invalid_credentials' | 'mfa_invalid' }
  | { readonly kind: 'refused'; readonly code: 'account_locked' | 'overloaded'; readonly retryAfterSeconds: number };

export interface Reauthenticate {
  verify(command: ReauthenticateCommand): Promise<ReauthenticateOutcome>;
  /** What a browser asks the user's passkeys with. */
  options(userId: string): Promise<OptionsOutcome>;
}

export interface ReauthenticateDeps extends SecondStepDeps {
  readonly audit: Audit;
  readonly provePassword: ProvePassword;
  readonly complete: CompleteLogin;
  readonly secondStep: SecondStep;
}

const gone = { kind: 'refused', code: 'token_revoked' } as const;
/** What a second factor adds; what remains of a session's methods is its first. */
const secondMethods = ['otp', 'mfa'];

export function createReauthenticate(deps: ReauthenticateDeps): Reauthenticate {
  const { db, complete, mfa, secondStep } = deps;

  async function withPassword(command: ReauthenticateCommand, password: string): Promise<ReauthenticateOutcome> {
    const { userId, sessionId, origin } = command;
    const user = await findUserById(db, userId);
    if (user === undefined) return gone;
    const proof = await deps.provePassword(user, password, origin);
    if (proof.kind === 'refused') return proof;
    const amr = ['pwd'];
    const done = await complete({
      userId,
      amr,
      acr: 'aal1',
      origin,
      // A login may have hashed the same password anew; another one would have ended device tokens.
      stillHolds: (now) => now.password_hash === user.password_hash || now.device_epoch === user.device_epoch,
      ends: { session: sessionId },
    });
    if (done.kind !== 'second_factor_needed') return outcomeOf(done);
    const purpose = { kind: 'reauthenticate', sessionId } as const;
    return secondStep.require({ user: done.user, purpose, amr }, done.user, origin);
  }

  async function withFactor(command: ReauthenticateCommand, proof: Proof): Promise<ReauthenticateOutcome> {
    const { userId, sessionId, origin } = command;
    const checked = await mfa.secondFactor.check(userId, proof, 'reauthenticate', () => Promise.resolve(true));
    switch (checked.kind) {
      case 'proven':
        return outcomeOf(
          await complete({
            userId,
            // A passkey with user verification is both factors by itself; a code is the second of the session's first.
            amr: proof.kind === 'webauthn' ? checked.amr : [...firstMethods(command.amr), ...checked.amr],
            acr: 'aal2',
            origin,
            stillHolds: (user, tx) => user.mfa_enabled && (checked.consume?.(tx) ?? true),
            ends: { session: sessionId },
          }),
        );
      case 'locked':
        await noteWrong(deps, { userId, method: proof.kind, origin, reason: 'locked' });
        return { kind: 'refused', code: 'account_locked', retryAfterSeconds: checked.retryAfterSeconds };
      case 'overloaded':
        return { kind: 'refused', code: 'overloaded', retryAfterSeconds: 1 };
      case 'not_taken':
      case 'wrong': {
        const reason = checked.kind === 'wrong' && checked.lockedNow ? 'locked_now' : 'wrong';
        await noteWrong(deps, { userId, method: proof.kind, origin, reason });
        return { kind: 'refused', code: 'mfa_invalid' };
      }
    }
  }

  return {
    verify: (command) =>
      command.proof.kind === 'password'
        ? withPassword(command, command.proof.password)
        : withFactor(command, command.proof),
    async options(userId) {
      if (mfa.webauthn === null || !(await mfa.webauthn.has(db, userId))) return { kind: 'refused', code: 'conflict' };
      return { kind: 'options', options: await mfa.webauthn.options(userId, 'reauthenticate') };
    },
  };
}

const firstMethods = (amr: readonly string[]): readonly string[] => amr.filter((one) => !secondMethods.includes(one));

/** A session that has ended meanwhile is replaced by none. */
function outcomeOf(done: Completed): ReauthenticateOutcome {
  return done.kind === 'completed' ? { kind: 'logged_in', answer: done.answer } : gone;
}
