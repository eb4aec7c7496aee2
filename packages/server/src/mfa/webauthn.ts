/**
 * The port of passkeys as a second factor: what `passkeys` hands to `mfa`, and `login` asks by way of it.
 *
 * An assertion is checked outside a transaction; what must happen once (the challenge is used up, the counter grows) is the
 * adapter's own, by one statement. Wrong assertions are counted by the caller.
 */
import type { Queryable } from '../platform/database/index.ts';

/** What a challenge is for; one that was given for one purpose serves no other. */
export type WebauthnPurpose = 'second_factor' | 'reauthenticate';

export interface WebauthnFactor {
  /** Whether this user has a passkey; asked in transactions that add or remove a factor, too. */
  has(on: Queryable, userId: string): Promise<boolean>;
  /** Removes every passkey of this user, in the transaction that resets its factors; answers how many. */
  removeAll(tx: Queryable, userId: string): Promise<number>;
  /** From now on none of them opens the account by itself, before `trust`. */
  holdBack(tx: Queryable, userId: string): Promise<void>;
  /** In the transaction of a login that it served beside another factor; false where it is gone. */
  trust(tx: Queryable, credentialId: string): Promise<boolean>;
  /** PublicKeyCredentialRequestOptions as JSON, for this user's passkeys; its challenge is kept for this user and purpose. */
  options(userId: string, purpose: WebauthnPurpose): Promise<Readonly<Record<string, unknown>>>;
  /** `response`: a PublicKeyCredential as JSON, of anybody's making. */
  verify(userId: string, purpose: WebauthnPurpose, response: unknown): Promise<WebauthnVerified>;
}

export type WebauthnVerified =
  /** User verification included; `hwk` or `swk` by where the key lives (RFC 8176). */
  { readonly ok: true; readonly method: 'hwk' | 'swk'; readonly credentialId: string } | { readonly ok: false };
