/**
 * Texts sealed with the cluster's secret, for ways on which others could write or read: AES-256-GCM under a key of the sender's
 * incarnation, numbered. What is forged, changed, of another secret, or not newer than the last of its sender does not open.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

export interface Sealer {
  seal(text: string): string;
  /** `undefined`: not from a holder of the secret, or seen before. */
  open(sealed: string): { readonly from: string; readonly text: string } | undefined;
}

interface Sender {
  readonly key: Buffer;
  last: number;
}

const cipher = 'aes-256-gcm';
const tagBytes = 16;
const form = /^1\.([0-9a-f-]{36})\.([0-9]{1,15})\.([A-Za-z0-9_-]{22,100000})$/;
/** Senders that are remembered; more are those of long ago, or forgeries. */
const sendersMax = 512;

export function createSealer(deps: { readonly secret: string; readonly incarnation: string }): Sealer {
  const { incarnation } = deps;
  const ownKey = keyOf(deps.secret, incarnation);
  const senders = new Map<string, Sender>();
  let count = 0;

  function remember(from: string, sender: Sender): void {
    const [oldest] = senders.keys();
    if (senders.size >= sendersMax && oldest !== undefined) senders.delete(oldest);
    senders.set(from, sender);
  }

  return {
    seal(text) {
      count += 1;
      const head = `1.${incarnation}.${count}`;
      const sealing = createCipheriv(cipher, ownKey, nonceOf(count)).setAAD(Buffer.from(head));
      const bytes = Buffer.concat([sealing.update(text, 'utf8'), sealing.final(), sealing.getAuthTag()]);
      return `${head}.${bytes.toString('base64url')}`;
    },
    open(sealed) {
      const [, from, number, body] = form.exec(sealed) ?? [];
      if (from === undefined || number === undefined || body === undefined) return undefined;
      const sender = senders.get(from) ?? { key: keyOf(deps.secret, from), last: 0 };
      const at = Number(number);
      if (at <= sender.last) return undefined;
      const text = decrypt(sender.key, at, `1.${from}.${number}`, Buffer.from(body, 'base64url'));
      if (text === undefined) return undefined;
      sender.last = at;
      if (!senders.has(from)) remember(from, sender);
      return { from, text };
    },
  };
}

function decrypt(key: Buffer, at: number, head: string, bytes: Buffer): string | undefined {
  const opening = createDecipheriv(cipher, key, nonceOf(at), { authTagLength: tagBytes });
  opening.setAAD(Buffer.from(head)).setAuthTag(bytes.subarray(-tagBytes));
  try {
    return Buffer.concat([opening.update(bytes.subarray(0, -tagBytes)), opening.final()]).toString();
  } catch {
    return undefined;
  }
}

const keyOf = (secret: string, incarnation: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, incarnation, 'auth-service hint seal 1', 32));

/** A key is of one process, so a number is used once under it. */
function nonceOf(count: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(count), 4);
  return nonce;
}
