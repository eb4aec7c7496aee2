/** Recovery codes: 80 random bits each, in groups that can be read out; upper and lower case, spaces and dashes are one. */
import { createHash } from 'node:crypto';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const codeBytes = 10;
const codeLength = 16;

export const recoveryCodeBytes = codeBytes;

export function writeRecoveryCode(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let code = '';
  for (let at = codeLength - 1; at >= 0; at -= 1) code += alphabet[Number((bits >> BigInt(at * 5)) & 31n)];
  return code.replaceAll(/(.{4})(?=.)/g, '$1-');
}

/** What is stored; `undefined` for what cannot be a code. They are random, so a plain hash hides them. */
export function hashRecoveryCode(userId: string, code: string): Buffer | undefined {
  const plain = code.toLowerCase().replaceAll(/[\s-]/g, '');
  if (plain.length !== codeLength || [...plain].some((letter) => !alphabet.includes(letter))) return undefined;
  return createHash('sha256').update(`recovery-code/${userId}/${plain}`).digest();
}
