/**
 * Where every login ends: what was proven becomes a session, its audit event and the token answer.
 *
 * - No session of an account with a second factor begins below aal2, whichever way somebody came in: the account's row is
 *   read under its lock, in the transaction that begins the session.
 * - What the proof rests on is looked at again under that lock (`stillHolds`), so a password, a factor or a challenge that
 *   was changed or used meanwhile proves nothing.
 */
import type { TokenAnswer } from '@auth-service/protocol';
import { type UserRow, updateLastLogin } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { RootSecret } from '../keys/index.ts';
import { issueDeviceToken } from '../lockout/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { Sessions } from '../sessions/index.ts';
import type { TokenIssuer } from '../tokens/index.ts';

export interface Completion {
  readonly userId: string;
  /** RFC 8176: what was proven now. */
  readonly amr: readonly string[];
  readonly acr: 'aal1' | 'aal2';
  readonly origin: Origin;
  /** In the transaction, on the locked row. False: what was proven is not true any more, and nothing begins. */
  readonly stillHolds: (user: UserRow, tx: Queryable) => boolean | Promise<boolean>;
}

export type Completed =
  | { readonly kind: 'completed'; readonly answer: TokenAnswer }
  /** The account has a second factor, and none was proven. */
  | { readonly kind: 'second_factor_needed' }
  /** Disabled, deleted, or changed since it was proven. */
  | { readonly kind: 'not_any_more' };

export type CompleteLogin = (completion: Completion) => Promise<Completed>;

export interface CompleteDeps {
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly sessions: Sessions;
  readonly issuer: TokenIssuer;
}

export function createCompleteLogin(deps: CompleteDeps): CompleteLogin {
  const { root, audit, sessions, issuer } = deps;
  return async ({ userId, amr, acr, origin, stillHolds }) => {
    issuer.assertReady();
    const done = await sessions.begin(async (tx, start) => {
      const user = await updateLastLogin(tx, userId);
      if (user === undefined || !(await stillHolds(user, tx))) return { kind: 'not_any_more' } as const;
      if (user.mfa_enabled && acr !== 'aal2') return { kind: 'second_factor_needed' } as const;
      const session = await start({ user, amr, acr, origin });
      await audit.append(tx, origin, {
        type: 'authn_login',
        actor: user.id,
        target: session.id,
        outcome: 'success',
        detail: { amr },
      });
      return { kind: 'completed', user, session } as const;
    });
    if (done.kind !== 'completed') return done;
    const { user } = done;
    const deviceToken = issueDeviceToken({
      key: root.key('device-tokens'),
      userId: user.id,
      deviceEpoch: user.device_epoch,
      random: deps.random,
      now: deps.clock.wallMs(),
    });
    return { kind: 'completed', answer: { ...issuer.issue(done), device_token: deviceToken } };
  };
}
