/**
 * What an operator does to accounts, from the command line and through the API. Each is one transaction with its ledger rows and
 * its audit event, judged in that transaction: nobody touches an account with rights that they do not hold.
 */
import type { Receipt } from '@auth-service/protocol';
import {
  type AccessRefusal,
  type Actor,
  changedSince,
  claimsTooLarge,
  countOtherAdministrators,
  findRolesForGrant,
  holdsNow,
  lastAdministrator,
  lockAdministrators,
  type Precondition,
  permissionsOf,
  refuseNotHeld,
  tooLarge,
} from '../access/index.ts';
import {
  canonicalEmail,
  countUsers,
  deleteUser,
  describeEmailProblem,
  findUserByEmailKey,
  findUserById,
  insertUser,
  lockUser,
  type UserRow,
  updateEmailVerified,
  updateUserEpoch,
  updateUserNames,
  updateUserStatus,
} from '../accounts/index.ts';
import { type Audit, noOrigin } from '../audit/index.ts';
import type { Lockout } from '../lockout/index.ts';
import type { Mail, MailSecrets } from '../mail/index.ts';
import type { Factors } from '../mfa/index.ts';
import { checkPassword, type PasswordHasher } from '../passwords/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { Pending, Revocation } from '../revocation/index.ts';
import {
  type EndedSession,
  type EndReason,
  freshAuthenticationSeconds,
  isFreshlyAuthenticated,
  type Sessions,
} from '../sessions/index.ts';
import { listUsers, type PlacedUser, type UsersPlace, type UsersQuery } from './users-list.ts';

export const commandLine: Actor = { actor: 'cli', origin: noOrigin };

export interface AdminRefusal {
  readonly kind: 'refused';
  readonly code: AccessRefusal['code'] | 'email_taken' | 'overloaded' | 'reauthentication_required';
  readonly detail: string;
  /** The member of the body that is wrong, on `validation_failed`. */
  readonly pointer?: string;
}

export type Outcome<T> = { readonly kind: 'done'; readonly value: T } | AdminRefusal;

export interface NewAccount {
  readonly email: string;
  readonly firstName?: string | null;
  readonly lastName?: string | null;
  /** Besides `user`, which every account has. */
  readonly roles: readonly string[];
  readonly emailVerified: boolean;
}

export interface NewUser extends NewAccount {
  readonly password: string;
}

export interface UserChanges {
  readonly firstName?: string | null | undefined;
  readonly lastName?: string | null | undefined;
  /** An address may be declared proven, never unproven. */
  readonly emailVerified?: true | undefined;
}

export type ReceiptOfAll = Receipt & { readonly revoked_sessions: number };

export interface Users {
  /** By id or by address. */
  find(idOrEmail: string): Promise<UserRow | undefined>;
  page(query: UsersQuery, after: UsersPlace | undefined, limit: number): Promise<readonly PlacedUser[]>;
  create(user: NewUser, by: Actor): Promise<Outcome<UserRow>>;
  /**
   * Without a password: only its owner sets one, by the mail that `invite` sends them, or by one that they ask for. In the
   * caller's transaction, which commits on a refusal, too.
   */
  createIn(tx: Queryable, user: NewAccount & { readonly invite?: boolean }, by: Actor): Promise<Outcome<UserRow>>;
  /** The first administrator, only while there is no account at all. */
  bootstrap(email: string, password: string): Promise<Outcome<UserRow> | null>;
  update(idOrEmail: string, changes: UserChanges, by: Actor, as?: Precondition<UserRow>): Promise<Outcome<UserRow>>;
  /** Ends every session and token of the account at once. */
  disable(idOrEmail: string, by: Actor, as?: Precondition<UserRow>): Promise<Outcome<Receipt>>;
  /** What ended stays ended. */
  enable(idOrEmail: string, by: Actor, as?: Precondition<UserRow>): Promise<Outcome<UserRow>>;
  /** Forgets the failed attempts of the account, and with them its lock. */
  unlock(idOrEmail: string, by: Actor): Promise<Outcome<UserRow>>;
  revokeSessions(idOrEmail: string, by: Actor): Promise<Outcome<ReceiptOfAll>>;
  /**
   * Takes every second factor away, tells the owner, and ends what lives: none of it was begun by a password alone. One's own
   * only with a fresh authentication, of `aal2`; as `remove`.
   */
  resetMfa(idOrEmail: string, by: Actor, as?: Precondition<UserRow>): Promise<Outcome<ReceiptOfAll>>;
  remove(idOrEmail: string, by: Actor, as?: Precondition<UserRow>): Promise<Outcome<ReceiptOfAll>>;
}

