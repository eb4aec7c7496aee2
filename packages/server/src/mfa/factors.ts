/**
 * Which second factors an account has, and what ends with one of them. Passkeys are factors, too: their room calls these in
 * its own transactions.
 */
import type { Receipt } from '@auth-service/protocol';
import { lockUser, type UserRow, updateMfaEnabled, updateUserEpoch } from '../accounts/index.ts';
import type { Origin } from '../audit/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Pending, Revocation } from '../revocation/index.ts';
import type { Ending, Sessions } from '../sessions/index.ts';
import { hashRecoveryCode, recoveryCodeBytes, writeRecoveryCode } from './recovery-code.rule.ts';
import { countRecoveryCodes, deleteRecoveryCodes, insertRecoveryCodes } from './recovery-codes.sql.ts';
import { deleteTotpOfUser, findConfirmedTotp, totpFailuresMax } from './totp.sql.ts';
import type { WebauthnFactor } from './webauthn.ts';

export type FactorMethod = 'totp' | 'webauthn' | 'recovery_code';

/** Who changes the factors of an account: its owner, with the session of the access token. */
export interface FactorOwner {
  readonly userId: string;
  readonly sessionId: string;
  /** Of the access token. */
  readonly acr: string;
  readonly origin: Origin;
}

export interface Removed {
  readonly ending: Ending;
  readonly pending: Pending;
}

export type Ended = Receipt & { readonly revoked_sessions: number };

export interface Factors {
  /** What may serve as the second factor of a login; empty for an account without one. */
  methodsOf(
    on: Queryable,
    user: { readonly id: string; readonly mfa_enabled: boolean },
  ): Promise<readonly FactorMethod[]>;
  /**
   * First in a transaction that changes factors: locks the user's row. `gone`: the account, or the session, that may have ended
   * since its token was verified. `step_up`: the account has a second factor, and the session was begun without one, so it
   * changes none.
   */
  lock(tx: Queryable, owner: Pick<FactorOwner, 'userId' | 'sessionId' | 'acr'>): Promise<UserRow | 'gone' | 'step_up'>;
  /**
   * In the transaction that adds or removes a factor, on the user's locked row: writes `users.mfa_enabled`, and answers it.
   * Recovery codes go with the last factor.
   */
  settle(tx: Queryable, userId: string): Promise<boolean>;
  /**
   * After a factor was removed or replaced: settles, and ends every other session and every device token. After the commit:
   * `receiptOf`.
   */
  removed(tx: Queryable, owner: Pick<FactorOwner, 'userId' | 'sessionId'>): Promise<Removed>;
  receiptOf(userId: string, removed: Removed): Promise<Ended>;
  /** A new set, in the place of the old. */
  renewRecoveryCodes(tx: Queryable, userId: string): Promise<readonly string[]>;
  /** Takes every factor away, on the user's locked row; what ends with it is the caller's. Answers how many there were. */
  removeAll(tx: Queryable, userId: string): Promise<number>;
  /**
   * In the transaction of a reset by mail: factors stay, but what of them would open the account by itself does not before it was
   * used beside the new password.
   */
  holdBack(tx: Queryable, userId: string): Promise<void>;
}

const recoveryCodes = 10;

export function createFactors(deps: {
  readonly random: Random;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
  readonly webauthn: WebauthnFactor | null;
}): Factors {
  const { random, sessions, revocation } = deps;
  const hasPasskey = (on: Queryable, userId: string): Promise<boolean> =>
    deps.webauthn?.has(on, userId) ?? Promise.resolve(false);

  async function settle(tx: Queryable, userId: string): Promise<boolean> {
    const enabled = (await findConfirmedTotp(tx, userId)) !== undefined || (await hasPasskey(tx, userId));
    await updateMfaEnabled(tx, userId, enabled);
    if (!enabled) await deleteRecoveryCodes(tx, userId);
    return enabled;
  }

  return {
    async methodsOf(on, user) {
      if (!user.mfa_enabled) return [];
      const methods: FactorMethod[] = [];
      const totp = await findConfirmedTotp(on, user.id);
      if (totp !== undefined && totp.failures < totpFailuresMax) methods.push('totp');
      if (await hasPasskey(on, user.id)) methods.push('webauthn');
      if ((await countRecoveryCodes(on, user.id)) > 0) methods.push('recovery_code');
      return methods;
    },

    async lock(tx, { userId, sessionId, acr }) {
      const user = await lockUser(tx, userId);
      if (user === undefined || user.status !== 'active') return 'gone';
      if ((await sessions.ownerOf(tx, sessionId)) !== userId) return 'gone';
      return user.mfa_enabled && acr !== 'aal2' ? 'step_up' : user;
    },

    settle,

    async removed(tx, { userId, sessionId }) {
      await settle(tx, userId);
      await updateUserEpoch(tx, userId, { tokens: false, devices: true });
      const ending = await sessions.endAll(tx, userId, sessionId, 'factor_removed', userId);
      const appended = await revocation.append(tx, ending.entries, { withOthers: true });
      return { ending, pending: appended ?? (await revocation.mark(tx)) };
    },

    async receiptOf(userId, { ending, pending }) {
      sessions.ended(userId, ending.ended, ending.reason);
      const receipt = await revocation.settle(pending, userId);
      return { ...receipt, revoked_sessions: ending.ended.length };
    },

    async renewRecoveryCodes(tx, userId) {
      const codes = Array.from({ length: recoveryCodes }, () => writeRecoveryCode(random.bytes(recoveryCodeBytes)));
      await deleteRecoveryCodes(tx, userId);
      await insertRecoveryCodes(
        tx,
        userId,
        codes.map((code) => hashRecoveryCode(userId, code) ?? impossible()),
      );
      return codes;
    },

    async removeAll(tx, userId) {
      const apps = await deleteTotpOfUser(tx, userId);
      const passkeys = (await deps.webauthn?.removeAll(tx, userId)) ?? 0;
      await deleteRecoveryCodes(tx, userId);
      await updateMfaEnabled(tx, userId, false);
      return apps + passkeys;
    },

    async holdBack(tx, userId) {
      await deps.webauthn?.holdBack(tx, userId);
    },
  };
}

function impossible(): never {
  throw new Error('a code that was just written can be read');
}
