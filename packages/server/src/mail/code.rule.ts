/**
 * The secret of a mail: 80 random bits in Crockford's base 32, in groups, the same in the link and for typing by hand. Read as people
 * type it: in any case, with or without the dashes, O for 0, I and L for 1.
 */
import { createHash } from 'node:crypto';

export const secretBytes = 10;
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const symbols = 16;
const typedMax = 64;

export function codeOf(secret: Uint8Array): string {
  if (secret.length !== secretBytes) throw new Error(`a mailed secret has ${secretBytes} bytes`);
  let bits = BigInt(`0x${Buffer.from(secret).toString('hex')}`);
  let text = '';
  for (let at = 0; at < symbols; at += 1) {
    text = (alphabet[Number(bits & 31n)] ?? '') + text;
    bits >>= 5n;
  }
  return text.replaceAll(/(.{4})(?=.)/g, '$1-');
}

/** What is stored of the secret that was typed; `undefined` for what cannot be one. */
export function hashOfCode(typed: string): Buffer | undefined {
  if (typed.length > typedMax) return undefined;
  const text = typed.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  if (text.length !== symbols) return undefined;
  let bits = 0n;
  for (const symbol of text) {
    const value = alphabet.indexOf(symbol);
    if (value === -1) return undefined;
    bits = (bits << 5n) | BigInt(value);
  }
  return hashOfSecret(Buffer.from(bits.toString(16).padStart(secretBytes * 2, '0'), 'hex'));
}

/** Random over 80 bits, so a plain hash will do. */
export const hashOfSecret = (secret: Uint8Array): Buffer => createHash('sha256').update(secret).digest();
