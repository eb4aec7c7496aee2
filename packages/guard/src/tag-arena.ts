/**
 * The hash bytes of all shards of a table in one array, so that looking for what is not there touches one cold cache line and not
 * a chain of objects. Each shard has a region of its own; a region that grows moves to the end, and when the end is reached the
 * regions move together into a new array: a copy of bytes, no hashing.
 */
export interface TagArena {
  /** A byte a slot; 0 where nothing is. Another array after `reserve`. */
  tags: Uint8Array;
  /** Where a shard's region begins. */
  readonly starts: Int32Array;
  /** Slots of a shard less one; -1 for a shard without a region. */
  readonly masks: Int32Array;
  /** Gives the shard an empty region of so many slots (a power of two, or none) in place of its old one. */
  reserve(shard: number, slots: number): void;
}

export function createTagArena(shards: number): TagArena {
  const starts = new Int32Array(shards);
  const masks = new Int32Array(shards).fill(-1);
  /** Bytes of regions, and bytes up to the end of the last one: those between were given up. */
  let live = 0;
  let used = 0;

  function moveTogether(room: number): void {
    const tags = new Uint8Array(2 * (live + room));
    used = 0;
    for (const [shard, mask] of masks.entries()) {
      const start = starts[shard] ?? 0;
      tags.set(arena.tags.subarray(start, start + mask + 1), used);
      starts[shard] = used;
      used += mask + 1;
    }
    arena.tags = tags;
  }

  const arena: TagArena = {
    tags: new Uint8Array(0),
    starts,
    masks,
    reserve(shard, slots) {
      live -= (masks[shard] ?? -1) + 1;
      masks[shard] = -1;
      const { length } = arena.tags;
      if (used + slots > length || (live + slots) * 8 < length) moveTogether(slots);
      starts[shard] = used;
      masks[shard] = slots - 1;
      used += slots;
      live += slots;
    },
  };
  return arena;
}
