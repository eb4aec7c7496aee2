/** What an operator sees and ends of other people's sessions. */
import type { Receipt } from '@auth-service/protocol';
import { type Actor, holdsNow, lockAdministrators, refuseNotHeld } from '../access/index.ts';
import { findUserById } from '../accounts/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { Revocation } from '../revocation/index.ts';
import type { Sessions } from '../sessions/index.ts';
import type { Outcome } from './users.ts';

export interface SessionAdministration {
  /** Of all users, newest first. */
  page: Sessions['page'];
  /** Of one user; `undefined` where there is no such user. */
  listOf(userId: string): Promise<Awaited<ReturnType<Sessions['list']>> | undefined>;
  end(sessionId: string, by: Actor): Promise<Outcome<Receipt>>;
}

const unknownSession = { kind: 'refused', code: 'not_found', detail: 'There is no such session.' } as const;

export function createSessionAdministration(deps: {
  readonly db: Database;
  readonly audit: Audit;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
}): SessionAdministration {
  const { db, audit, sessions, revocation } = deps;
  return {
    page: sessions.page,

    async listOf(userId) {
      const user = await findUserById(db, userId);
      return user === undefined ? undefined : sessions.list(userId);
    },

    async end(sessionId, by) {
      const done = await db.transaction(async (tx) => {
        await lockAdministrators(tx);
        const userId = await sessions.ownerOf(tx, sessionId);
        const user = userId === undefined ? undefined : await findUserById(tx, userId);
        if (user === undefined) return unknownSession;
        if (!(await holdsNow(tx, by, user.permissions))) {
          return refuseNotHeld(tx, audit, by, { type: 'session.revoked', target: sessionId });
        }
        const { actor, origin } = by;
        const ended = await sessions.endForOther(tx, user.id, sessionId, { reason: 'admin', actor, origin });
        return ended === undefined ? unknownSession : { kind: 'done' as const, userId: user.id, ...ended };
      });
      if (done.kind === 'refused') return done;
      sessions.ended(done.userId, [done.ended], 'admin');
      return { kind: 'done', value: await revocation.settle(done.pending, done.userId) };
    },
  };
}
