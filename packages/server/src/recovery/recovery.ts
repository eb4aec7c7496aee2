/** Use cases of mailed secrets; see `index.ts` for what they guarantee. */
import type { Receipt } from '@auth-service/protocol';
import {
  canonicalEmail,
  describeEmailProblem,
  findUserByEmailKey,
  findUserById,
  lockUser,
  mayBeRegisteredAgain,
  type UserRow,
  updateEmailVerified,
  updateProvenCredentials,
  updateUserEmail,
  updateUserEpoch,
} from '../accounts/index.ts';
import type { ApiKeys } from '../api-keys/index.ts';
import type { Audit, AuditEvent, Origin } from '../audit/index.ts';
import type { ProvePassword } from '../lockout/index.ts';
import type { Mail, MailSecrets, MailTokenRow } from '../mail/index.ts';
import type { Factors } from '../mfa/index.ts';
import { checkPassword, type PasswordHasher } from '../passwords/index.ts';
import { type Database, type Queryable, UniqueViolation } from '../platform/database/index.ts';
import type { FieldError } from '../platform/http/index.ts';
import type { Pending, Revocation } from '../revocation/index.ts';
import type { EndedSession, EndReason, Sessions } from '../sessions/index.ts';

export type RecoveryRefusal =
  | { readonly kind: 'refused'; readonly code: 'invalid_credentials' }
  | { readonly kind: 'refused'; readonly code: 'account_locked' | 'overloaded'; readonly retryAfterSeconds: number }
  | { readonly kind: 'refused'; readonly code: 'token_revoked' | 'invalid_mail_token' | 'email_taken' }
  /** The account has a second factor, and this session was begun without. */
  | { readonly kind: 'refused'; readonly code: 'reauthentication_required' }
  | { readonly kind: 'refused'; readonly code: 'conflict'; readonly detail: string }
  | { readonly kind: 'refused'; readonly code: 'validation_failed'; readonly errors: readonly FieldError[] };

export type RecoveryOutcome<T> = { readonly kind: 'done'; readonly value: T } | RecoveryRefusal;

export interface Requester {
  readonly userId: string;
  readonly sessionId: string;
  readonly acr: string;
  readonly origin: Origin;
}

export interface Proven {
  readonly status: 'verified' | 'email_changed';
  readonly email: string;
}

/**
 * What else than the mailbox is proven. Neither: whoever typed the code, typed it where they had registered. At most one counts, the
 * new password before the other.
 */
export interface ProvenBy {
  /** The one that was registered with. */
  readonly password?: string | undefined;
  /** Takes its place, whoever chose it. */
  readonly newPassword?: string | undefined;
}

export interface Recovery {
  /** The same work and answer for an address that is known, unknown, disabled or verified already. */
  resendVerification(email: string, origin: Origin): Promise<RecoveryOutcome<null>>;
  /** The same work and answer for an address that is known, unknown or disabled. */
  forgotPassword(email: string, origin: Origin): Promise<RecoveryOutcome<null>>;
  resetPassword(
    typed: string,
    password: string,
    origin: Origin,
  ): Promise<RecoveryOutcome<Receipt & { readonly revoked_sessions: number }>>;
  /** Of an account, or of its new address. */
  verifyEmail(typed: string, origin: Origin, by?: ProvenBy): Promise<RecoveryOutcome<Proven>>;
  /** `password`: `undefined` where the owner has authenticated a moment ago. */
  changeEmail(by: Requester, email: string, password: string | undefined): Promise<RecoveryOutcome<null>>;
}

export interface RecoveryDeps {
  readonly db: Database;
  readonly audit: Audit;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly secrets: MailSecrets;
  readonly passwords: Pick<PasswordHasher, 'hash'>;
  readonly passwordMinLength: number;
  readonly provePassword: ProvePassword;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
  readonly apiKeys: Pick<ApiKeys, 'endAllOf'>;
  readonly factors: Pick<Factors, 'holdBack'>;
}

interface Done {
  readonly userId: string;
  readonly ended: readonly EndedSession[];
  readonly pending: Pending;
}

const invalid = { kind: 'refused', code: 'invalid_mail_token' } as const;
const accepted = { kind: 'done', value: null } as const;

