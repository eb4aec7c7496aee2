/**
 * The login use case, top to bottom: credential, lockout, hash, one transaction. An unknown address and a wrong password
 * take the same steps, the same statements and the same time.
 */
import type { TokenAnswer } from '@auth-service/protocol';
import { canonicalEmail, findUserByEmailKey, type UserRow, updatePasswordHash } from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { RootSecret } from '../keys/index.ts';
import { type Lockout, readDeviceToken } from '../lockout/index.ts';
import type { Mail } from '../mail/index.ts';
import type { PasswordHasher } from '../passwords/index.ts';
import type { Database } from '../platform/database/index.ts';
import type { TokenIssuer } from '../tokens/index.ts';
import type { CompleteLogin } from './complete.ts';
import type { MfaRequired, SecondStep } from './second-step.ts';

export interface LoginCommand {
  readonly email: string;
  readonly password: string;
  readonly deviceToken: string | undefined;
  readonly origin: Origin;
}

export type LoginOutcome =
  | { readonly kind: 'logged_in'; readonly answer: TokenAnswer }
  | {
      readonly kind: 'refused';
      readonly code:
        | 'invalid_credentials'
        | 'account_locked'
        | 'account_disabled'
        | 'email_not_verified'
        | 'overloaded';
      readonly retryAfterSeconds?: number;
    }
  /** The password was right; the account has a second factor. */
  | MfaRequired;

export type Login = (command: LoginCommand) => Promise<LoginOutcome>;

export interface LoginDeps {
  readonly db: Database;
  readonly root: RootSecret;
  readonly audit: Audit;
  readonly passwords: Pick<PasswordHasher, 'hash' | 'verify' | 'accepts'>;
  readonly lockout: Lockout;
  readonly lockoutMinutes: number;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly issuer: TokenIssuer;
  readonly complete: CompleteLogin;
  readonly secondStep: Pick<SecondStep, 'require'>;
  readonly verificationRequired: boolean;
  readonly onLockout: () => void;
}

const refused = (code: Extract<LoginOutcome, { kind: 'refused' }>['code'], retryAfterSeconds?: number): LoginOutcome =>
  retryAfterSeconds === undefined ? { kind: 'refused', code } : { kind: 'refused', code, retryAfterSeconds };

export function createLogin(deps: LoginDeps): Login {
  const { db, root, audit, passwords, lockout } = deps;

  return async (command) => {
    // In a flood most are refused: that must not cost the store anything.
    if (!passwords.accepts()) return refused('overloaded', 1);
    const address = canonicalEmail(command.email);
    // What cannot be an address is nobody's: counted and checked like an unknown one.
    const emailKey = address.ok ? address.key : `\u0000${command.email}`;
    const user = address.ok ? await findUserByEmailKey(db, emailKey) : undefined;

    const attempt = await lockout.attempt(emailKey, deviceOf(command, user), async () => {
      const checked = await passwords.verify(command.password, user?.password_hash ?? undefined);
      return checked.kind === 'overloaded' ? { undecided: checked } : { ok: checked.ok, value: checked };
    });
    switch (attempt.kind) {
      case 'locked':
        await note(command, user, 'denied', 'locked');
        return refused('account_locked', attempt.retryAfterSeconds);
      case 'undecided':
        return refused('overloaded', 1);
      case 'failed':
        if (attempt.lockedNow) {
          deps.onLockout();
          await tellLocked(command, user);
        }
        await note(command, user, 'failure', attempt.lockedNow ? 'locked_now' : 'invalid_credentials');
        return refused('invalid_credentials');
      case 'succeeded':
        break;
    }
    if (user === undefined) return refused('invalid_credentials');
    if (user.status === 'disabled') {
      await note(command, user, 'denied', 'disabled');
      return refused('account_disabled');
    }
    if (deps.verificationRequired && !user.email_verified) {
      await note(command, user, 'denied', 'email_not_verified');
      return refused('email_not_verified');
    }
    deps.issuer.assertReady();
    const hash = attempt.value.needsRehash ? await rehash(user, command.password) : user.password_hash;
    const done = await deps.complete({
      userId: user.id,
      amr: ['pwd'],
      acr: 'aal1',
      origin: command.origin,
      // Given another password while the hash was checked: that ends device tokens, and a better hash of the same does not.
      stillHolds: (now) => now.password_hash === hash || now.device_epoch === user.device_epoch,
    });
    switch (done.kind) {
      case 'completed':
        return { kind: 'logged_in', answer: done.answer };
      case 'second_factor_needed':
        return deps.secondStep.require(
          { user: done.user, purpose: { kind: 'login' }, amr: ['pwd'] },
          done.user,
          command.origin,
        );
      case 'not_any_more':
        return refused('invalid_credentials');
    }
  };

  /** Once a lock. For an address without an account there is a mail to nobody: the same work. */
  async function tellLocked({ email, origin }: LoginCommand, user: UserRow | undefined): Promise<void> {
    const to = user?.email ?? email;
    const values = { minutes: String(deps.lockoutMinutes) };
    await deps.mail.enqueue(
      db,
      user === undefined ? { kind: 'nothing', to, values: {}, origin } : { kind: 'account_locked', to, values, origin },
    );
  }

  function deviceOf(command: LoginCommand, user: UserRow | undefined): string | undefined {
    if (command.deviceToken === undefined || user === undefined) return undefined;
    const holder = { userId: user.id, deviceEpoch: user.device_epoch };
    return readDeviceToken(root.key('device-tokens'), command.deviceToken, holder);
  }

  /** A better hash of the same password; the old one serves when the hashers are busy. */
  async function rehash(user: UserRow, password: string): Promise<string | null> {
    const hashed = await passwords.hash(password);
    if (hashed.kind === 'overloaded') return user.password_hash;
    const replaced = await updatePasswordHash(db, user.id, user.password_hash, hashed.encoded);
    return replaced ? hashed.encoded : user.password_hash;
  }

  async function note(
    command: LoginCommand,
    user: UserRow | undefined,
    outcome: 'failure' | 'denied',
    reason: string,
  ): Promise<void> {
    await audit.append(db, command.origin, {
      type: 'authn_login',
      actor: user?.id ?? null,
      target: user?.id ?? null,
      outcome,
      detail: { reason },
    });
  }
}
