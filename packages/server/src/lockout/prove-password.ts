/**
 * The password of somebody who is logged in already, asked for again. Guesses here are guesses at the login: one counter, the
 * account's own and not a device's, because whoever holds a session is not the stranger that device tokens keep out.
 */
import type { UserRow } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { Mail } from '../mail/index.ts';
import type { PasswordHasher } from '../passwords/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { Lockout } from './lockout.ts';

export type PasswordProof =
  | { readonly kind: 'proven' }
  | { readonly kind: 'refused'; readonly code: 'invalid_credentials' }
  | { readonly kind: 'refused'; readonly code: 'account_locked' | 'overloaded'; readonly retryAfterSeconds: number };

export type ProvePassword = (user: UserRow, password: string, origin: Origin) => Promise<PasswordProof>;

export function createProvePassword(deps: {
  readonly db: Queryable;
  readonly audit: Audit;
  readonly passwords: Pick<PasswordHasher, 'verify'>;
  readonly lockout: Pick<Lockout, 'attempt'>;
  readonly lockoutMinutes: number;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly onLockout: () => void;
}): ProvePassword {
  const { db, audit, passwords, lockout } = deps;

  async function note(user: UserRow, origin: Origin, outcome: 'failure' | 'denied', reason: string): Promise<void> {
    const about = { type: 'user.password_check', actor: user.id, target: user.id } as const;
    await audit.append(db, origin, { ...about, outcome, detail: { reason } });
  }

  return async (user, password, origin) => {
    const attempt = await lockout.attempt(user.email_key, undefined, async () => {
      const checked = await passwords.verify(password, user.password_hash ?? undefined);
      return checked.kind === 'overloaded' ? { undecided: checked } : { ok: checked.ok, value: checked };
    });
    switch (attempt.kind) {
      case 'succeeded':
        return { kind: 'proven' };
      case 'undecided':
        return { kind: 'refused', code: 'overloaded', retryAfterSeconds: 1 };
      case 'locked':
        await note(user, origin, 'denied', 'locked');
        return { kind: 'refused', code: 'account_locked', retryAfterSeconds: attempt.retryAfterSeconds };
      case 'failed':
        if (attempt.lockedNow) {
          deps.onLockout();
          const values = { minutes: String(deps.lockoutMinutes) };
          await deps.mail.enqueue(db, { kind: 'account_locked', to: user.email, values, origin });
        }
        await note(user, origin, 'failure', attempt.lockedNow ? 'locked_now' : 'invalid_credentials');
        return { kind: 'refused', code: 'invalid_credentials' };
    }
  };
}
