/** What this service demands of a ceremony beyond what the library checks (WebAuthn Level 3, sections 7.1 and 7.2). */
import type { AssertionResponse } from '@auth-service/protocol';

/** Random bits of a challenge: twice what is asked for. */
export const challengeBytes = 32;
/** EdDSA, ES256, RS256: what is asked for at the registration, and nothing else is taken. */
export const algorithms: readonly number[] = [-8, -7, -257];
/** How long a person may take, in seconds; the challenge is worth nothing after it. */
export const ceremonySeconds = 300;

const challengeForm = /^[A-Za-z0-9_-]{43}$/;

/**
 * The challenge that the client says it answers; `undefined` where the client data could not be of a page of ours: no text of
 * JSON, a page in somebody else's frame. Nothing in it is proven yet.
 */
export function readChallenge(clientDataJSON: string): string | undefined {
  let data: unknown;
  try {
    data = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(clientDataJSON, 'base64url')));
  } catch {
    return undefined;
  }
  if (typeof data !== 'object' || data === null) return undefined;
  const { challenge, crossOrigin, topOrigin } = data as Readonly<Record<string, unknown>>;
  if (crossOrigin !== undefined && crossOrigin !== false) return undefined;
  if (topOrigin !== undefined) return undefined;
  return typeof challenge === 'string' && challengeForm.test(challenge) ? challenge : undefined;
}

export type UseDecision = 'accepted' | 'clone_suspected' | 'backup_eligibility_changed';

/** `signCount` and `backupEligible` as they were stored and as the authenticator signed them. */
export function decideUse(
  stored: { readonly signCount: number; readonly backupEligible: boolean },
  signed: { readonly signCount: number; readonly backupEligible: boolean },
): UseDecision {
  if (stored.backupEligible !== signed.backupEligible) return 'backup_eligibility_changed';
  const counts = stored.signCount > 0 || signed.signCount > 0;
  return counts && signed.signCount <= stored.signCount ? 'clone_suspected' : 'accepted';
}

/** RFC 8176: `swk` for a key that its maker may copy elsewhere; the person was verified, and that is two factors. */
export const amrOf = (passkey: { readonly backupEligible: boolean }): readonly string[] => [
  passkey.backupEligible ? 'swk' : 'hwk',
  'user',
  'mfa',
];

/** The handle by which an authenticator knows an account: the bytes of its id, which tell nothing of the person. */
export const userHandleOf = (userId: string): string =>
  Buffer.from(userId.replaceAll('-', ''), 'hex').toString('base64url');

/** The relying party that the public address makes: its host, and its origin alone. */
export function relyingPartyOf(publicUrl: string): { readonly id: string; readonly origin: string } {
  const { hostname, origin } = new URL(publicUrl);
  return { id: hostname, origin };
}

const base64url = /^[A-Za-z0-9_-]+$/;

/** Whether this has the form of `AssertionResponseSchema`, for what no schema has looked at. */
export function isAssertionResponse(value: unknown): value is AssertionResponse {
  const { id, rawId, type, response } = membersOf(value);
  const { clientDataJSON, authenticatorData, signature, userHandle } = membersOf(response);
  const texts = [id, rawId, clientDataJSON, authenticatorData, signature, userHandle ?? 'none'];
  return type === 'public-key' && texts.every((text) => typeof text === 'string' && base64url.test(text));
}

const membersOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
