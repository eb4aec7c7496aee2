/** Ends everything of a user: sessions with their refresh tokens, access tokens, device tokens. */
import type { Receipt } from '@auth-service/protocol';
import { updateUserEpoch } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { Revocation } from '../revocation/index.ts';
import type { EndReason, Sessions } from '../sessions/index.ts';

export type RevokeAll = (
  userId: string,
  options: { keep: string | null; reason: EndReason; actor: string; origin: Origin },
) => Promise<(Receipt & { revoked_sessions: number }) | undefined>;

export function createRevokeAll(deps: {
  readonly db: Database;
  readonly audit: Audit;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
}): RevokeAll {
  const { db, audit, sessions, revocation } = deps;
  return async (userId, options) => {
    const done = await db.transaction(async (tx) => {
      // The user's row is locked first: a login under way ends before it, and is ended, or begins after it.
      const all = options.keep === null;
      const epoch = await updateUserEpoch(tx, userId, { tokens: all, devices: true });
      if (epoch === undefined) return undefined;
      const { ended, entries } = await sessions.endAll(tx, userId, options.keep, options.reason, options.actor);
      const whole = {
        kind: 'user' as const,
        subject: userId,
        minEpoch: epoch,
        reason: options.reason,
        actor: options.actor,
      };
      // One that keeps a session answers for all others, also for those that somebody else has just ended.
      const appended = await revocation.append(tx, all ? [...entries, whole] : entries, { withOthers: !all });
      const pending = appended ?? (await revocation.mark(tx));
      await audit.append(tx, options.origin, {
        type: 'session.revoked_all',
        actor: options.actor,
        target: userId,
        outcome: 'success',
        detail: { sessions: ended.length, kept_current: !all },
      });
      return { ended, pending };
    });
    if (done === undefined) return undefined;
    sessions.ended(userId, done.ended, options.reason);
    const receipt = await revocation.settle(done.pending, userId);
    return { ...receipt, revoked_sessions: done.ended.length };
  };
}
