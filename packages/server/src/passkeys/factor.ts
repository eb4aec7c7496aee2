/** Passkeys as the second factor that `mfa` knows of. */

import { noOrigin } from '../audit/index.ts';
import type { WebauthnFactor } from '../mfa/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { Ceremonies } from './ceremonies.ts';
import { isAssertionResponse } from './ceremony.rule.ts';
import { countPasskeysOf, deletePasskeysOf, updatePasskeysHeldBack, updatePasskeyTrusted } from './passkeys.sql.ts';

export function createWebauthnFactor(deps: { readonly db: Database; readonly ceremonies: Ceremonies }): WebauthnFactor {
  const { db, ceremonies } = deps;
  return {
    has: async (on, userId) => (await countPasskeysOf(on, userId)) > 0,
    removeAll: deletePasskeysOf,
    holdBack: updatePasskeysHeldBack,
    trust: updatePasskeyTrusted,
    options: (userId, purpose) => ceremonies.requestOptions(purpose, userId),
    async verify(userId, purpose, response) {
      if (!isAssertionResponse(response)) return { ok: false };
      const assertion = await ceremonies.assertion(purpose, userId, response);
      if (assertion === undefined) return { ok: false };
      const taken = await db.transaction((tx) => ceremonies.use(tx, assertion, noOrigin));
      if (!taken) return { ok: false };
      const method = assertion.amr.includes('swk') ? 'swk' : 'hwk';
      return { ok: true, method, credentialId: assertion.passkeyId };
    },
  };
}
