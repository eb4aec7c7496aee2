/**
 * The revocations that are in force, in memory. Entries arrive in any order, any number of times: the result is the same. A
 * token is dead when **any** entry covers it; for one subject the latest expiry and the highest epoch count. Nothing leaves
 * before its `expires_at`, and then only by `sweep`.
 *
 * Ids are UUIDs and are held packed (under 64 bytes each at a million, see `uuid-table.ts`). Any other string works as well, in
 * a `Map`: key ids, and what foreign issuers may use.
 */
import type { AccessTokenClaims, RevocationEntry } from '@auth-service/protocol';
import { readUuid, writeUuid } from './uuid.ts';
import { createUuidTable, shardCount, type UuidTable } from './uuid-table.ts';

type Kind = RevocationEntry['kind'];

/** The revocations that are in force, in memory. */
export interface Replica {
  /** Adds one fact. Answers whether it was new. Throws `TypeError` for what is no entry: whoever feeds it must not go on. */
  apply(entry: RevocationEntry): boolean;
  applyMany(entries: Iterable<RevocationEntry>): void;
  isRevoked(claims: Pick<AccessTokenClaims, 'jti' | 'sid' | 'sub' | 'epoch'>, kid: string): boolean;
  /** Whether one subject is covered; `epoch` counts for users alone. */
  covers(kind: Kind, subject: string, epoch?: number): boolean;
  /** Another number after each change that may revoke something. */
  version(): number;
  /** Entries held, those included that have expired since the last sweep. */
  live(): number;
  /** Memory of the entries, bytes, roughly. */
  bytes(): number;
  /**
   * Drops what expired more than `leewaySecondsMax` ago, from the next `shards` of 256. Answers how many were dropped.
   */
  sweep(nowSeconds: number, shards?: number): number;
  /**
   * No token that expired before this may be accepted, whatever the clock says now: entries that covered it may be gone. It
   * matters after a clock has run ahead and back. `reloaded` ends it.
   */
  horizon(): number;
  /** How many entries have been swept so far. */
  swept(): number;
  /**
   * A whole load of the live ledger is in: what a wrong clock had swept is here again, so there is no horizon any more. Unless
   * something was swept after `sweptBefore`, taken before the load began: that the load may not have seen.
   */
  reloaded(sweptBefore: number): void;
  /** Everything held, for writing back into a ledger that has lost its tail, or for a snapshot. */
  entries(): Generator<RevocationEntry, void>;
}

/** The greatest leeway a verifier may give to `exp`, seconds: entries stay for so much longer than their expiry. */
export const leewaySecondsMax = 60;
const expiryMax = 2 ** 32 - 1;
const subjectLengthMax = 1_024;
/** Names, the object and the place in the `Map` of an entry that is no UUID, roughly. */
const looseBytes = 200;

interface Held {
  expiresAt: number;
  minEpoch: number;
}

interface Holder {
  readonly packed: UuidTable;
  readonly loose: Map<string, Held>;
}

