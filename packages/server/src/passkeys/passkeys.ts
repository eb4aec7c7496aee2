/** Use cases of the owner of passkeys; see `index.ts` for what they guarantee. */
import type { AttestationResponse, CreationOptions, Passkey, Receipt } from '@auth-service/protocol';
import { findUserById, type UserRow } from '../accounts/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Mail } from '../mail/index.ts';
import type { FactorOwner, Factors } from '../mfa/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { type Ceremonies, describeCredential } from './ceremonies.ts';
import { algorithms, ceremonySeconds, userHandleOf } from './ceremony.rule.ts';
import {
  countPasskeysOf,
  deletePasskey,
  insertPasskey,
  listPasskeysOf,
  type PasskeyRow,
  updatePasskeyName,
} from './passkeys.sql.ts';

export type PasskeyRefusal =
  | { readonly kind: 'refused'; readonly code: 'token_revoked' | 'webauthn_failed' | 'not_found' }
  /** The account has a second factor, and this session was begun without. */
  | { readonly kind: 'refused'; readonly code: 'reauthentication_required' }
  | { readonly kind: 'refused'; readonly code: 'conflict'; readonly detail: string };

export type PasskeyOutcome<T> = { readonly kind: 'done'; readonly value: T } | PasskeyRefusal;

export interface Passkeys {
  creationOptions(holder: FactorOwner): Promise<PasskeyOutcome<CreationOptions>>;
  add(holder: FactorOwner, response: AttestationResponse, name: string | undefined): Promise<PasskeyOutcome<Passkey>>;
  list(userId: string): Promise<readonly Passkey[]>;
  rename(holder: Omit<FactorOwner, 'acr'>, id: string, name: string): Promise<PasskeyOutcome<Passkey>>;
  /** Ends every other session of the account, and its device tokens. */
  remove(holder: FactorOwner, id: string): Promise<PasskeyOutcome<Receipt & { readonly revoked_sessions: number }>>;
}

export interface PasskeysDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly audit: Audit;
  readonly mail: Pick<Mail, 'enqueue'>;
  readonly ceremonies: Ceremonies;
  readonly factors: Pick<Factors, 'lock' | 'settle' | 'removed' | 'receiptOf'>;
}

const passkeysMax = 20;
const transportsMax = 8;
const usualName = 'Passkey';

const done = <T>(value: T): PasskeyOutcome<T> => ({ kind: 'done', value });
const gone: PasskeyRefusal = { kind: 'refused', code: 'token_revoked' };
const failed: PasskeyRefusal = { kind: 'refused', code: 'webauthn_failed' };
const unknown: PasskeyRefusal = { kind: 'refused', code: 'not_found' };
const tooWeak: PasskeyRefusal = { kind: 'refused', code: 'reauthentication_required' };
const conflict = (detail: string): PasskeyRefusal => ({ kind: 'refused', code: 'conflict', detail });
const full = conflict(`An account has at most ${passkeysMax} passkeys: remove one first.`);
const lastWayIn = conflict(
  'This passkey is the last way into the account: set a password or add another passkey first.',
);