export function createRecovery(deps: RecoveryDeps): Recovery {
  const { db, audit, mail, secrets, passwords, sessions, revocation } = deps;

  /** What strangers ask for: the same statements whoever has the address, and a mail only to the one who does. */
  async function request(
    typed: string,
    origin: Origin,
    what: {
      readonly purpose: 'verify_email' | 'reset_password';
      readonly type: string;
      readonly wants: (user: UserRow) => boolean;
    },
  ): Promise<RecoveryOutcome<null>> {
    const address = canonicalEmail(typed);
    if (!address.ok) return invalidEmail('/email', describeEmailProblem(address.problem));
    await db.transaction(async (tx) => {
      const found = await findUserByEmailKey(tx, address.key);
      const mayMail = await secrets.mayMail(tx, address.key);
      const user = mayMail && found?.status === 'active' && what.wants(found) ? found : undefined;
      const { purpose } = what;
      const to = user?.email ?? address.email;
      const issued = await secrets.issue(tx, { user, purpose, email: to, emailKey: address.key });
      await mail.enqueue(tx, {
        ...(user === undefined
          ? { kind: 'nothing', values: {} }
          : { kind: purpose, values: issued.values, usefulSeconds: issued.validSeconds }),
        ...{ to, origin },
      });
      const outcome = user === undefined ? 'denied' : 'success';
      await audit.append(tx, origin, { type: what.type, actor: null, target: found?.id ?? null, outcome });
    });
    return accepted;
  }

  async function note(
    origin: Origin,
    type: string,
    user: string | null,
    outcome: AuditEvent['outcome'],
  ): Promise<void> {
    await audit.append(db, origin, {
      type,
      actor: user,
      target: user,
      outcome,
      detail: { reason: 'invalid_mail_token' },
    });
  }

  /** Under the row's lock, what the secret was bound to once more; `undefined` when it is not so any more. */
  async function lockedUserOf(tx: Queryable, token: MailTokenRow): Promise<UserRow | undefined> {
    const user = await lockUser(tx, token.user_id);
    return user?.status === 'active' && user.device_epoch === token.credential_version ? user : undefined;
  }

  async function isOfLiveSession(tx: Queryable, { session_id: id, user_id: userId }: MailTokenRow): Promise<boolean> {
    return id !== null && (await sessions.ownerOf(tx, id)) === userId;
  }

  /** Everything that was set before the proof, or before the reset: sessions, tokens, device tokens, API keys. */
  async function endEverything(tx: Queryable, user: UserRow, reason: EndReason): Promise<Omit<Done, 'userId'>> {
    const epoch = await updateUserEpoch(tx, user.id, { tokens: true, devices: true });
    if (epoch === undefined) throw new Error('the row is locked, so it is there');
    const { ended, entries } = await sessions.endAll(tx, user.id, null, reason, user.id);
    const keys = await deps.apiKeys.endAllOf(tx, user.id, reason, user.id);
    const whole = { kind: 'user' as const, subject: user.id, minEpoch: epoch, reason, actor: user.id };
    const pending = await revocation.append(tx, [...entries, ...keys.entries, whole]);
    if (pending === null) throw new Error('there is an entry, so there is a revocation');
    // Factors stay, so no mailbox is a way around them; but who set a passkey before may be another one than who proves now.
    await deps.factors.holdBack(tx, user.id);
    return { ended, pending };
  }

  async function settle(
    { userId, ended, pending }: Done,
    reason: EndReason,
  ): Promise<Receipt & { readonly revoked_sessions: number }> {
    sessions.ended(userId, ended, reason);
    const receipt = await revocation.settle(pending, userId);
    return { ...receipt, revoked_sessions: ended.length };
  }

  async function proveAccount(
    tx: Queryable,
    user: UserRow,
    token: MailTokenRow,
    origin: Origin,
  ): Promise<Omit<Done, 'userId'> | null> {
    const { pending } = token;
    const event = { type: 'user.email_verified', actor: user.id, target: user.id, outcome: 'success' } as const;
    await audit.append(tx, origin, { ...event, detail: { replaced_credentials: pending !== null } });
    if (pending === null) {
      await updateEmailVerified(tx, user.id);
      return null;
    }
    const names = { first: pending.first_name, last: pending.last_name };
    await updateProvenCredentials(tx, user.id, pending.password_hash, names);
    return endEverything(tx, user, 'password_reset');
  }

  async function proveNewAddress(
    tx: Queryable,
    user: UserRow,
    token: MailTokenRow,
    origin: Origin,
  ): Promise<Omit<Done, 'userId'>> {
    await updateUserEmail(tx, user.id, token.email, token.email_key);
    await updateUserEpoch(tx, user.id, { tokens: false, devices: true });
    const { ended, entries } = await sessions.endAll(tx, user.id, token.session_id, 'email_changed', user.id);
    const appended = await revocation.append(tx, entries, { withOthers: true });
    const pending = appended ?? (await revocation.mark(tx));
    await audit.append(tx, origin, {
      ...{ type: 'user.email_changed', actor: user.id, target: user.id, outcome: 'success' },
      detail: { sessions: ended.length },
    });
    const values = { old_email: user.email, new_email: token.email };
    for (const to of [user.email, token.email]) {
      await mail.enqueue(tx, { kind: 'email_changed', to, values, origin });
    }
    return { ended, pending };
  }

  /**
   * The mailbox opens the account with a new password, by a reset or by the first proof of its address: who set what was there
   * before may be another one than who holds the mailbox.
   */
  async function replacePassword(
    typed: string,
    purpose: 'reset_password' | 'verify_email',
    password: string,
    origin: Origin,
  ): Promise<RecoveryOutcome<Done & { readonly email: string }>> {
    const type = purpose === 'reset_password' ? 'user.password_reset' : 'user.email_verified';
    const found = await secrets.find(db, typed, purpose);
    if (found === undefined) {
      await note(origin, type, null, 'failure');
      return invalid;
    }
    // The policy is looked at first: a password that it refuses does not cost the link.
    const errors = checkPassword(password, { minLength: deps.passwordMinLength, email: found.email }).map(
      ({ code, detail }): FieldError => ({ pointer: '/new_password', code, detail }),
    );
    if (errors.length > 0) return { kind: 'refused', code: 'validation_failed', errors };
    const hashed = await passwords.hash(password);
    if (hashed.kind === 'overloaded') return { kind: 'refused', code: 'overloaded', retryAfterSeconds: 1 };
    const done = await db.transaction(async (tx): Promise<Done | undefined> => {
      const token = await secrets.consume(tx, typed, purpose);
      const user = token === undefined ? undefined : await lockedUserOf(tx, token);
      if (token === undefined || user === undefined || isOvertaken(token, user)) return undefined;
      await updateProvenCredentials(tx, user.id, hashed.encoded);
      const over = await endEverything(tx, user, 'password_reset');
      const detail =
        purpose === 'reset_password'
          ? { sessions: over.ended.length, proved_address: !user.email_verified }
          : { replaced_credentials: true };
      await audit.append(tx, origin, { type, actor: user.id, target: user.id, outcome: 'success', detail });
      await mail.enqueue(tx, { kind: 'password_changed', to: user.email, values: {}, origin });
      return { userId: user.id, ...over };
    });
    if (done === undefined) {
      await note(origin, type, found.user_id, 'denied');
      return invalid;
    }
    return { kind: 'done', value: { ...done, email: found.email } };
  }

  /** Of the registration that the code is about. Guesses count as those of a login. Another address needs none: a session asked for it. */
  async function knowsPassword(typed: string, password: string, origin: Origin): Promise<RecoveryOutcome<null>> {
    const token = await secrets.find(db, typed, 'verify_email', 'change_email');
    const user = token === undefined ? undefined : await findUserById(db, token.user_id);
    if (token === undefined || user === undefined) {
      await note(origin, 'user.email_verified', null, 'failure');
      return invalid;
    }
    if (token.purpose === 'change_email') return accepted;
    const registered = token.pending === null ? user : { ...user, password_hash: token.pending.password_hash };
    const proof = await deps.provePassword(registered, password, origin);
    return proof.kind === 'refused' ? proof : accepted;
  }

  return {
    resendVerification: (email, origin) =>
      request(email, origin, {
        ...{ purpose: 'verify_email', type: 'user.verification_requested' },
        wants: (user) => !user.email_verified,
      }),

    forgotPassword: (email, origin) =>
      request(email, origin, {
        ...{ purpose: 'reset_password', type: 'user.password_reset_requested' },
        wants: () => true,
      }),

    async resetPassword(typed, password, origin) {
      const outcome = await replacePassword(typed, 'reset_password', password, origin);
      return outcome.kind === 'refused'
        ? outcome
        : { kind: 'done', value: await settle(outcome.value, 'password_reset') };
    },

    async verifyEmail(typed, origin, by = {}) {
      if (by.newPassword !== undefined) {
        const outcome = await replacePassword(typed, 'verify_email', by.newPassword, origin);
        if (outcome.kind === 'refused') return outcome;
        await settle(outcome.value, 'password_reset');
        return { kind: 'done', value: { status: 'verified', email: outcome.value.email } };
      }
      const known = by.password === undefined ? accepted : await knowsPassword(typed, by.password, origin);
      if (known.kind === 'refused') return known;
      type Proof = { proven: Proven; over: Done | null };
      const work = db.transaction(async (tx): Promise<Proof | undefined> => {
        const token = await secrets.consume(tx, typed, 'verify_email', 'change_email');
        const user = token === undefined ? undefined : await lockedUserOf(tx, token);
        if (token === undefined || user === undefined) return undefined;
        if (isOvertaken(token, user)) return undefined;
        const isChange = token.purpose === 'change_email';
        // Whoever ends a session that is not theirs has ended what it asked for, too.
        if (isChange && !(await isOfLiveSession(tx, token))) return undefined;
        const over = await (isChange ? proveNewAddress : proveAccount)(tx, user, token, origin);
        const proven: Proven = { status: isChange ? 'email_changed' : 'verified', email: token.email };
        return { proven, over: over === null ? null : { userId: user.id, ...over } };
      });
      const done = await work.catch((error: unknown) => {
        if (error instanceof UniqueViolation) return 'taken' as const;
        throw error;
      });
      // Who says so has proven the address: it is theirs to know.
      if (done === 'taken') return { kind: 'refused', code: 'email_taken' };
      if (done === undefined) {
        await note(origin, 'user.email_verified', null, 'failure');
        return invalid;
      }
      if (done.over !== null) {
        await settle(done.over, done.proven.status === 'email_changed' ? 'email_changed' : 'password_reset');
      }
      return { kind: 'done', value: done.proven };
    },

    async changeEmail({ userId, sessionId, acr, origin }, email, password) {
      const user = await findUserById(db, userId);
      if (user === undefined) return { kind: 'refused', code: 'token_revoked' };
      if (user.mfa_enabled && acr !== 'aal2') return { kind: 'refused', code: 'reauthentication_required' };
      const address = canonicalEmail(email);
      if (!address.ok) return invalidEmail('/new_email', describeEmailProblem(address.problem));
      const proof = password === undefined ? undefined : await deps.provePassword(user, password, origin);
      if (proof?.kind === 'refused') return proof;
      if (address.key === user.email_key) {
        return { kind: 'refused', code: 'conflict', detail: 'This is the address of the account.' };
      }
      const isDone = await db.transaction(async (tx) => {
        // The session may have ended while the password was looked at, and a link would outlive it.
        if ((await sessions.ownerOf(tx, sessionId)) !== userId) return false;
        const other = await findUserByEmailKey(tx, address.key);
        const mayMail = await secrets.mayMail(tx, address.key);
        const issued = await secrets.issue(tx, {
          ...{ user: mayMail && other === undefined ? user : undefined, purpose: 'change_email' },
          ...{ email: address.email, emailKey: address.key, sessionId },
        });
        await mail.enqueue(tx, {
          ...(!mayMail
            ? { kind: 'nothing', values: {} }
            : other === undefined
              ? { kind: 'change_email', values: issued.values, usefulSeconds: issued.validSeconds }
              : { kind: 'change_email_taken', values: {} }),
          ...{ to: other?.email ?? address.email, origin },
        });
        const values = { new_email: address.email };
        await mail.enqueue(tx, { kind: 'email_change_requested', to: user.email, values, origin });
        const event = { type: 'user.email_change_requested', actor: userId, target: userId } as const;
        await audit.append(tx, origin, { ...event, outcome: 'success' });
        return true;
      });
      return isDone ? accepted : { kind: 'refused', code: 'token_revoked' };
    },
  };
}

/** Verified, or given more, since somebody registered it again. */
const isOvertaken = (token: MailTokenRow, user: UserRow): boolean =>
  token.pending !== null && !mayBeRegisteredAgain(user);

const invalidEmail = (pointer: string, detail: string): RecoveryRefusal => ({
  kind: 'refused',
  code: 'validation_failed',
  errors: [{ pointer, code: 'invalid', detail }],
});
