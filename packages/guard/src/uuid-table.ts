/**
 * A table from UUIDs to an expiry and, for users, an epoch: what the replica holds for each kind, without an object per entry.
 *
 * 256 shards grow, shrink and are swept one at a time, so no step is long. A shard keeps its records densely in one typed array
 * (16 bytes id, 4 expiry, 8 epoch where wanted) and finds them by open addressing: one byte of hash a slot (`tag-arena.ts`), so
 * that what is not there is known from few and near bytes, and the record's place. Ids are compared whole: no false positives.
 * The hash is keyed (HalfSipHash-1-3), so nobody can choose ids that collide.
 */
import { createTagArena } from './tag-arena.ts';

export interface UuidTable {
  /** Adds a record or raises what is there: both values combine as maximum. Answers whether anything changed. */
  raise(id: Int32Array, expiresAt: number, minEpoch: number): boolean;
  /** The epoch held with the id (0 in a table without epochs); -1 when there is none. */
  find(id: Int32Array): number;
  size(): number;
  bytes(): number;
  /** Drops records whose expiry is `until` or earlier from one shard; answers the latest expiry dropped, or -1. */
  sweepShard(shard: number, until: number): number;
  /** Copies one shard: the id's four words, expiry, epoch. */
  readShard(shard: number, visit: (id: Int32Array, expiresAt: number, minEpoch: number) => void): void;
}

interface Shard {
  readonly number: number;
  /** Where the record is, in a slot whose tag is not 0. */
  places: Int32Array;
  data: Int32Array;
  size: number;
  /** No record here expires before this. */
  soonest: number;
}

export const shardCount = 256;
const recordsPerShardMax = 2 ** 24;
const dataGrowth = 1.25;
const recordsMin = 4;
const slotsMin = 8;
const word = 2 ** 32;
/** What V8 keeps for a typed array and its buffer beside the elements, roughly. */
const arrayBytes = 160;

/** Slots are at most three quarters full. */
const isFull = (records: number, slots: number): boolean => records * 4 > slots * 3;
const shardOf = (high: number): number => high & (shardCount - 1);
const tagOf = (high: number): number => high >>> 24 || 1;

/** `hashKey`: eight bytes or more that nobody else knows. */
export function createUuidTable(options: { readonly withEpochs: boolean; readonly hashKey: Uint8Array }): UuidTable {
  const stride = options.withEpochs ? 7 : 5;
  const shards = Array.from({ length: shardCount }, (): Shard | undefined => undefined);
  const hash = createHash(options.hashKey);
  const arena = createTagArena(shardCount);
  let total = 0;
  // Where the last `locate` stopped, kept here so that a look-up allocates nothing.
  let slot = 0;

  /** The record's place in its shard or -1; leaves the slot where it is, or belongs, in `slot`. The hash has run over the id. */
  function locate(number: number, id: Int32Array): number {
    const mask = arena.masks[number] ?? -1;
    if (mask === -1) return -1;
    const { tags } = arena;
    const start = arena.starts[number] ?? 0;
    const wanted = tagOf(hash.high());
    for (slot = hash.low() & mask; ; slot = (slot + 1) & mask) {
      const tag = tags[start + slot];
      if (tag === 0) return -1;
      if (tag === wanted) {
        const shard = shards[number];
        const place = shard?.places[slot] ?? 0;
        if (shard !== undefined && isAt(shard.data, place * stride, id)) return place;
      }
    }
  }

  function epochAt(data: Int32Array, at: number): number {
    return stride === 5 ? 0 : (data[at + 6] ?? 0) * word + ((data[at + 5] ?? 0) >>> 0);
  }

  function writeEpoch(data: Int32Array, at: number, epoch: number): void {
    if (stride === 5) return;
    data[at + 5] = (epoch % word) | 0;
    data[at + 6] = Math.floor(epoch / word);
  }

  function resizeIndex(shard: Shard, slots: number): void {
    arena.reserve(shard.number, slots);
    shard.places = new Int32Array(slots);
    const { tags } = arena;
    const start = arena.starts[shard.number] ?? 0;
    const mask = slots - 1;
    const id = new Int32Array(4);
    for (let place = 0; place < shard.size; place += 1) {
      for (let part = 0; part < 4; part += 1) id[part] = shard.data[place * stride + part] ?? 0;
      hash.run(id);
      let at = hash.low() & mask;
      while (tags[start + at] !== 0) at = (at + 1) & mask;
      tags[start + at] = tagOf(hash.high());
      shard.places[at] = place;
    }
  }

  function append(shard: Shard, id: Int32Array, expiresAt: number, minEpoch: number): void {
    if (shard.size === recordsPerShardMax) throw new RangeError('the revocation replica is full');
    if (isFull(shard.size + 1, shard.places.length)) {
      resizeIndex(shard, Math.max(slotsMin, shard.places.length * 2));
      hash.run(id);
      locate(shard.number, id);
    }
    if ((shard.size + 1) * stride > shard.data.length) {
      const data = new Int32Array(Math.ceil(shard.size * dataGrowth + 1) * stride);
      data.set(shard.data);
      shard.data = data;
    }
    const at = shard.size * stride;
    shard.data.set(id, at);
    shard.data[at + 4] = expiresAt | 0;
    writeEpoch(shard.data, at, minEpoch);
    arena.tags[(arena.starts[shard.number] ?? 0) + slot] = tagOf(hash.high());
    shard.places[slot] = shard.size;
    shard.size += 1;
    shard.soonest = Math.min(shard.soonest, expiresAt);
    total += 1;
  }

  return {
    raise(id, expiresAt, minEpoch) {
      hash.run(id);
      const number = shardOf(hash.high());
      let shard = shards[number];
      if (shard === undefined) {
        shard = newShard(number, stride);
        shards[number] = shard;
      }
      const place = locate(number, id);
      if (place === -1) {
        append(shard, id, expiresAt, minEpoch);
        return true;
      }
      const { data } = shard;
      const at = place * stride;
      const later = expiresAt > (data[at + 4] ?? 0) >>> 0;
      const higher = stride === 7 && minEpoch > epochAt(data, at);
      if (later) data[at + 4] = expiresAt | 0;
      if (higher) writeEpoch(data, at, minEpoch);
      return later || higher;
    },

    find(id) {
      hash.run(id);
      const number = shardOf(hash.high());
      const place = locate(number, id);
      const shard = place === -1 ? undefined : shards[number];
      return shard === undefined ? -1 : epochAt(shard.data, place * stride);
    },

    size: () => total,

    bytes() {
      let bytes = arena.tags.byteLength;
      for (const shard of shards) {
        if (shard !== undefined) bytes += shard.places.byteLength + shard.data.byteLength + 2 * arrayBytes;
      }
      return bytes;
    },

    sweepShard(number, until) {
      const shard = shards[number];
      if (shard === undefined || shard.soonest > until) return -1;
      const { data } = shard;
      let kept = 0;
      let latest = -1;
      let soonest = Number.POSITIVE_INFINITY;
      for (let place = 0; place < shard.size; place += 1) {
        const at = place * stride;
        const expiresAt = (data[at + 4] ?? 0) >>> 0;
        if (expiresAt <= until) {
          latest = Math.max(latest, expiresAt);
          continue;
        }
        soonest = Math.min(soonest, expiresAt);
        if (kept !== place) data.copyWithin(kept * stride, at, at + stride);
        kept += 1;
      }
      total -= shard.size - kept;
      shard.soonest = soonest;
      if (kept === shard.size) return -1;
      shard.size = kept;
      if (kept === 0) {
        shards[number] = undefined;
        arena.reserve(number, 0);
        return latest;
      }
      const records = Math.max(recordsMin, Math.ceil(kept * dataGrowth));
      if (records * stride < data.length) shard.data = data.slice(0, records * stride);
      resizeIndex(shard, slotsFor(kept));
      return latest;
    },

    readShard(number, visit) {
      const shard = shards[number];
      if (shard === undefined) return;
      const data = shard.data.slice(0, shard.size * stride);
      for (let at = 0; at < data.length; at += stride) {
        visit(data.subarray(at, at + 4), (data[at + 4] ?? 0) >>> 0, epochAt(data, at));
      }
    },
  };
}

