/**
 * A bounded cache of verified tokens. Two generations: what is used moves to the young one, and when that is full the old one
 * goes as a whole, so nothing is ever scanned. It is entered only after a full verification, found by a hash of the signature's
 * characters, and answers only for a token that is the same in every character. What it holds says nothing about time, keys or
 * revocation: whoever takes from it asks those anew.
 *
 * A token is looked for at the end of a text, as it comes in a header: cutting it out first would make a string that is a slice,
 * and comparing with a slice costs more than everything else here.
 */
export interface Cached {
  readonly token: string;
  /** The text at whose end the token was found, whole and flat; `undefined` while it came alone. */
  framed: string | undefined;
}

export interface TokenCache<T extends Cached> {
  /** By what `text` is from `start` on. */
  find(text: string, start?: number): T | undefined;
  add(slot: T): void;
  delete(token: string): void;
  size(): number;
}

/**
 * What a slot weighs, roughly: measured 2.3 bytes a character of a common token (its text, the claims as objects), as much
 * again as the token for what a caller keeps with it, and again for the text that it was found in.
 */
const overheadBytes = 512;
const weigh = (token: string): number => 4 * token.length + overheadBytes;

export function createTokenCache<T extends Cached>(limits: {
  readonly entries: number;
  readonly bytes: number;
}): TokenCache<T> {
  const entriesMax = Math.floor(limits.entries / 2);
  const bytesMax = limits.bytes / 2;
  let young = new Map<number, T>();
  let old = new Map<number, T>();
  let youngBytes = 0;

  function put(key: number, slot: T): void {
    const bytes = weigh(slot.token);
    const replaced = young.get(key);
    if (replaced !== undefined) youngBytes -= weigh(replaced.token);
    else if (young.size >= entriesMax || youngBytes + bytes > bytesMax) {
      old = young;
      young = new Map();
      youngBytes = 0;
    }
    young.set(key, slot);
    youngBytes += bytes;
  }

  return {
    find(text, start = 0) {
      const key = keyOf(text, text.length - start);
      const found = young.get(key);
      if (found !== undefined && isAtEnd(found, text, start)) return found;
      const older = old.get(key);
      if (older === undefined || !isAtEnd(older, text, start)) return undefined;
      old.delete(key);
      put(key, older);
      return older;
    },
    add(slot) {
      if (entriesMax > 0 && weigh(slot.token) <= bytesMax) put(keyOf(slot.token, slot.token.length), slot);
    },
    delete(token) {
      const key = keyOf(token, token.length);
      const found = young.get(key);
      if (found?.token === token) {
        youngBytes -= weigh(token);
        young.delete(key);
      }
      if (old.get(key)?.token === token) old.delete(key);
    },
    size: () => young.size + old.size,
  };
}

function isAtEnd(slot: Cached, text: string, start: number): boolean {
  const { token } = slot;
  if (start === 0) return token === text;
  if (token.length !== text.length - start) return false;
  if (slot.framed === text) return true;
  if (token !== text.slice(start)) return false;
  slot.framed = flatCopy(text);
  return true;
}

/** A string of its own, neither a slice that keeps a request in memory nor one made of parts. Of Latin-1 alone. */
export const flatCopy = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** 30 bits out of ten characters of the signature, none of them the last, which has spare bits. */
function keyOf(text: string, tokenLength: number): number {
  let key = tokenLength;
  for (let at = text.length - 12; at < text.length - 2; at += 1) key = Math.imul(key, 0x01000193) ^ text.charCodeAt(at);
  return key & 0x3fffffff;
}
