/** The registration use case: the rules, the hash, one transaction. The unique index decides who was first. */
import type { TokenAnswer } from '@auth-service/protocol';
import {
  canonicalEmail,
  describeEmailProblem,
  findUserByEmailKey,
  insertUser,
  mayBeRegisteredAgain,
} from '../accounts/index.ts';
import type { Audit, Origin } from '../audit/index.ts';
import type { Mail, MailSecrets } from '../mail/index.ts';
import { checkPassword, type PasswordHasher } from '../passwords/index.ts';
import type { Queryable } from '../platform/database/index.ts';
import type { FieldError } from '../platform/http/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { Sessions } from '../sessions/index.ts';
import type { TokenIssuer } from '../tokens/index.ts';
import type { Devices } from './devices.ts';

export interface RegisterCommand {
  readonly email: string;
  readonly password: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly origin: Origin;
}

export type RegisterOutcome =
  | { readonly kind: 'registered'; readonly answer: TokenAnswer }
  /** The address is to be proven first; the same for a new and for a known one. */
  | { readonly kind: 'verification_sent' }
  | { readonly kind: 'refused'; readonly code: 'email_taken' | 'overloaded' }
  | { readonly kind: 'refused'; readonly code: 'validation_failed'; readonly errors: readonly FieldError[] };

export type Register = (command: RegisterCommand) => Promise<RegisterOutcome>;

export interface RegisterDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly passwords: Pick<PasswordHasher, 'hash' | 'verify'>;
  readonly sessions: Sessions;
  readonly issuer: TokenIssuer;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly secrets: MailSecrets;
  readonly devices: Devices;
  readonly verificationRequired: boolean;
  readonly passwordMinLength: number;
}

export function createRegister(deps: RegisterDeps): Register {
  const { audit, sessions } = deps;
  return async (command) => {
    const address = canonicalEmail(command.email);
    const errors: FieldError[] = [];
    if (!address.ok)
      errors.push({ pointer: '/user/email', code: 'invalid', detail: describeEmailProblem(address.problem) });
    for (const problem of checkPassword(command.password, {
      minLength: deps.passwordMinLength,
      email: address.ok ? address.email : undefined,
    })) {
      errors.push({ pointer: '/user/password', code: problem.code, detail: problem.detail });
    }
    if (!address.ok || errors.length > 0) return { kind: 'refused', code: 'validation_failed', errors };

    deps.issuer.assertReady();
    const hashed = await deps.passwords.hash(command.password);
    if (hashed.kind === 'overloaded') return { kind: 'refused', code: 'overloaded' };
    const done = await sessions.begin(async (tx, start) => {
      const user = await insertUser(tx, {
        id: deps.random.uuidv7(deps.clock.wallMs()),
        email: address.email,
        emailKey: address.key,
        emailVerified: false,
        passwordHash: hashed.encoded,
        firstName: command.firstName,
        lastName: command.lastName,
        roles: ['user'],
      });
      await audit.append(tx, command.origin, {
        type: 'user.registered',
        actor: user?.id ?? null,
        target: user?.id ?? null,
        outcome: user === undefined ? 'denied' : 'success',
        ...(user === undefined ? { detail: { reason: 'email_taken' } } : {}),
      });
      if (deps.verificationRequired) {
        await mailOwner(tx, command, { ...address, isNew: user !== undefined, passwordHash: hashed.encoded });
        return null;
      }
      if (user === undefined) return null;
      const session = await start({ user, amr: ['pwd'], acr: 'aal1', origin: command.origin });
      await deps.devices.note(tx, user, command.origin);
      return { user, session };
    });
    if (deps.verificationRequired) return { kind: 'verification_sent' };
    if (done === null) return { kind: 'refused', code: 'email_taken' };
    return { kind: 'registered', answer: deps.issuer.issue(done) };
  };

  /**
   * The same statements whoever has the address, and one mail (or one to nobody). An address that nobody has proven is whose next
   * mail is answered: what was registered with takes the place of what was there, with the proof and not before. An account that was
   * given more than a registration gives is its owner's by a reset alone.
   */
  async function mailOwner(
    tx: Queryable,
    { firstName, lastName, origin }: RegisterCommand,
    { email, key, isNew, passwordHash }: { email: string; key: string; isNew: boolean; passwordHash: string },
  ): Promise<void> {
    const owner = await findUserByEmailKey(tx, key);
    const mayMail = (await deps.secrets.mayMail(tx, key)) && owner?.status === 'active';
    const isOpen = owner !== undefined && mayBeRegisteredAgain(owner);
    const pending = isNew
      ? {}
      : { pending: { password_hash: passwordHash, first_name: firstName, last_name: lastName } };
    const issued = await deps.secrets.issue(tx, {
      ...{ user: mayMail && isOpen ? owner : undefined, purpose: 'verify_email' },
      ...{ email: owner?.email ?? email, emailKey: key, ...pending },
    });
    const to = owner?.email ?? email;
    if (!mayMail) await deps.mail.enqueue(tx, { kind: 'nothing', to, values: {}, origin });
    else if (!isOpen) {
      await deps.mail.enqueue(tx, { kind: 'already_registered', to, values: {}, origin });
    } else {
      const { values, validSeconds } = issued;
      await deps.mail.enqueue(tx, { kind: 'verify_email', to, values, origin, usefulSeconds: validSeconds });
    }
  }
}
