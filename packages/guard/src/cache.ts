/**
 * A bounded cache of verified tokens. Two generations: what is used moves to the young one, and when that is full the old one
 * goes as a whole, so nothing is ever scanned. It is entered only after a full verification, found by a hash of the signature's
 * characters, and answers only for a token that is the same in every character. What it holds says nothing about time, keys or
 * revocation: whoever takes from it asks those anew.
 */
export interface Cached {
  readonly token: string;
}

export interface TokenCache<T extends Cached> {
  find(token: string): T | undefined;
  add(slot: T): void;
  delete(token: string): void;
  size(): number;
}

/**
 * What a slot weighs, roughly: measured 2.3 bytes a character of a common token (its text, the claims as objects), and as much
 * again as the token for what a caller keeps with it.
 */
const overheadBytes = 512;
const weigh = (token: string): number => 3 * token.length + overheadBytes;

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
    find(token) {
      const key = keyOf(token);
      const found = young.get(key);
      if (found !== undefined && found.token === token) return found;
      const older = old.get(key);
      if (older === undefined || older.token !== token) return undefined;
      old.delete(key);
      put(key, older);
      return older;
    },
    add(slot) {
      if (entriesMax > 0 && weigh(slot.token) <= bytesMax) put(keyOf(slot.token), slot);
    },
    delete(token) {
      const key = keyOf(token);
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

/** 30 bits out of ten characters of the signature, none of them the last, which has spare bits. */
function keyOf(token: string): number {
  let key = token.length;
  for (let at = token.length - 12; at < token.length - 2; at += 1)
    key = Math.imul(key, 0x01000193) ^ token.charCodeAt(at);
  return key & 0x3fffffff;
}