export interface UsersDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly passwords: Pick<PasswordHasher, 'hash'>;
  readonly passwordMinLength: number;
  readonly lockout: Pick<Lockout, 'unlock'>;
  readonly factors: Pick<Factors, 'removeAll'>;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly secrets: Pick<MailSecrets, 'issue'>;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
}

interface Ending {
  readonly ended: readonly EndedSession[];
  readonly pending: Pending;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const invitationSeconds = 3 * 86_400;
const unknownUser: AdminRefusal = { kind: 'refused', code: 'not_found', detail: 'There is no such user.' };
const invalid = (pointer: string, detail: string): AdminRefusal => ({
  kind: 'refused',
  code: 'validation_failed',
  detail,
  pointer,
});

/** A right over others is no way around one's own step-up. */
function ownAccountProblem({ authentication }: Actor, user: UserRow, now: number): AdminRefusal | null {
  if (authentication === undefined) return null;
  if (authentication === null) {
    return {
      kind: 'refused',
      code: 'insufficient_permissions',
      detail: 'An API key does this to other accounts only.',
    };
  }
  const { time, acr } = authentication;
  const isFresh = isFreshlyAuthenticated({ auth_time: time }, freshAuthenticationSeconds, now);
  if (isFresh && (acr === 'aal2' || !user.mfa_enabled)) return null;
  const detail = 'Authenticate again to do this to your own account.';
  return { kind: 'refused', code: 'reauthentication_required', detail };
}

export function createUsers(deps: UsersDeps): Users {
  const { db, audit, sessions, revocation } = deps;

  async function find(idOrEmail: string): Promise<UserRow | undefined> {
    if (uuid.test(idOrEmail)) return findUserById(db, idOrEmail.toLowerCase());
    const address = canonicalEmail(idOrEmail);
    return address.ok ? findUserByEmailKey(db, address.key) : undefined;
  }

  async function insert(tx: Queryable, user: NewAccount, hash: string | null, by: Actor): Promise<Outcome<UserRow>> {
    const address = canonicalEmail(user.email);
    if (!address.ok) {
      return invalid('/email', `${user.email.slice(0, 254)}: ${describeEmailProblem(address.problem)}`);
    }
    const roles = [...new Set(['user', ...user.roles])].toSorted();
    // Before the roles, as in every change of them: two that wait for each other both fail.
    await lockAdministrators(tx);
    // Held, so that no role goes or grows between this and the commit.
    const known = await findRolesForGrant(tx, roles);
    const carried = [...permissionsOf(known), ...(roles.length > 1 ? ['roles:grant'] : [])];
    const event = { type: 'user.created', target: null } as const;
    if (!(await holdsNow(tx, by, carried))) return refuseNotHeld(tx, audit, by, event);
    const unknown = roles.find((name) => !known.some((role) => role.name === name));
    if (unknown !== undefined) return invalid('/roles', `There is no role named ${unknown.slice(0, 64)}.`);
    if (claimsTooLarge(roles, permissionsOf(known))) return tooLarge;
    const row = await insertUser(tx, {
      id: deps.random.uuidv7(deps.clock.wallMs()),
      email: address.email,
      emailKey: address.key,
      emailVerified: user.emailVerified,
      passwordHash: hash,
      firstName: user.firstName ?? null,
      lastName: user.lastName ?? null,
      roles,
    });
    if (row === undefined) {
      return { kind: 'refused', code: 'email_taken', detail: 'An account with this address exists.' };
    }
    await audit.append(tx, by.origin, {
      ...{ type: 'user.created', actor: by.actor, target: row.id, outcome: 'success' },
      detail: { roles: row.roles },
    });
    return { kind: 'done', value: row };
  }

  async function create(user: NewUser, by: Actor): Promise<Outcome<UserRow>> {
    const address = canonicalEmail(user.email);
    if (!address.ok) {
      return invalid('/email', `${user.email.slice(0, 254)}: ${describeEmailProblem(address.problem)}`);
    }
    const problems = checkPassword(user.password, { minLength: deps.passwordMinLength, email: address.email });
    if (problems.length > 0) return invalid('/password', problems.map((problem) => problem.detail).join(' '));
    const hashed = await deps.passwords.hash(user.password);
    if (hashed.kind === 'overloaded') {
      return { kind: 'refused', code: 'overloaded', detail: 'Too many passwords are being hashed; try again.' };
    }
    return db.transaction((tx) => insert(tx, user, hashed.encoded, by));
  }

  async function invite(tx: Queryable, user: UserRow): Promise<void> {
    const { email, email_key: emailKey } = user;
    const purpose = { purpose: 'reset_password', validSeconds: invitationSeconds } as const;
    const { values, validSeconds } = await deps.secrets.issue(tx, { user, email, emailKey, ...purpose });
    await deps.mail.enqueue(tx, { kind: 'invitation', to: email, values, usefulSeconds: validSeconds });
  }

  /** One transaction with the account locked, where `by` may act on it. */
  async function act<T>(
    idOrEmail: string,
    by: Actor,
    what: {
      readonly type: string;
      readonly as?: Precondition<UserRow> | undefined;
      /** Of one's own account `/api/auth` does it with a fresh authentication only, and so does this. */
      readonly isSensitive?: boolean;
    },
    work: (tx: Queryable, user: UserRow) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const found = await find(idOrEmail);
    if (found === undefined) return unknownUser;
    return db.transaction(async (tx) => {
      await lockAdministrators(tx);
      const user = await lockUser(tx, found.id);
      if (user === undefined) return unknownUser;
      if (!(await holdsNow(tx, by, user.permissions))) {
        return refuseNotHeld(tx, audit, by, { type: what.type, target: user.id });
      }
      if (what.isSensitive === true && by.userId === user.id) {
        const refused = ownAccountProblem(by, user, deps.clock.wallMs() / 1_000);
        if (refused !== null) return refused;
      }
      if (what.as?.(user) === false) return changedSince;
      return work(tx, user);
    });
  }

  const note = (tx: Queryable, by: Actor, type: string, target: string, detail = {}): Promise<void> =>
    audit.append(tx, by.origin, { type, actor: by.actor, target, outcome: 'success', detail });

  async function isLastAdministrator(tx: Queryable, user: UserRow): Promise<boolean> {
    const counts = user.roles.includes('admin') && user.status === 'active';
    return counts && (await countOtherAdministrators(tx, user.id)) === 0;
  }

  /** Everything of the account that lives, under its new epoch. */
  async function endEverything(
    tx: Queryable,
    user: UserRow,
    epoch: number,
    reason: EndReason,
    by: Actor,
  ): Promise<Ending> {
    const { ended, entries } = await sessions.endAll(tx, user.id, null, reason, by.actor);
    const whole = { kind: 'user' as const, subject: user.id, minEpoch: epoch, reason, actor: by.actor };
    const pending = (await revocation.append(tx, [...entries, whole])) ?? (await revocation.mark(tx));
    return { ended, pending };
  }

  async function settle(
    outcome: Outcome<Ending & { readonly userId: string }>,
    reason: EndReason,
  ): Promise<Outcome<ReceiptOfAll>> {
    if (outcome.kind === 'refused') return outcome;
    const { ended, pending, userId } = outcome.value;
    sessions.ended(userId, ended, reason);
    const receipt = await revocation.settle(pending, userId);
    return { kind: 'done', value: { ...receipt, revoked_sessions: ended.length } };
  }

  const ending = (user: UserRow, value: Ending): Outcome<Ending & { readonly userId: string }> => ({
    kind: 'done',
    value: { ...value, userId: user.id },
  });

  return {
    find,
    page: (query, after, limit) => listUsers(db, query, after, limit),
    create,
    async createIn(tx, user, by) {
      const made = await insert(tx, user, null, by);
      if (made.kind === 'done' && user.invite === true) await invite(tx, made.value);
      return made;
    },

    async bootstrap(email, password) {
      if ((await countUsers(db)) > 0) return null;
      const admin = { email, password, roles: ['admin'], emailVerified: true };
      const made = await create(admin, { actor: 'system', origin: noOrigin });
      // Nodes that start at once all find the store empty: one of them makes the account, for all.
      return made.kind === 'refused' && made.code === 'email_taken' ? null : made;
    },

    update(idOrEmail, changes, by, as) {
      return act<UserRow>(idOrEmail, by, { type: 'user.updated', as }, async (tx, user) => {
        const { firstName, lastName, emailVerified } = changes;
        if (firstName !== undefined || lastName !== undefined) {
          await updateUserNames(tx, user.id, { firstName, lastName });
          await note(tx, by, 'user.updated', user.id);
        }
        if (emailVerified === true && (await updateEmailVerified(tx, user.id))) {
          await note(tx, by, 'user.email_verified', user.id);
        }
        return { kind: 'done', value: (await findUserById(tx, user.id)) ?? user };
      });
    },

    async disable(idOrEmail, by, as) {
      const outcome = await act(idOrEmail, by, { type: 'user.disabled', as }, async (tx, user) => {
        if (await isLastAdministrator(tx, user)) return lastAdministrator;
        const epoch = await updateUserStatus(tx, user.id, 'disabled');
        // Disabled before: the receipt tells how far that is known.
        if (epoch === undefined) return ending(user, { ended: [], pending: await revocation.mark(tx) });
        const ended = await endEverything(tx, user, epoch, 'disabled', by);
        await note(tx, by, 'user.disabled', user.id);
        return ending(user, ended);
      });
      const settled = await settle(outcome, 'disabled');
      if (settled.kind === 'refused') return settled;
      const { revoked_sessions: _, ...receipt } = settled.value;
      return { kind: 'done', value: receipt };
    },

    enable(idOrEmail, by, as) {
      return act<UserRow>(idOrEmail, by, { type: 'user.enabled', as }, async (tx, user) => {
        if ((await updateUserStatus(tx, user.id, 'active')) !== undefined) {
          await note(tx, by, 'user.enabled', user.id);
        }
        return { kind: 'done', value: (await findUserById(tx, user.id)) ?? user };
      });
    },

    unlock(idOrEmail, by) {
      return act<UserRow>(idOrEmail, by, { type: 'user.unlocked' }, async (tx, user) => {
        if (await deps.lockout.unlock(user.email_key, tx)) await note(tx, by, 'user.unlocked', user.id);
        return { kind: 'done', value: user };
      });
    },

    async revokeSessions(idOrEmail, by) {
      const outcome = await act(idOrEmail, by, { type: 'session.revoked_all' }, async (tx, user) => {
        const epoch = await updateUserEpoch(tx, user.id, { tokens: true, devices: true });
        if (epoch === undefined) return unknownUser;
        const ended = await endEverything(tx, user, epoch, 'admin', by);
        await note(tx, by, 'session.revoked_all', user.id, { sessions: ended.ended.length, kept_current: false });
        return ending(user, ended);
      });
      return settle(outcome, 'admin');
    },

    async resetMfa(idOrEmail, by, as) {
      const outcome = await act(idOrEmail, by, { type: 'mfa.reset', as, isSensitive: true }, async (tx, user) => {
        const removed = await deps.factors.removeAll(tx, user.id);
        if (removed === 0) return ending(user, { ended: [], pending: await revocation.mark(tx) });
        const epoch = await updateUserEpoch(tx, user.id, { tokens: true, devices: true });
        if (epoch === undefined) return unknownUser;
        const ended = await endEverything(tx, user, epoch, 'factor_removed', by);
        await note(tx, by, 'mfa.reset', user.id, { factors: removed, sessions: ended.ended.length });
        const values = { method: 'every second factor' };
        await deps.mail.enqueue(tx, { kind: 'mfa_removed', to: user.email, values });
        return ending(user, ended);
      });
      return settle(outcome, 'factor_removed');
    },

    async remove(idOrEmail, by, as) {
      const outcome = await act(idOrEmail, by, { type: 'user.deleted', as, isSensitive: true }, async (tx, user) => {
        if (await isLastAdministrator(tx, user)) return lastAdministrator;
        const epoch = await updateUserEpoch(tx, user.id, { tokens: true, devices: true });
        if (epoch === undefined) return unknownUser;
        const ended = await endEverything(tx, user, epoch, 'deleted', by);
        await note(tx, by, 'user.deleted', user.id);
        await deleteUser(tx, user.id);
        return ending(user, ended);
      });
      return settle(outcome, 'deleted');
    },
  };
}
