/**
 * The form of an API key: `ask_`, twelve hexadecimal digits that name it and may be shown, `_`, and 256 random bits. What is
 * stored is the SHA-256 of the whole: nobody guesses so many bits, so no slow hash is needed.
 */
import { createHash } from 'node:crypto';
import type { Random } from '../platform/random/index.ts';

const nameBytes = 6;
const secretBytes = 32;

export interface MadeKey {
  /** What is shown of it: `ask_0123456789ab`. */
  readonly prefix: string;
  /** The whole; told once. */
  readonly text: string;
  readonly hash: Buffer;
}

export function makeApiKey(random: Pick<Random, 'bytes'>): MadeKey {
  const prefix = `ask_${random.bytes(nameBytes).toString('hex')}`;
  const text = `${prefix}_${random.bytes(secretBytes).toString('base64url')}`;
  return { prefix, text, hash: createHash('sha256').update(text).digest() };
}

/** Revoked or expired keys are told for a while longer. */
export function statusOf(
  key: { readonly revoked_at: Date | null; readonly expires_at: Date | null },
  nowMs: number,
): 'active' | 'expired' | 'revoked' {
  if (key.revoked_at !== null) return 'revoked';
  return key.expires_at !== null && key.expires_at.getTime() <= nowMs ? 'expired' : 'active';
}
