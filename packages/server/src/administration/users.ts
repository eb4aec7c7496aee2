/** What an operator does to accounts: create, disable, enable, revoke, verify. Each is one transaction with its audit event. */
import type { Receipt } from '@auth-service/protocol';
import {
  type Access,
  claimsTooLarge,
  countOtherAdministrators,
  findRolesForGrant,
  lastAdministrator,
  lockAdministrators,
  permissionsOf,
} from '../access/index.ts';
import {
  canonicalEmail,
  countUsers,
  describeEmailProblem,
  findUserByEmailKey,
  findUserById,
  insertUser,
  listUsers,
  type UserRow,
  updateEmailVerified,
  updateUserStatus,
} from '../accounts/index.ts';
import { type Audit, noOrigin, type Origin } from '../audit/index.ts';
import { checkPassword, type PasswordHasher } from '../passwords/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { Revocation } from '../revocation/index.ts';
import type { Sessions } from '../sessions/index.ts';
import type { RevokeAll } from '../tokens/index.ts';

export interface Operator {
  readonly actor: string;
  readonly origin: Origin;
}

export const commandLine: Operator = { actor: 'cli', origin: noOrigin };

export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused'; readonly detail: string };

export interface NewUser {
  readonly email: string;
  readonly password: string;
  readonly firstName?: string | null;
  readonly lastName?: string | null;
  readonly roles: readonly string[];
  readonly emailVerified: boolean;
}

