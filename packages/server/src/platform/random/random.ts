/**
 * Random bytes and UUIDv7 (RFC 9562).
 *
 * Ids of one source only ever grow, within a millisecond too and while the wall clock steps back a little, so an index on
 * them is appended to. An id tells when it was made and is no secret: whatever must not be guessed is made of `bytes`.
 */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** Fit for keys and secrets. */
  bytes(count: number): Buffer;
  /** `nowMs` is the wall clock's. */
  uuidv7(nowMs: number): string;
}

/** The 12 bits after the timestamp count within one millisecond (RFC 9562 section 6.2, method 1). */
const counterMax = 0xfff;
/** Each millisecond starts at random in the lower half, which leaves at least 2,048 steps. */
const counterStartMask = 0x7ff;
/** A clock that went back further than this was wrong before: the ids follow it. */
const stepBackMsMax = 60_000;
const msMax = 2 ** 48 - 1;

/** A source of its own: its ids are ordered among themselves. `bytes` must be fit for what is made of them. */
export function createRandom(bytes: (count: number) => Buffer): Random {
  let lastMs = -1;
  let counter = 0;
  return {
    bytes,
    uuidv7(nowMs) {
      const random = bytes(10);
      const wallMs = Math.min(Math.max(0, Math.floor(nowMs)), msMax);
      if (wallMs > lastMs || lastMs - wallMs > stepBackMsMax) {
        lastMs = wallMs;
        counter = random.readUInt16BE(8) & counterStartMask;
      } else if (counter < counterMax) {
        counter += 1;
      } else {
        // All of this millisecond are taken: borrow from the next one, as the RFC allows.
        lastMs = Math.min(lastMs + 1, msMax);
        counter = random.readUInt16BE(8) & counterStartMask;
      }
      return formatUuid(lastMs, counter, random);
    },
  };
}

/** A call of the system's source costs 4 µs, whatever it brings: small requests are served from one larger one. */
const poolBytes = 4_096;
const pooledMax = 64;

/** Bytes are handed out once, as copies, and wiped where they were taken from. */
export function pooled(source: (count: number) => Buffer): (count: number) => Buffer {
  let pool: Buffer = Buffer.alloc(0);
  let at = 0;
  return (count) => {
    if (count > pooledMax) return source(count);
    if (at + count > pool.length) {
      pool = source(poolBytes);
      at = 0;
    }
    const taken = Buffer.from(pool.subarray(at, at + count));
    pool.fill(0, at, at + count);
    at += count;
    return taken;
  };
}

export const systemRandom: Random = createRandom(pooled(randomBytes));

function formatUuid(ms: number, counter: number, random: Buffer): string {
  const time = ms.toString(16).padStart(12, '0');
  const variant = (0x80 | ((random[0] ?? 0) & 0x3f)).toString(16);
  const tail = random.toString('hex', 1, 8);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}-${variant}${tail.slice(0, 2)}-${tail.slice(2)}`;
}
