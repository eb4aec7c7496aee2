/** Keys of a fixed form, and the slot of a Cluster that a key belongs to. */
import { createHash } from 'node:crypto';
import type { RedisKey } from './redis.ts';

const part = /^[A-Za-z0-9_.-]{1,64}$/;
const slots = 16_384;

/** Throws on a part that is not of the form: what comes from outside goes through `digestPart` first. */
export function makeKey(prefix: string, kind: string, tag: string, rest?: string): RedisKey {
  for (const given of rest === undefined ? [kind, tag] : [kind, tag, rest]) {
    if (!part.test(given)) throw new Error('a part of a key of Redis is not of the fixed form');
  }
  return `${prefix}${kind}:{${tag}}${rest === undefined ? '' : `:${rest}`}` as RedisKey;
}

/** 22 letters for any text. Not secret: without a key, and as guessable as the text. */
export const digestPart = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** CRC-16/XMODEM of the hash tag, as the specification of Redis Cluster has it. Our keys always have a tag. */
export function slotOf(key: string): number {
  const from = key.indexOf('{');
  const to = key.indexOf('}', from + 1);
  const hashed = from >= 0 && to > from + 1 ? key.slice(from + 1, to) : key;
  let crc = 0;
  for (const octet of Buffer.from(hashed)) {
    crc ^= octet << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % slots;
}
