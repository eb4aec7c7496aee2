/**
 * Ceremonies: a challenge is given, and what comes back is checked. A challenge is random, kept as a hash, bound to what it was
 * given for and to whom, and used up by one statement before anything else is looked at, so a second try needs a new one.
 */
import { createHash } from 'node:crypto';
import type { AssertionResponse, AttestationResponse, RequestOptions } from '@auth-service/protocol';
import type { Audit, Origin } from '../audit/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import {
  amrOf,
  ceremonySeconds,
  challengeBytes,
  decideUse,
  readChallenge,
  relyingPartyOf,
  userHandleOf,
} from './ceremony.rule.ts';
import { type Ceremony, consumeChallenge, insertChallenge } from './challenges.sql.ts';
import { findPasskeyByCredential, listPasskeysOf, type PasskeyRow, updatePasskeyUse } from './passkeys.sql.ts';
import {
  type NewCredential,
  type RelyingParty,
  type VerifiedAssertion,
  verifyAssertion,
  verifyAttestation,
} from './webauthn.ts';

/** An assertion whose signature is right. It proves something only when `use` has taken it. */
export interface Assertion {
  readonly userId: string;
  readonly passkeyId: string;
  readonly passkeyName: string;
  readonly amr: readonly string[];
  readonly stored: PasskeyRow;
  readonly signed: VerifiedAssertion;
}

export interface Ceremonies {
  readonly party: RelyingParty;
  /** The new challenge, as it goes into the options. */
  challenge(ceremony: Ceremony, userId: string | null): Promise<string>;
  /** `userId` is `null` where nobody has said who it is: the authenticator knows, and no passkey is named. */
  requestOptions(ceremony: Exclude<Ceremony, 'registration'>, userId: string | null): Promise<RequestOptions>;
  attest(userId: string, response: AttestationResponse): Promise<NewCredential | undefined>;
  /** Of `userId`, or of whomever the passkey belongs to where that is `null`. */
  assertion(
    ceremony: Exclude<Ceremony, 'registration'>,
    userId: string | null,
    response: AssertionResponse,
  ): Promise<Assertion | undefined>;
  /**
   * Takes the assertion, once: its counter has grown, and the passkey is still there. False where it is not, or where the
   * counter tells of a copy; that leaves its event in the audit log.
   */
  use(tx: Queryable, assertion: Assertion, origin: Origin): Promise<boolean>;
  /** Whether the passkey opens its account by itself; asked on the account's locked row. */
  opensAlone(tx: Queryable, assertion: Assertion): Promise<boolean>;
}

const hashOf = (challenge: string): Buffer => createHash('sha256').update(challenge).digest();

export function createCeremonies(deps: {
  readonly db: Database;
  readonly random: Random;
  readonly audit: Audit;
  readonly publicUrl: string;
}): Ceremonies {
  const { db, audit } = deps;
  const party = relyingPartyOf(deps.publicUrl);

  async function challenge(ceremony: Ceremony, userId: string | null): Promise<string> {
    const made = deps.random.bytes(challengeBytes).toString('base64url');
    await insertChallenge(db, { hash: hashOf(made), ceremony, userId, ttlSeconds: ceremonySeconds });
    return made;
  }

  /** The challenge that the response answers, used up; `undefined` when it is none of ours, for this, for this user. */
  async function consume(clientData: string, ceremony: Ceremony, userId: string | null): Promise<string | undefined> {
    const answered = readChallenge(clientData);
    if (answered === undefined) return undefined;
    return (await consumeChallenge(db, { hash: hashOf(answered), ceremony, userId })) ? answered : undefined;
  }

  return {
    party,
    challenge,

    async requestOptions(ceremony, userId) {
      const passkeys = userId === null ? [] : await listPasskeysOf(db, userId);
      return {
        rpId: party.id,
        challenge: await challenge(ceremony, userId),
        timeout: ceremonySeconds * 1_000,
        allowCredentials: passkeys.map(describeCredential),
        userVerification: 'required',
      };
    },

    async attest(userId, response) {
      const answered = await consume(response.response.clientDataJSON, 'registration', userId);
      return answered === undefined ? undefined : verifyAttestation(party, answered, response);
    },

    async assertion(ceremony, userId, response) {
      const answered = await consume(response.response.clientDataJSON, ceremony, userId);
      if (answered === undefined) return undefined;
      const stored = await findPasskeyByCredential(db, Buffer.from(response.id, 'base64url'));
      if (stored === undefined || (userId !== null && stored.user_id !== userId)) return undefined;
      // Who was not asked for must be named by the authenticator itself.
      const handle = response.response.userHandle ?? undefined;
      if (handle === undefined ? userId === null : handle !== userHandleOf(stored.user_id)) return undefined;
      const signed = await verifyAssertion(party, answered, response, { publicKey: stored.public_key });
      if (signed === undefined) return undefined;
      return {
        userId: stored.user_id,
        passkeyId: stored.id,
        passkeyName: stored.name,
        amr: amrOf({ backupEligible: stored.backup_eligible }),
        stored,
        signed,
      };
    },

    async opensAlone(tx, { stored }) {
      return (await findPasskeyByCredential(tx, stored.credential_id))?.alone === true;
    },

    async use(tx, { stored, signed }, origin) {
      const before = { signCount: stored.sign_count, backupEligible: stored.backup_eligible };
      const decision = decideUse(before, signed);
      if (decision === 'accepted' && (await updatePasskeyUse(tx, stored.id, signed))) return true;
      const still = await findPasskeyByCredential(tx, stored.credential_id);
      if (still === undefined) return false;
      await audit.append(tx, origin, {
        type: decision === 'backup_eligibility_changed' ? decision : 'authenticator_clone_suspected',
        actor: stored.user_id,
        target: stored.id,
        outcome: 'denied',
        detail: { stored: still.sign_count, signed: signed.signCount },
      });
      return false;
    },
  };
}

export const describeCredential = (passkey: PasskeyRow): RequestOptions['allowCredentials'][number] => ({
  id: Buffer.from(passkey.credential_id).toString('base64url'),
  type: 'public-key',
  transports: [...passkey.transports],
});
