/**
 * The refresh token: `rt_` and 48 characters of base64url over MAC (16 bytes) ‖ session id (16) ‖ counter (4).
 *
 * It is derived, not stored: who holds the root secret computes the successor again, so a retry within the grace period gets
 * the same answer and a dump of the database holds no token. The MAC stands first, so no two tokens share a beginning.
 * 36 bytes have no spare bits and no padding: each token has exactly one spelling.
 */
import type { RootSecret } from '../keys/index.ts';

export interface RefreshToken {
  readonly sessionId: string;
  readonly counter: number;
}

export const refreshTokenPrefix = 'rt_';
const macBytes = 16;
const shape = /^rt_[A-Za-z0-9_-]{48}$/;

export function writeRefreshToken(root: RootSecret, token: RefreshToken): string {
  const body = bodyOf(token);
  const mac = root.mac('refresh-tokens', body).subarray(0, macBytes);
  return refreshTokenPrefix + Buffer.concat([mac, body]).toString('base64url');
}

/** `undefined` for everything that this store's secret never signed; no store is asked. */
export function readRefreshToken(root: RootSecret, text: string): RefreshToken | undefined {
  if (!shape.test(text)) return undefined;
  const bytes = Buffer.from(text.slice(refreshTokenPrefix.length), 'base64url');
  const body = bytes.subarray(macBytes);
  if (!root.macMatches('refresh-tokens', bytes.subarray(0, macBytes), body)) return undefined;
  const hex = body.subarray(0, 16).toString('hex');
  const sessionId = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  return { sessionId, counter: body.readUInt32BE(16) };
}

function bodyOf(token: RefreshToken): Buffer {
  const body = Buffer.alloc(20);
  body.write(token.sessionId.replaceAll('-', ''), 0, 'hex');
  body.writeUInt32BE(token.counter, 16);
  return body;
}
