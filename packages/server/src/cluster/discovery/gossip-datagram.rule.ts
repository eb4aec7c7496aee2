/**
 * An announcement on the wire: "I am at this address", for those who hold the cluster's secret and for nobody else.
 *
 *     magic 4 | sender 16 | nonce 12 | tag 16 | sealed: sent at 6 | port 2 | length 1 | host | (more, of later versions)
 *
 * - Sealed by AES-256-GCM, under a key of the sender's own (HKDF-SHA-256 of the cluster's key with the sender's random id), with
 *   a nonce of four random bytes and a counter: no two announcements share key and nonce, however many nodes there are.
 * - `openAnnouncement` takes any bytes, never throws, and does no work on what cannot be an announcement.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

export interface Announcement {
  readonly host: string;
  readonly port: number;
  /** The sender's wall clock. */
  readonly sentAtMs: number;
}

/** What can be seen of an announcement without the secret. */
export interface Envelope {
  /** 16 random bytes that a node draws at its start, as hex. */
  readonly sender: string;
  readonly counter: bigint;
}

export const senderBytes = 16;
export const saltBytes = 4;
/** Longer ones are not looked at. A whole announcement stays below any MTU. */
export const datagramBytesMax = 512;

const magic = Buffer.from('ASG1');
const nonceBytes = saltBytes + 8;
const tagBytes = 16;
const headBytes = magic.length + senderBytes;
const bodyAt = headBytes + nonceBytes + tagBytes;
const bodyBytesMin = 6 + 2 + 1 + 1;
const hostBytesMax = 253;

export const clusterKeyOf = (secret: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', 'auth-service/cluster/gossip/v1', 32));

export const senderKeyOf = (clusterKey: Uint8Array, sender: string): Buffer =>
  Buffer.from(hkdfSync('sha256', clusterKey, Buffer.from(sender, 'hex'), 'auth-service/cluster/gossip/sender/v1', 32));

/** `salt`: fresh random bytes; `counter` must never repeat for one sender. */
export function sealAnnouncement(
  { host, port, sentAtMs }: Announcement,
  { sender, counter }: Envelope,
  { senderKey, salt }: { readonly senderKey: Uint8Array; readonly salt: Uint8Array },
): Buffer {
  const name = Buffer.from(host);
  if (name.length === 0 || name.length > hostBytesMax) throw new Error('the address cannot be announced');
  const body = Buffer.alloc(9 + name.length);
  body.writeUIntBE(Math.max(0, Math.floor(sentAtMs)), 0, 6);
  body.writeUInt16BE(port, 6);
  body.writeUInt8(name.length, 8);
  name.copy(body, 9);
  const nonce = Buffer.alloc(nonceBytes);
  nonce.set(salt.subarray(0, saltBytes));
  nonce.writeBigUInt64BE(counter, saltBytes);
  const head = Buffer.concat([magic, Buffer.from(sender, 'hex')]);
  const cipher = createCipheriv('aes-256-gcm', senderKey, nonce);
  cipher.setAAD(head);
  const sealed = Buffer.concat([cipher.update(body), cipher.final()]);
  return Buffer.concat([head, nonce, cipher.getAuthTag(), sealed]);
}

/** `undefined`: it cannot be an announcement. */
export function readEnvelope(datagram: Buffer): Envelope | undefined {
  if (datagram.length < bodyAt + bodyBytesMin || datagram.length > datagramBytesMax) return undefined;
  if (!datagram.subarray(0, magic.length).equals(magic)) return undefined;
  return {
    sender: datagram.toString('hex', magic.length, headBytes),
    counter: datagram.readBigUInt64BE(headBytes + saltBytes),
  };
}

/** `undefined`: it was not sealed under this key, or what was sealed makes no sense. */
export function openAnnouncement(datagram: Buffer, senderKey: Uint8Array): Announcement | undefined {
  const body = unseal(datagram, senderKey);
  if (body === undefined || body.length < bodyBytesMin) return undefined;
  const hostEnd = 9 + body.readUInt8(8);
  if (hostEnd === 9 || hostEnd > body.length) return undefined;
  return { sentAtMs: body.readUIntBE(0, 6), port: body.readUInt16BE(6), host: body.toString('utf8', 9, hostEnd) };
}

function unseal(datagram: Buffer, senderKey: Uint8Array): Buffer | undefined {
  if (datagram.length < bodyAt + bodyBytesMin) return undefined;
  const nonce = datagram.subarray(headBytes, headBytes + nonceBytes);
  const tag = datagram.subarray(headBytes + nonceBytes, bodyAt);
  try {
    const decipher = createDecipheriv('aes-256-gcm', senderKey, nonce, { authTagLength: tagBytes });
    decipher.setAAD(datagram.subarray(0, headBytes));
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(datagram.subarray(bodyAt)), decipher.final()]);
  } catch {
    return undefined;
  }
}
