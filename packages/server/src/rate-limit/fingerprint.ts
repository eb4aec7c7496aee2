/** A 64-bit keyed fingerprint of a short text: HalfSipHash-2-4 (J.-P. Aumasson) over its UTF-16 code units, two a word. */

export type Fingerprint = (space: number, text: string) => readonly [number, number];

export const fingerprintSecretBytes = 8;

/** `space` keeps the fingerprints of one use apart from another's. The answer is reused by the next call. */
export function createFingerprint(secret: Buffer): Fingerprint {
  const key0 = secret.readUInt32LE(0);
  const key1 = secret.readUInt32LE(4);
  const state = new Uint32Array(4);
  const answer: [number, number] = [0, 0];

  function round(): void {
    let v0 = state[0] ?? 0;
    let v1 = state[1] ?? 0;
    let v2 = state[2] ?? 0;
    let v3 = state[3] ?? 0;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    state[0] = v0;
    state[1] = v1;
    state[2] = v2;
    state[3] = v3;
  }

  function absorb(word: number): void {
    state[3] = (state[3] ?? 0) ^ word;
    round();
    round();
    state[0] = (state[0] ?? 0) ^ word;
  }

  function squeeze(mark: number): number {
    const at = mark === 0xee ? 2 : 1;
    state[at] = (state[at] ?? 0) ^ mark;
    for (let n = 0; n < 4; n++) round();
    return ((state[1] ?? 0) ^ (state[3] ?? 0)) >>> 0;
  }

  return (space, text) => {
    state[0] = key0;
    state[1] = key1 ^ 0xee;
    state[2] = 0x6c796765 ^ key0;
    state[3] = 0x74656462 ^ key1;
    absorb(space);
    const { length } = text;
    for (let at = 0; at + 1 < length; at += 2) absorb(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
    absorb((length << 16) | (length % 2 === 1 ? text.charCodeAt(length - 1) : 0));
    answer[0] = squeeze(0xee);
    answer[1] = squeeze(0xdd);
    return answer;
  };
}

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));
