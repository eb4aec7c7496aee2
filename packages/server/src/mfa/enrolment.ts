/** Use cases of an owner's second factors; see `index.ts` for what they guarantee. */
import type { MfaAnswer } from '@auth-service/protocol';
import { renderSVG } from 'uqr';
import { findUserById, type UserRow } from '../accounts/index.ts';
import type { Audit } from '../audit/index.ts';
import type { RootSecret } from '../keys/index.ts';
import type { Mail } from '../mail/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import type { Ended, FactorOwner, Factors, Removed } from './factors.ts';
import { countRecoveryCodes } from './recovery-codes.sql.ts';
import { sealContext } from './second-factor.ts';
import { describeTotp, stepOf, totpSecretBytes } from './totp.rule.ts';
import {
  deleteConfirmedTotp,
  findConfirmedTotp,
  findWaitingTotp,
  insertWaitingTotp,
  updateTotpConfirmed,
} from './totp.sql.ts';

export type FactorRefusal = {
  readonly kind: 'refused';
  readonly code: 'token_revoked' | 'reauthentication_required' | 'mfa_invalid' | 'not_found' | 'conflict';
  readonly detail?: string;
};

export type FactorOutcome<T> = { readonly kind: 'done'; readonly value: T } | FactorRefusal;

export interface Enrolment {
  describe(userId: string): Promise<FactorOutcome<MfaAnswer>>;
  /** A new secret, shown once; it counts for nothing before `confirm`. */
  beginTotp(owner: FactorOwner): Promise<FactorOutcome<{ secret: string; otpauth_uri: string; qr_svg: string }>>;
  /** Answers the recovery codes, shown once. */
  confirmTotp(owner: FactorOwner, code: string): Promise<FactorOutcome<readonly string[]>>;
  removeTotp(owner: FactorOwner): Promise<FactorOutcome<Ended>>;
  renewRecoveryCodes(owner: FactorOwner): Promise<FactorOutcome<readonly string[]>>;
}

export interface EnrolmentDeps {
  readonly db: Database;
  readonly root: RootSecret;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly factors: Factors;
  /** What apps show above the account. */
  readonly issuer: string;
}

/** As long as an authentication is fresh. */
const waitingSeconds = 600;
const method = 'authenticator app';

const refused = (code: FactorRefusal['code'], detail?: string): FactorRefusal =>
  detail === undefined ? { kind: 'refused', code } : { kind: 'refused', code, detail };

export function createEnrolment(deps: EnrolmentDeps): Enrolment {
  const { db, root, clock, random, audit, mail, factors } = deps;

  /** One transaction on the user's locked row, of an owner who may change factors. */
  function change<T>(
    owner: FactorOwner,
    work: (tx: Queryable, user: UserRow) => Promise<T | FactorRefusal>,
  ): Promise<T | FactorRefusal> {
    return db.transaction(async (tx) => {
      const user = await factors.lock(tx, owner);
      if (user === 'gone') return refused('token_revoked');
      if (user === 'step_up') return refused('reauthentication_required');
      return work(tx, user);
    });
  }

  const note = (tx: Queryable, { userId, origin }: FactorOwner, type: string): Promise<void> =>
    audit.append(tx, origin, { type, actor: userId, target: userId, outcome: 'success' });

  return {
    async describe(userId) {
      const user = await findUserById(db, userId);
      if (user === undefined) return refused('token_revoked');
      const totp = await findConfirmedTotp(db, userId);
      const value = {
        enabled: user.mfa_enabled,
        methods: [...(await factors.methodsOf(db, user))],
        totp: totp?.confirmed_at ? { confirmed_at: totp.confirmed_at.toISOString() } : null,
        recovery_codes_left: await countRecoveryCodes(db, userId),
      };
      return { kind: 'done', value };
    },

    async beginTotp(owner) {
      const secret = random.bytes(totpSecretBytes);
      const id = random.uuidv7(clock.wallMs());
      const done = await change(owner, async (tx, user) => {
        const sealed = root.seal('mfa-secrets', sealContext(user.id, id), secret);
        await insertWaitingTotp(tx, { id, userId: user.id, secret: sealed, lifeSeconds: waitingSeconds });
        await note(tx, owner, 'mfa.totp_begun');
        return { email: user.email };
      });
      if ('kind' in done) return done;
      const shown = describeTotp(secret, { issuer: deps.issuer, account: done.email });
      const value = { secret: shown.secret, otpauth_uri: shown.uri, qr_svg: renderSVG(shown.uri, { ecc: 'M' }) };
      return { kind: 'done', value };
    },

    async confirmTotp(owner, code) {
      const done = await change(owner, async (tx, user) => {
        const waiting = await findWaitingTotp(tx, user.id);
        const opened = waiting && root.open('mfa-secrets', sealContext(user.id, waiting.id), waiting.secret);
        if (waiting === undefined || opened === undefined) {
          return refused('conflict', 'No authenticator app waits to be confirmed.');
        }
        const step = stepOf(opened.plain, code, clock.wallMs());
        if (step === undefined) return refused('mfa_invalid');
        const replaces = await deleteConfirmedTotp(tx, user.id);
        if (!(await updateTotpConfirmed(tx, waiting.id, step))) return refused('mfa_invalid');
        await factors.settle(tx, user.id);
        const codes = await factors.renewRecoveryCodes(tx, user.id);
        await note(tx, owner, replaces ? 'mfa.totp_replaced' : 'mfa.totp_added');
        await mail.enqueue(tx, { kind: 'mfa_added', to: user.email, values: { method }, origin: owner.origin });
        return { codes, removed: replaces ? await factors.removed(tx, owner) : undefined };
      });
      if ('kind' in done) return done;
      if (done.removed !== undefined) await factors.receiptOf(owner.userId, done.removed);
      return { kind: 'done', value: done.codes };
    },

    async removeTotp(owner) {
      const done = await change<{ removed: Removed }>(owner, async (tx, user) => {
        if (!(await deleteConfirmedTotp(tx, user.id))) return refused('not_found');
        const removed = await factors.removed(tx, owner);
        await note(tx, owner, 'mfa.totp_removed');
        await mail.enqueue(tx, { kind: 'mfa_removed', to: user.email, values: { method }, origin: owner.origin });
        return { removed };
      });
      if ('kind' in done) return done;
      return { kind: 'done', value: await factors.receiptOf(owner.userId, done.removed) };
    },

    async renewRecoveryCodes(owner) {
      const done = await change(owner, async (tx, user) => {
        if (!user.mfa_enabled)
          return refused('conflict', 'Recovery codes stand in for a second factor; there is none.');
        const codes = await factors.renewRecoveryCodes(tx, user.id);
        await note(tx, owner, 'mfa.recovery_codes_renewed');
        return { codes };
      });
      return 'kind' in done ? done : { kind: 'done', value: done.codes };
    },
  };
}