export interface Users {
  /** By id or by address. */
  find(idOrEmail: string): Promise<UserRow | undefined>;
  list(page: { afterId: string | null; search: string | null; limit: number }): Promise<readonly UserRow[]>;
  create(user: NewUser, by: Operator): Promise<Outcome<UserRow>>;
  /** The first administrator, only while there is no account at all. */
  bootstrap(email: string, password: string): Promise<Outcome<UserRow> | null>;
  /** Ends every session and token of the account at once. */
  disable(idOrEmail: string, by: Operator): Promise<Outcome<Receipt | null>>;
  enable(idOrEmail: string, by: Operator): Promise<Outcome<null>>;
  markVerified(idOrEmail: string, by: Operator): Promise<Outcome<null>>;
  revokeSessions(idOrEmail: string, by: Operator): Promise<Outcome<Receipt & { revoked_sessions: number }>>;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const refused = (detail: string): { kind: 'refused'; detail: string } => ({ kind: 'refused', detail });
const unknownUser = refused('There is no such user.');

function rolesProblem(
  wanted: readonly string[],
  known: readonly { readonly name: string; readonly permissions: readonly string[] }[],
): { kind: 'refused'; detail: string } | null {
  const unknown = wanted.find((name) => !known.some((role) => role.name === name));
  if (unknown !== undefined) return refused(`There is no role named ${unknown.slice(0, 64)}.`);
  const held = known.filter((role) => wanted.includes(role.name));
  return claimsTooLarge(wanted, permissionsOf(held))
    ? refused("The user's roles and permissions would exceed 6 KiB in a token.")
    : null;
}

export function createUsers(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly access: Access;
  readonly passwords: Pick<PasswordHasher, 'hash' | 'verify'>;
  readonly passwordMinLength: number;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
  readonly revokeAll: RevokeAll;
}): Users {
  const { db, audit, sessions, revocation } = deps;

  async function find(idOrEmail: string): Promise<UserRow | undefined> {
    if (uuid.test(idOrEmail)) return findUserById(db, idOrEmail.toLowerCase());
    const address = canonicalEmail(idOrEmail);
    return address.ok ? findUserByEmailKey(db, address.key) : undefined;
  }

  async function create(user: NewUser, by: Operator): Promise<Outcome<UserRow>> {
    const address = canonicalEmail(user.email);
    if (!address.ok) return refused(`${user.email.slice(0, 254)}: ${describeEmailProblem(address.problem)}`);
    const problems = checkPassword(user.password, { minLength: deps.passwordMinLength, email: address.email });
    if (problems.length > 0) return refused(problems.map((problem) => problem.detail).join(' '));
    const roles = [...new Set(['user', ...user.roles])].toSorted();
    const problem = rolesProblem(roles, await deps.access.list());
    if (problem !== null) return problem;
    const hashed = await deps.passwords.hash(user.password);
    if (hashed.kind === 'overloaded') return refused('Too many passwords are being hashed; try again.');
    return db.transaction(async (tx): Promise<Outcome<UserRow>> => {
      // Once more, and held: a role may have gone or grown while the password was hashed.
      const changed = rolesProblem(roles, await findRolesForGrant(tx, roles));
      if (changed !== null) return changed;
      const row = await insertUser(tx, {
        id: deps.random.uuidv7(deps.clock.wallMs()),
        email: address.email,
        emailKey: address.key,
        emailVerified: user.emailVerified,
        passwordHash: hashed.encoded,
        firstName: user.firstName ?? null,
        lastName: user.lastName ?? null,
        roles,
      });
      if (row === undefined) return refused('An account with this address exists.');
      await audit.append(tx, by.origin, {
        type: 'user.created',
        actor: by.actor,
        target: row.id,
        outcome: 'success',
        detail: { roles: row.roles },
      });
      return { kind: 'done', value: row };
    });
  }

  return {
    find,
    list: (page) => listUsers(db, page),
    create,

    async bootstrap(email, password) {
      if ((await countUsers(db)) > 0) return null;
      const admin = { email, password, roles: ['admin'], emailVerified: true };
      return create(admin, { actor: 'system', origin: noOrigin });
    },

    async disable(idOrEmail, by) {
      const user = await find(idOrEmail);
      if (user === undefined) return unknownUser;
      const done = await db.transaction(async (tx) => {
        await lockAdministrators(tx);
        const now = await findUserById(tx, user.id);
        const isLast = now?.roles.includes('admin') === true && (await countOtherAdministrators(tx, user.id)) === 0;
        if (isLast && now?.status === 'active') return 'last' as const;
        const epoch = await updateUserStatus(tx, user.id, 'disabled');
        if (epoch === undefined) return null;
        const { ended, entries } = await sessions.endAll(tx, user.id, null, 'disabled', by.actor);
        const whole = { kind: 'user' as const, subject: user.id, minEpoch: epoch, reason: 'disabled', actor: by.actor };
        const pending = await revocation.append(tx, [...entries, whole]);
        await audit.append(tx, by.origin, {
          type: 'user.disabled',
          actor: by.actor,
          target: user.id,
          outcome: 'success',
        });
        return { ended, pending };
      });
      if (done === 'last') return refused(lastAdministrator.detail);
      if (done === null) return { kind: 'done', value: null };
      sessions.ended(user.id, done.ended, 'disabled');
      return { kind: 'done', value: await revocation.settle(done.pending, user.id) };
    },

    async enable(idOrEmail, by) {
      const user = await find(idOrEmail);
      if (user === undefined) return unknownUser;
      await db.transaction(async (tx) => {
        if ((await updateUserStatus(tx, user.id, 'active')) === undefined) return;
        await audit.append(tx, by.origin, {
          type: 'user.enabled',
          actor: by.actor,
          target: user.id,
          outcome: 'success',
        });
      });
      return { kind: 'done', value: null };
    },

    async markVerified(idOrEmail, by) {
      const user = await find(idOrEmail);
      if (user === undefined) return unknownUser;
      await db.transaction(async (tx) => {
        if (!(await updateEmailVerified(tx, user.id))) return;
        await audit.append(tx, by.origin, {
          type: 'user.email_verified',
          actor: by.actor,
          target: user.id,
          outcome: 'success',
        });
      });
      return { kind: 'done', value: null };
    },

    async revokeSessions(idOrEmail, by) {
      const user = await find(idOrEmail);
      if (user === undefined) return unknownUser;
      const options = { keep: null, reason: 'admin' as const, actor: by.actor, origin: by.origin };
      const receipt = await deps.revokeAll(user.id, options);
      return receipt === undefined ? unknownUser : { kind: 'done', value: receipt };
    },
  };
}
