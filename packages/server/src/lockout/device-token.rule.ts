/**
 * Device tokens: proof that somebody logged in from this device before (OWASP device cookies). `dt_` and the base64url of
 * device id (16 octets), time of issue (6, milliseconds) and HMAC-SHA-256 (32) over both, the account and its device epoch:
 * raising the epoch ends every device's token. A token authenticates nobody; it only chooses whose counter is used.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface DeviceHolder {
  readonly userId: string;
  readonly deviceEpoch: number;
}

export interface NewDeviceToken extends DeviceHolder {
  readonly key: Uint8Array;
  readonly random: { bytes(count: number): Uint8Array };
  /** Milliseconds since 1970. */
  readonly now: number;
}

const prefix = 'dt_';
const idBytes = 16;
const timeBytes = 6;
const macBytes = 32;
const tokenBytes = idBytes + timeBytes + macBytes;
const tokenLength = prefix.length + Math.ceil((tokenBytes * 4) / 3);

export function issueDeviceToken({ key, random, now, ...holder }: NewDeviceToken): string {
  const body = Buffer.alloc(idBytes + timeBytes);
  body.set(random.bytes(idBytes));
  body.writeUIntBE(now, idBytes, timeBytes);
  return prefix + Buffer.concat([body, macOf(key, body, holder)]).toString('base64url');
}

/** The device's id, or `undefined` for anything that is no token of ours for this account as it is now. */
export function readDeviceToken(key: Uint8Array, token: string, holder: DeviceHolder): string | undefined {
  if (token.length !== tokenLength || !token.startsWith(prefix)) return undefined;
  const text = token.slice(prefix.length);
  const bytes = Buffer.from(text, 'base64url');
  // The decoder is lenient; only the one spelling that we write is a token.
  if (bytes.length !== tokenBytes || bytes.toString('base64url') !== text) return undefined;
  const body = bytes.subarray(0, idBytes + timeBytes);
  if (!timingSafeEqual(bytes.subarray(body.length), macOf(key, body, holder))) return undefined;
  return body.toString('hex', 0, idBytes);
}

function macOf(key: Uint8Array, body: Uint8Array, { userId, deviceEpoch }: DeviceHolder): Buffer {
  return createHmac('sha256', key).update(`device-token/v1/${deviceEpoch}/${userId}/`).update(body).digest();
}