/** `hashKey`: at least eight random bytes of this process alone. */
export function createReplica(options: { readonly hashKey: Uint8Array }): Replica {
  const { hashKey } = options;
  const hold = (withEpochs: boolean): Holder => ({
    packed: createUuidTable({ withEpochs, hashKey }),
    loose: new Map(),
  });
  const token = hold(false);
  const session = hold(false);
  const key = hold(false);
  const user = hold(true);
  const holders: Readonly<Record<Kind, Holder>> = { token, session, user, key };
  const kinds = Object.keys(holders) as readonly Kind[];
  const id = new Int32Array(4);
  let version = 0;
  let nextShard = 0;
  let horizon = Number.NEGATIVE_INFINITY;
  let swept = 0;

  /** The epoch held for the subject, -1 when nothing is. */
  function find({ packed, loose }: Holder, subject: string): number {
    if (packed.size() > 0 && readUuid(subject, id)) return packed.find(id);
    return loose.size === 0 ? -1 : (loose.get(subject)?.minEpoch ?? -1);
  }

  const live = (): number =>
    kinds.reduce((sum, kind) => sum + holders[kind].packed.size() + holders[kind].loose.size, 0);

  function apply(entry: RevocationEntry): boolean {
    assertEntry(entry);
    const { packed, loose } = holders[entry.kind];
    const expiresAt = Math.min(Math.max(Math.ceil(entry.expires_at), 0), expiryMax);
    const minEpoch = entry.kind === 'user' ? entry.min_epoch : 0;
    const changed = readUuid(entry.subject, id)
      ? packed.raise(id, expiresAt, minEpoch)
      : raiseLoose(loose, entry.subject, expiresAt, minEpoch);
    if (changed) version += 1;
    return changed;
  }

  return {
    apply,
    applyMany(entries) {
      for (const entry of entries) apply(entry);
    },

    isRevoked: (claims, kid) =>
      find(session, claims.sid) !== -1 ||
      claims.epoch < find(user, claims.sub) ||
      find(token, claims.jti) !== -1 ||
      find(key, kid) !== -1,

    covers(kind, subject, epoch = 0) {
      const held = find(holders[kind], subject);
      return kind === 'user' ? epoch < held : held !== -1;
    },

    version: () => version,
    live,
    bytes: () =>
      kinds.reduce((sum, kind) => sum + holders[kind].packed.bytes() + holders[kind].loose.size * looseBytes, 0),

    sweep(nowSeconds, shards = shardCount) {
      const before = live();
      const until = Math.ceil(nowSeconds) - leewaySecondsMax - 1;
      for (let count = 0; count < Math.min(shards, shardCount); count += 1) {
        for (const kind of kinds) {
          const { packed, loose } = holders[kind];
          const latest = Math.max(packed.sweepShard(nextShard, until), nextShard === 0 ? sweepLoose(loose, until) : -1);
          if (latest !== -1) horizon = Math.max(horizon, latest + leewaySecondsMax);
        }
        nextShard = (nextShard + 1) % shardCount;
      }
      const dropped = before - live();
      swept += dropped;
      return dropped;
    },

    horizon: () => horizon,
    swept: () => swept,
    reloaded(sweptBefore) {
      if (swept === sweptBefore) horizon = Number.NEGATIVE_INFINITY;
    },

    *entries() {
      for (const kind of kinds) {
        const { packed, loose } = holders[kind];
        for (let shard = 0; shard < shardCount; shard += 1) {
          const found: RevocationEntry[] = [];
          packed.readShard(shard, (words, expiresAt, minEpoch) => {
            found.push({ kind, subject: writeUuid(words), min_epoch: minEpoch, expires_at: expiresAt });
          });
          yield* found;
        }
        for (const [subject, held] of [...loose]) {
          yield { kind, subject, min_epoch: held.minEpoch, expires_at: held.expiresAt };
        }
      }
    },
  };
}

function raiseLoose(loose: Map<string, Held>, subject: string, expiresAt: number, minEpoch: number): boolean {
  const held = loose.get(subject);
  if (held === undefined) {
    loose.set(subject, { expiresAt, minEpoch });
    return true;
  }
  const changed = expiresAt > held.expiresAt || minEpoch > held.minEpoch;
  held.expiresAt = Math.max(held.expiresAt, expiresAt);
  held.minEpoch = Math.max(held.minEpoch, minEpoch);
  return changed;
}

/** The latest expiry dropped, or -1. */
function sweepLoose(loose: Map<string, Held>, until: number): number {
  let latest = -1;
  for (const [subject, { expiresAt }] of loose) {
    if (expiresAt > until) continue;
    latest = Math.max(latest, expiresAt);
    loose.delete(subject);
  }
  return latest;
}

function assertEntry(entry: RevocationEntry): void {
  const { kind, subject, min_epoch: minEpoch, expires_at: expiresAt } = entry;
  const known = kind === 'token' || kind === 'session' || kind === 'user' || kind === 'key';
  const named = typeof subject === 'string' && subject !== '' && subject.length <= subjectLengthMax;
  const timed = typeof expiresAt === 'number' && !Number.isNaN(expiresAt);
  if (!known || !named || !timed || !Number.isSafeInteger(minEpoch) || minEpoch < 0) {
    throw new TypeError('this is no revocation entry');
  }
}
