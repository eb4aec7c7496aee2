/**
 * Where every login ends: what was proven becomes a session, its audit event and the token answer.
 *
 * - No session of an account with a second factor begins below aal2, whichever way somebody came in: the account's row is
 *   read under its lock, in the transaction that begins the session.
 * - What the proof rests on is looked at again under that lock (`stillHolds`), so a password, a factor or a challenge that
 *   was changed or used meanwhile proves nothing.
 * - What the new session replaces ends in the same transaction.
 */
import type { TokenAnswer } from '@auth-service/protocol';
import { findUserById, type UserRow, updateLastLogin, updateUserEpoch } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { RootSecret } from '../keys/index.ts';
import { issueDeviceToken } from '../lockout/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { Ending, Sessions } from '../sessions/index.ts';
import type { TokenIssuer } from '../tokens/index.ts';
import type { Devices } from './devices.ts';

export interface Completion {
  readonly userId: string;
  /** RFC 8176: what was proven. */
  readonly amr: readonly string[];
  readonly acr: 'aal1' | 'aal2';
  readonly origin: Origin;
  /**
   * In the transaction, on the locked row. False: what was proven is not true any more, and nothing begins. What it writes
   * stands with the session; after `false`, too.
   */
  readonly stillHolds: (user: UserRow, tx: Queryable) => boolean | Promise<boolean>;
  /**
   * The session that a step-up replaces, or everything that the user had: sessions, access tokens and device tokens. A session
   * that has ended already is replaced by none.
   */
  readonly ends?: { readonly session: string } | 'everything';
}

export type Completed =
  | { readonly kind: 'completed'; readonly answer: TokenAnswer }
  /** The account has a second factor, and none was proven. */
  | { readonly kind: 'second_factor_needed'; readonly user: UserRow }
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
  readonly devices: Devices;
}

const gone = { kind: 'not_any_more' } as const;

export function createCompleteLogin(deps: CompleteDeps): CompleteLogin {
  const { root, audit, sessions, issuer } = deps;

  /** The user's row as it is after it, and what has ended; `undefined` when there is nothing to replace. */
  async function end(
    tx: Queryable,
    user: UserRow,
    ends: Completion['ends'],
  ): Promise<{ user: UserRow; instead: Ending | undefined } | undefined> {
    if (ends === undefined) return { user, instead: undefined };
    if (ends !== 'everything') {
      const instead = await sessions.endOne(tx, user.id, ends.session, 'reauthenticated');
      return instead && { user, instead };
    }
    const minEpoch = await updateUserEpoch(tx, user.id, { tokens: true, devices: true });
    const now = await findUserById(tx, user.id);
    if (minEpoch === undefined || now === undefined) return undefined;
    const ending = await sessions.endAll(tx, user.id, null, 'recovery_code', user.id);
    const whole = { kind: 'user' as const, subject: user.id, minEpoch, reason: ending.reason, actor: user.id };
    return { user: now, instead: { ...ending, entries: [...ending.entries, whole] } };
  }

  return async ({ userId, amr, acr, origin, stillHolds, ends }) => {
    issuer.assertReady();
    const done = await sessions.begin(async (tx, start) => {
      const proven = await updateLastLogin(tx, userId, acr);
      if (proven === undefined || !(await stillHolds(proven, tx))) return gone;
      if (proven.mfa_enabled && acr !== 'aal2') return { kind: 'second_factor_needed', user: proven } as const;
      const after = await end(tx, proven, ends);
      if (after === undefined) return gone;
      const { user, instead } = after;
      const session = await start({ user, amr, acr, origin, instead });
      const type = ends === undefined || ends === 'everything' ? 'authn_login' : 'authn_reauthenticated';
      await audit.append(tx, origin, {
        ...{ type, actor: user.id, target: session.id, outcome: 'success' as const },
        detail: { amr, acr },
      });
      await deps.devices.note(tx, user, origin);
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