export function createPasskeys(deps: PasskeysDeps): Passkeys {
  const { db, audit, mail, ceremonies, factors } = deps;

  /** The account as it is while its row is locked, or why this session may not change its factors. */
  async function lockAccount(tx: Queryable, holder: FactorOwner): Promise<UserRow | PasskeyRefusal> {
    const user = await factors.lock(tx, holder);
    if (user === 'gone') return gone;
    return user === 'step_up' ? tooWeak : user;
  }

  async function note(
    on: Queryable,
    { userId, origin }: Pick<FactorOwner, 'userId' | 'origin'>,
    what: 'added' | 'renamed' | 'removed',
    target: string,
    outcome: 'success' | 'failure' | 'denied' = 'success',
  ): Promise<void> {
    await audit.append(on, origin, { type: `passkey.${what}`, actor: userId, target, outcome });
  }

  const tell = (
    tx: Queryable,
    { origin }: FactorOwner,
    user: UserRow,
    kind: 'passkey_added' | 'passkey_removed',
    name: string,
  ): Promise<void> => mail.enqueue(tx, { kind, to: user.email, values: { name }, origin });

  return {
    async creationOptions({ userId, acr }) {
      const user = await findUserById(db, userId);
      if (user === undefined) return gone;
      if (user.mfa_enabled && acr !== 'aal2') return tooWeak;
      const known = await listPasskeysOf(db, userId);
      if (known.length >= passkeysMax) return full;
      const { party } = ceremonies;
      const names = [user.first_name, user.last_name].filter((name) => name !== null && name !== '').join(' ');
      return done({
        rp: { id: party.id, name: party.id },
        user: { id: userHandleOf(userId), name: user.email, displayName: names === '' ? user.email : names },
        challenge: await ceremonies.challenge('registration', userId),
        pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key', alg })),
        timeout: ceremonySeconds * 1_000,
        excludeCredentials: known.map(describeCredential),
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
        attestation: 'none',
      });
    },

    async add(holder, response, name) {
      const { userId } = holder;
      const credential = await ceremonies.attest(userId, response);
      if (credential === undefined) {
        await note(db, holder, 'added', userId, 'failure');
        return failed;
      }
      return db.transaction(async (tx) => {
        const user = await lockAccount(tx, holder);
        if ('kind' in user) return user;
        if ((await countPasskeysOf(tx, userId)) >= passkeysMax) return full;
        const added = await insertPasskey(tx, {
          id: deps.random.uuidv7(deps.clock.wallMs()),
          user_id: userId,
          credential_id: credential.credentialId,
          public_key: credential.publicKey,
          sign_count: credential.signCount,
          transports: [...new Set(response.response.transports ?? [])].slice(0, transportsMax),
          backup_eligible: credential.backupEligible,
          backed_up: credential.backedUp,
          aaguid: credential.aaguid,
          name: nameOf(name),
        });
        // Somebody's already: a credential belongs to one account.
        if (added === undefined) {
          await note(tx, holder, 'added', userId, 'denied');
          return failed;
        }
        await factors.settle(tx, userId);
        await note(tx, holder, 'added', added.id);
        await tell(tx, holder, user, 'passkey_added', added.name);
        return done(toPasskey(added));
      });
    },

    list: async (userId) => (await listPasskeysOf(db, userId)).map(toPasskey),

    rename: (holder, id, name) =>
      db.transaction(async (tx) => {
        const renamed = await updatePasskeyName(tx, holder.userId, id, nameOf(name));
        if (renamed === undefined) return unknown;
        await note(tx, holder, 'renamed', id);
        return done(toPasskey(renamed));
      }),

    async remove(holder, id) {
      const { userId } = holder;
      const removed = await db.transaction(async (tx) => {
        const user = await lockAccount(tx, holder);
        if ('kind' in user) return user;
        const passkeys = await listPasskeysOf(tx, userId);
        const removedRow = passkeys.find((passkey) => passkey.id === id);
        if (removedRow === undefined) return unknown;
        if (user.password_hash === null && passkeys.length === 1) {
          await note(tx, holder, 'removed', id, 'denied');
          return lastWayIn;
        }
        await deletePasskey(tx, userId, id);
        const over = await factors.removed(tx, holder);
        await note(tx, holder, 'removed', id);
        await tell(tx, holder, user, 'passkey_removed', removedRow.name);
        return { kind: 'removed', over } as const;
      });
      return removed.kind === 'removed' ? done(await factors.receiptOf(userId, removed.over)) : removed;
    },
  };
}

const nameOf = (name: string | undefined): string => {
  const trimmed = name?.normalize('NFC').trim() ?? '';
  return trimmed === '' ? usualName : trimmed;
};

const toPasskey = (row: PasskeyRow): Passkey => ({
  id: row.id,
  name: row.name,
  created_at: row.created_at.toISOString(),
  last_used_at: row.last_used_at?.toISOString() ?? null,
  transports: [...row.transports],
  backup_eligible: row.backup_eligible,
  backed_up: row.backed_up,
  aaguid: row.aaguid,
});
