/** Use cases of the owner of an account; see `index.ts` for what they guarantee. */
import type { Receipt } from '@auth-service/protocol';
import { countOtherAdministrators, lastAdministrator, lockAdministrators } from '../access/index.ts';
import {
  deleteUser,
  findUserById,
  type UserRow,
  updatePasswordHash,
  updateUserEpoch,
  updateUserNames,
} from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { ProvePassword } from '../lockout/index.ts';
import type { Mail } from '../mail/index.ts';
import { checkPassword, type PasswordHasher } from '../passwords/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { FieldError } from '../platform/http/index.ts';
import type { Revocation } from '../revocation/index.ts';
import type { Sessions } from '../sessions/index.ts';

/** Who acts: the account and the session of the access token. */
export interface Owner {
  readonly userId: string;
  readonly sessionId: string;
  readonly origin: Origin;
}

export type Ended = Receipt & { readonly revoked_sessions: number };

export type ProfileRefusal =
  | { readonly kind: 'refused'; readonly code: 'token_revoked' | 'invalid_credentials' }
  /** The account has a second factor, and the session was begun without. */
  | { readonly kind: 'refused'; readonly code: 'reauthentication_required' }
  | { readonly kind: 'refused'; readonly code: 'account_locked' | 'overloaded'; readonly retryAfterSeconds: number }
  | { readonly kind: 'refused'; readonly code: 'conflict'; readonly detail: string }
  | { readonly kind: 'refused'; readonly code: 'validation_failed'; readonly errors: readonly FieldError[] };

export type ProfileOutcome<T> = { readonly kind: 'done'; readonly value: T } | ProfileRefusal;

export interface Profile {
  /** What is `undefined` stays as it is. */
  rename(
    owner: Owner,
    names: { readonly firstName: string | null | undefined; readonly lastName: string | null | undefined },
  ): Promise<ProfileOutcome<UserRow>>;
  changePassword(owner: Owner, passwords: { current: string; next: string }): Promise<ProfileOutcome<Ended>>;
  /**
   * `password`: `undefined` where the owner has authenticated a moment ago; with a second factor, where the account has one.
   * `acr`: of the access token.
   */
  remove(owner: Owner & { readonly acr: string }, password: string | undefined): Promise<ProfileOutcome<Ended>>;
}

export interface ProfileDeps {
  readonly db: Database;
  readonly audit: Audit;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly passwords: Pick<PasswordHasher, 'hash'>;
  readonly passwordMinLength: number;
  readonly provePassword: ProvePassword;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
}

const gone: ProfileRefusal = { kind: 'refused', code: 'token_revoked' };
const wrong: ProfileRefusal = { kind: 'refused', code: 'invalid_credentials' };
const overloaded: ProfileRefusal = { kind: 'refused', code: 'overloaded', retryAfterSeconds: 1 };

export function createProfile(deps: ProfileDeps): Profile {
  const { db, audit, mail, passwords, provePassword, sessions, revocation } = deps;

  return {
    async rename({ userId, origin }, { firstName, lastName }) {
      const user = await db.transaction(async (tx) => {
        const changed = await updateUserNames(tx, userId, { firstName, lastName });
        if (changed === undefined) return undefined;
        const event = { type: 'user.profile_changed', actor: userId, target: userId, outcome: 'success' } as const;
        await audit.append(tx, origin, event);
        return changed;
      });
      return user === undefined ? gone : { kind: 'done', value: user };
    },

    async changePassword({ userId, sessionId, origin }, { current, next }) {
      const user = await findUserById(db, userId);
      if (user === undefined) return gone;
      const errors = checkPassword(next, { minLength: deps.passwordMinLength, email: user.email }).map(
        ({ code, detail }): FieldError => ({ pointer: '/new_password', code, detail }),
      );
      if (errors.length > 0) return { kind: 'refused', code: 'validation_failed', errors };
      const proof = await provePassword(user, current, origin);
      if (proof.kind === 'refused') return proof;
      const hashed = await passwords.hash(next);
      if (hashed.kind === 'overloaded') return overloaded;
      const done = await db.transaction(async (tx) => {
        // Exactly the hash that was proven; it locks the row, so a login under way ends before, or begins after.
        if (!(await updatePasswordHash(tx, userId, user.password_hash, hashed.encoded))) return undefined;
        await updateUserEpoch(tx, userId, { tokens: false, devices: true });
        const { ended, entries } = await sessions.endAll(tx, userId, sessionId, 'password_changed', userId);
        const appended = await revocation.append(tx, entries, { withOthers: true });
        const pending = appended ?? (await revocation.mark(tx));
        await audit.append(tx, origin, {
          ...{ type: 'user.password_changed', actor: userId, target: userId, outcome: 'success' },
          detail: { sessions: ended.length },
        });
        await mail.enqueue(tx, { kind: 'password_changed', to: user.email, values: {}, origin });
        return { ended, pending };
      });
      // Somebody else changed the password while this one was hashed: what was proven is not the password any more.
      if (done === undefined) return wrong;
      sessions.ended(userId, done.ended, 'password_changed');
      const receipt = await revocation.settle(done.pending, userId);
      return { kind: 'done', value: { ...receipt, revoked_sessions: done.ended.length } };
    },

    async remove({ userId, acr, origin }, password) {
      const user = await findUserById(db, userId);
      if (user === undefined) return gone;
      const proof = password === undefined ? undefined : await provePassword(user, password, origin);
      if (proof?.kind === 'refused') return proof;
      const done = await db.transaction(async (tx) => {
        await lockAdministrators(tx);
        const now = await findUserById(tx, userId);
        if (now === undefined) return 'gone' as const;
        if (password === undefined && now.mfa_enabled && acr !== 'aal2') return 'weak' as const;
        const isAdministrator = now.roles.includes('admin') && now.status === 'active';
        if (isAdministrator && (await countOtherAdministrators(tx, userId)) === 0) return 'last' as const;
        const epoch = await updateUserEpoch(tx, userId, { tokens: true, devices: true });
        if (epoch === undefined) return 'gone' as const;
        const { ended, entries } = await sessions.endAll(tx, userId, null, 'deleted', userId);
        const whole = { kind: 'user' as const, subject: userId, minEpoch: epoch, reason: 'deleted', actor: userId };
        const pending = await revocation.append(tx, [...entries, whole]);
        await audit.append(tx, origin, { type: 'user.deleted', actor: userId, target: userId, outcome: 'success' });
        await deleteUser(tx, userId);
        return { ended, pending };
      });
      if (done === 'gone') return gone;
      if (done === 'weak') return { kind: 'refused', code: 'reauthentication_required' };
      if (done === 'last') return { kind: 'refused', code: 'conflict', detail: lastAdministrator.detail };
      sessions.ended(userId, done.ended, 'deleted');
      const receipt = await revocation.settle(done.pending, userId);
      return { kind: 'done', value: { ...receipt, revoked_sessions: done.ended.length } };
    },
  };
}
