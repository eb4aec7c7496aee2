/**
 * The refresh token: `rt_` and base64url over MAC ‖ session id (16) ‖ user id (16, for stores that need it) ‖ counter (4).
 *
 * It is derived, not stored: who holds the root secret computes the successor again, so a retry within the grace period gets
 * the same answer and a dump of the database holds no token. The MAC stands first, so no two tokens share a beginning.
 * With a MAC of 16 bytes without the user and of 18 with it, either form has no spare bits and no padding: each token has
 * exactly one spelling, and neither form can be read as the other.
 */
import type { RootSecret } from '../keys/index.ts';

export interface RefreshToken {
  readonly sessionId: string;
  readonly userId: string | null;
  readonly counter: number;
}

export const refreshTokenPrefix = 'rt_';
const idBytes = 16;
const shape = /^rt_[A-Za-z0-9_-]+$/;
/** Bytes of the MAC, by the length of the text behind the prefix. */
const macBytesOf: Readonly<Record<number, number>> = { 48: 16, 72: 18 };

export function writeRefreshToken(root: RootSecret, token: RefreshToken): string {
  const body = bodyOf(token);
  const mac = root.mac('refresh-tokens', body).subarray(0, token.userId === null ? 16 : 18);
  return refreshTokenPrefix + Buffer.concat([mac, body]).toString('base64url');
}

/** `undefined` for everything that this store's secret never signed; no store is asked. */
export function readRefreshToken(root: RootSecret, text: string): RefreshToken | undefined {
  const macBytes = macBytesOf[text.length - refreshTokenPrefix.length];
  if (macBytes === undefined || !shape.test(text)) return undefined;
  const bytes = Buffer.from(text.slice(refreshTokenPrefix.length), 'base64url');
  const body = bytes.subarray(macBytes);
  if (!root.macMatches('refresh-tokens', bytes.subarray(0, macBytes), body)) return undefined;
  const counterAt = body.length - 4;
  return {
    sessionId: uuidOf(body.subarray(0, idBytes)),
    userId: counterAt === idBytes ? null : uuidOf(body.subarray(idBytes, counterAt)),
    counter: body.readUInt32BE(counterAt),
  };
}

function bodyOf({ sessionId, userId, counter }: RefreshToken): Buffer {
  const ids = sessionId + (userId ?? '');
  const body = Buffer.alloc(userId === null ? 20 : 36);
  body.write(ids.replaceAll('-', ''), 0, 'hex');
  body.writeUInt32BE(counter, body.length - 4);
  return body;
}

function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
