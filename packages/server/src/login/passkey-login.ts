/**
 * The login by passkey, top to bottom: challenge, credential, signature, one transaction. Nobody says who it is: whether there
 * is such a passkey, whose it is and what was wrong with it are answered alike. A lockout after wrong passwords is no
 * obstacle here.
 */
import type { AssertionResponse, RequestOptions, TokenAnswer } from '@auth-service/protocol';
import { findUserById } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { Ceremonies } from '../passkeys/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { TokenIssuer } from '../tokens/index.ts';
import type { CompleteLogin } from './complete.ts';

export type PasskeyLoginOutcome =
  | { readonly kind: 'logged_in'; readonly answer: TokenAnswer }
  | {
      readonly kind: 'refused';
      readonly code: 'webauthn_failed' | 'account_disabled' | 'email_not_verified';
      readonly detail?: string;
    };

export interface PasskeyLogin {
  options(): Promise<RequestOptions>;
  verify(response: AssertionResponse, origin: Origin): Promise<PasskeyLoginOutcome>;
}

export interface PasskeyLoginDeps {
  readonly db: Database;
  readonly audit: Audit;
  readonly issuer: Pick<TokenIssuer, 'assertReady'>;
  readonly ceremonies: Pick<Ceremonies, 'requestOptions' | 'assertion' | 'use' | 'opensAlone'>;
  readonly complete: CompleteLogin;
  readonly verificationRequired: boolean;
}

/** Told to whoever holds the passkey alone. */
const heldBack =
  'The password was reset since: log in with the new one and this passkey once, then it opens the account by itself again.';

const refused = (code: Extract<PasskeyLoginOutcome, { kind: 'refused' }>['code']): PasskeyLoginOutcome => ({
  kind: 'refused',
  code,
});

export function createPasskeyLogin(deps: PasskeyLoginDeps): PasskeyLogin {
  const { db, audit, ceremonies } = deps;

  async function note(
    origin: Origin,
    userId: string | null,
    outcome: 'failure' | 'denied',
    reason: string,
  ): Promise<void> {
    const event = { type: 'authn_login', actor: userId, target: userId, outcome, detail: { reason } } as const;
    await audit.append(db, origin, event);
  }

  return {
    options: () => ceremonies.requestOptions('login', null),

    async verify(response, origin) {
      // Before the challenge is used up.
      deps.issuer.assertReady();
      const assertion = await ceremonies.assertion('login', null, response);
      const user = assertion === undefined ? undefined : await findUserById(db, assertion.userId);
      if (assertion === undefined || user === undefined) {
        await note(origin, null, 'failure', 'webauthn_failed');
        return refused('webauthn_failed');
      }
      if (user.status === 'disabled') {
        await note(origin, user.id, 'denied', 'disabled');
        return refused('account_disabled');
      }
      if (deps.verificationRequired && !user.email_verified) {
        await note(origin, user.id, 'denied', 'email_not_verified');
        return refused('email_not_verified');
      }
      let isHeldBack = false;
      const done = await deps.complete({
        userId: user.id,
        amr: assertion.amr,
        acr: 'aal2',
        origin,
        // Removed, or its counter used by a copy, since it was looked at.
        async stillHolds(_now, tx) {
          isHeldBack = !(await ceremonies.opensAlone(tx, assertion));
          return !isHeldBack && ceremonies.use(tx, assertion, origin);
        },
      });
      if (done.kind === 'completed') return { kind: 'logged_in', answer: done.answer };
      if (isHeldBack) {
        await note(origin, user.id, 'denied', 'held_back');
        return { kind: 'refused', code: 'webauthn_failed', detail: heldBack };
      }
      await note(origin, user.id, 'failure', 'webauthn_failed');
      return refused('webauthn_failed');
    },
  };
}
