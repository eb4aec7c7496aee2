/**
 * A receipt's `position`: which transaction of which store, and whose revocation it was. Sealed with a MAC, so that nobody
 * asks about a place that was never told to them.
 */
import type { RootSecret } from '../keys/index.ts';

export interface Position {
  /** The revoking transaction's id; `0` where nothing had to be written. */
  readonly xid: string;
  readonly storeEpoch: string;
  /** The user whose tokens were revoked, who may ask for the receipt. */
  readonly userId: string;
}

const macBytes = 16;
const textLengthMax = 512;

export function writePosition(root: RootSecret, position: Position): string {
  const body = Buffer.from(JSON.stringify([position.xid, position.storeEpoch, position.userId]));
  const mac = root.mac('positions', body).subarray(0, macBytes);
  return Buffer.concat([mac, body]).toString('base64url');
}

export function readPosition(root: RootSecret, text: string): Position | undefined {
  if (text.length > textLengthMax || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length <= macBytes || bytes.toString('base64url') !== text) return undefined;
  const body = bytes.subarray(macBytes);
  if (!root.macMatches('positions', bytes.subarray(0, macBytes), body)) return undefined;
  const [xid, storeEpoch, userId] = JSON.parse(body.toString()) as [string, string, string];
  return { xid, storeEpoch, userId };
}
