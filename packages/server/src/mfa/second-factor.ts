/**
 * The check of a second factor.
 *
 * - A code of an app works once: its time step is consumed by compare-and-set.
 * - Wrong codes are counted for the account, whichever challenge, app or recovery code they were meant for: after ten within
 *   fifteen minutes nothing is right any more. The counter is not the password's. A right code of the app clears it, a recovery
 *   code does not.
 * - After a hundred wrong codes in a row, over any time, an app is worth nothing until it is replaced; other factors go on.
 * - Passkeys cannot be guessed: a wrong assertion uses up a try of its challenge, and is not counted for the account.
 */
import type { RootSecret } from '../keys/index.ts';
import type { Lockout } from '../lockout/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { hashRecoveryCode } from './recovery-code.rule.ts';
import { consumeRecoveryCode, countRecoveryCodes, findRecoveryCode } from './recovery-codes.sql.ts';
import { stepOf } from './totp.rule.ts';
import { consumeTotpStep, findConfirmedTotp, type TotpRow, updateTotpFailures, updateTotpSecret } from './totp.sql.ts';
import type { WebauthnFactor, WebauthnPurpose } from './webauthn.ts';

export type Proof =
  | { readonly kind: 'totp'; readonly code: string }
  | { readonly kind: 'recovery_code'; readonly code: string }
  | { readonly kind: 'webauthn'; readonly response: unknown };

export interface Proven {
  readonly kind: 'proven';
  /** RFC 8176: what this factor adds. */
  readonly amr: readonly string[];
  /** In the transaction that it serves. Of a recovery code, which is used up; of a passkey: false when it is gone. */
  readonly consume: ((tx: Queryable) => Promise<boolean>) | undefined;
}

export type Checked =
  | Proven
  | { readonly kind: 'wrong'; readonly lockedNow: boolean }
  /** `take` answered false. */
  | { readonly kind: 'not_taken' }
  | { readonly kind: 'locked'; readonly retryAfterSeconds: number }
  | { readonly kind: 'overloaded' };

export interface SecondFactor {
  /** `take`: asked before anything is looked at, once the account's counter lets the try through. */
  check(userId: string, proof: Proof, purpose: WebauthnPurpose, take: () => Promise<boolean>): Promise<Checked>;
  /** Recovery codes that are left. */
  countRecoveryCodes(on: Queryable, userId: string): Promise<number>;
}

/** A row of the lockouts table like any other; no address is spelled like it. */
const counterOf = (userId: string): string => `second-factor:${userId}`;
export const wrongCodes = { maxAttempts: 10, durationSeconds: 900 } as const;

export const sealContext = (userId: string, factorId: string): string => `totp/${userId}/${factorId}`;

export function createSecondFactor(deps: {
  readonly db: Queryable;
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly lockout: Pick<Lockout, 'attempt'>;
  readonly webauthn: WebauthnFactor | null;
  readonly onChecked: (method: Proof['kind'], result: 'success' | 'failure') => void;
}): SecondFactor {
  const { db, root, clock, lockout, webauthn } = deps;

  async function totp(userId: string, code: string): Promise<Proven | undefined> {
    const row = await findConfirmedTotp(db, userId);
    const opened = row && root.open('mfa-secrets', sealContext(userId, row.id), row.secret);
    if (row === undefined || opened === undefined) return undefined;
    const step = stepOf(opened.plain, code, clock.wallMs());
    if (step === undefined || !(await consumeTotpStep(db, row.id, step))) {
      await updateTotpFailures(db, row.id);
      return undefined;
    }
    if (!opened.current) await reseal(userId, row, opened.plain);
    return { kind: 'proven', amr: ['otp', 'mfa'], consume: undefined };
  }

  /** Under the root secret of today: so the previous one can go. */
  async function reseal(userId: string, row: TotpRow, plain: Uint8Array): Promise<void> {
    const sealed = root.seal('mfa-secrets', sealContext(userId, row.id), plain);
    await updateTotpSecret(db, row.id, row.secret, sealed);
  }

  async function recoveryCode(userId: string, code: string): Promise<Proven | undefined> {
    const hash = hashRecoveryCode(userId, code);
    if (hash === undefined || !(await findRecoveryCode(db, userId, hash))) return undefined;
    return { kind: 'proven', amr: ['otp', 'mfa'], consume: (tx) => consumeRecoveryCode(tx, userId, hash) };
  }

  async function passkey(
    userId: string,
    response: unknown,
    purpose: WebauthnPurpose,
    take: () => Promise<boolean>,
  ): Promise<Checked> {
    if (!(await take())) return { kind: 'not_taken' };
    const verified = await webauthn?.verify(userId, purpose, response);
    if (verified?.ok !== true) return { kind: 'wrong', lockedNow: false };
    return { kind: 'proven', amr: [verified.method, 'user', 'mfa'], consume: (tx) => trust(tx, verified.credentialId) };
  }

  const trust = (tx: Queryable, credentialId: string): Promise<boolean> =>
    webauthn?.trust(tx, credentialId) ?? Promise.resolve(false);

  async function counted(
    userId: string,
    proof: Exclude<Proof, { kind: 'webauthn' }>,
    take: () => Promise<boolean>,
  ): Promise<Checked> {
    // What is right without being a guess's success, or no try at all, leaves the counter as it is.
    let aside: Checked | undefined;
    const attempt = await lockout.attempt(counterOf(userId), undefined, async () => {
      if (!(await take())) {
        aside = { kind: 'not_taken' };
        return { undecided: aside };
      }
      if (proof.kind === 'totp') {
        const proven = await totp(userId, proof.code);
        return { ok: proven !== undefined, value: proven };
      }
      aside = await recoveryCode(userId, proof.code);
      return aside === undefined ? { ok: false, value: undefined } : { undecided: aside };
    });
    switch (attempt.kind) {
      case 'succeeded':
        return attempt.value ?? { kind: 'wrong', lockedNow: false };
      case 'failed':
        return { kind: 'wrong', lockedNow: attempt.lockedNow };
      case 'locked':
        return attempt;
      case 'undecided':
        return aside ?? { kind: 'overloaded' };
    }
  }

  return {
    async check(userId, proof, purpose, take) {
      const checked =
        proof.kind === 'webauthn'
          ? await passkey(userId, proof.response, purpose, take)
          : await counted(userId, proof, take);
      deps.onChecked(proof.kind, checked.kind === 'proven' ? 'success' : 'failure');
      return checked;
    },
    countRecoveryCodes,
  };
}
