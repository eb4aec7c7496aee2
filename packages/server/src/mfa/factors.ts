/** Which second factors an account has; `users.mfa_enabled` is kept true to it. */
import { updateMfaEnabled } from '../accounts/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import { countRecoveryCodes } from './recovery-codes.sql.ts';
import { findConfirmedTotp } from './totp.sql.ts';
import type { WebauthnFactor } from './webauthn.ts';

export type FactorMethod = 'totp' | 'webauthn' | 'recovery_code';

export interface Factors {
  /** What may serve as the second factor of a login; empty for an account without one. */
  methodsOf(
    on: Queryable,
    user: { readonly id: string; readonly mfa_enabled: boolean },
  ): Promise<readonly FactorMethod[]>;
  /**
   * In the transaction that adds or removes a factor (a passkey is one), after it has locked the user's row: writes
   * `users.mfa_enabled`, and answers it.
   */
  settle(tx: Queryable, userId: string): Promise<boolean>;
}

export function createFactors(deps: { readonly webauthn: WebauthnFactor | null }): Factors {
  const hasPasskey = (on: Queryable, userId: string): Promise<boolean> =>
    deps.webauthn?.has(on, userId) ?? Promise.resolve(false);
  return {
    async methodsOf(on, user) {
      if (!user.mfa_enabled) return [];
      const methods: FactorMethod[] = [];
      if ((await findConfirmedTotp(on, user.id)) !== undefined) methods.push('totp');
      if (await hasPasskey(on, user.id)) methods.push('webauthn');
      if ((await countRecoveryCodes(on, user.id)) > 0) methods.push('recovery_code');
      return methods;
    },
    async settle(tx, userId) {
      const enabled = (await findConfirmedTotp(tx, userId)) !== undefined || (await hasPasskey(tx, userId));
      await updateMfaEnabled(tx, userId, enabled);
      return enabled;
    },
  };
}