const isAt = (data: Int32Array, at: number, id: Int32Array): boolean =>
  data[at] === id[0] && data[at + 1] === id[1] && data[at + 2] === id[2] && data[at + 3] === id[3];

const newShard = (number: number, stride: number): Shard => ({
  number,
  places: new Int32Array(0),
  data: new Int32Array(recordsMin * stride),
  size: 0,
  soonest: Number.POSITIVE_INFINITY,
});

function slotsFor(records: number): number {
  let slots = slotsMin;
  while (isFull(records, slots)) slots *= 2;
  return slots;
}

interface IdHash {
  run(id: Int32Array): void;
  low(): number;
  high(): number;
}

/** HalfSipHash-1-3 with 64 bits of output over an id of four words; the two halves are read after `run`. */
function createHash(key: Uint8Array): IdHash {
  if (key.length < 8) throw new TypeError('the hash key has at least eight bytes');
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const k0 = view.getInt32(0, true);
  const k1 = view.getInt32(4, true);
  let low = 0;
  let high = 0;
  return {
    run(id) {
      let v0 = k0;
      let v1 = k1 ^ 0xee;
      let v2 = 0x6c796765 ^ k0;
      let v3 = 0x74656462 ^ k1;
      // Four words of the id and one of its length, a round each; then three rounds, the low half, one round, the high half.
      for (let step = 0; step < 9; step += 1) {
        const input = step < 4 ? (id[step] ?? 0) : step === 4 ? 0x10000000 : 0;
        if (step === 5) v2 ^= 0xee;
        if (step === 8) {
          low = v1 ^ v3;
          v1 ^= 0xdd;
        }
        v3 ^= input;
        v0 = (v0 + v1) | 0;
        v1 = (v1 << 5) | (v1 >>> 27);
        v1 ^= v0;
        v0 = (v0 << 16) | (v0 >>> 16);
        v2 = (v2 + v3) | 0;
        v3 = (v3 << 8) | (v3 >>> 24);
        v3 ^= v2;
        v0 = (v0 + v3) | 0;
        v3 = (v3 << 7) | (v3 >>> 25);
        v3 ^= v0;
        v2 = (v2 + v1) | 0;
        v1 = (v1 << 13) | (v1 >>> 19);
        v1 ^= v2;
        v2 = (v2 << 16) | (v2 >>> 16);
        v0 ^= input;
      }
      high = v1 ^ v3;
    },
    low: () => low,
    high: () => high,
  };
}
