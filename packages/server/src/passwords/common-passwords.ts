/**
 * The bundled list of common passwords, as fingerprints: sorted six-octet prefixes of SHA-256, searched in place.
 *
 * `common-passwords.bin` is made by `tools/generate-common-passwords.ts` and is read at the first question. With about 18,000
 * entries a password that is not listed is taken for one in 16 thousand million cases.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const fingerprintBytes = 6;

let list: Buffer | undefined;

/** The whole password is compared, without case. It is in NFC. */
export function isCommonPassword(password: string): boolean {
  list ??= readFileSync(new URL('./common-passwords.bin', import.meta.url));
  const wanted = fingerprintOf(password).readUIntBE(0, fingerprintBytes);
  let low = 0;
  let high = list.length / fingerprintBytes;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = list.readUIntBE(middle * fingerprintBytes, fingerprintBytes);
    if (found === wanted) return true;
    if (found < wanted) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** How an entry is stored; the generator writes the same. */
export function fingerprintOf(password: string): Buffer {
  return createHash('sha256').update(password.toLowerCase(), 'utf8').digest().subarray(0, fingerprintBytes);
}
