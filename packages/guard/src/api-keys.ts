/**
 * API keys in memory: random secrets of which only the hash is known, with what they may do. Verified like tokens, in one
 * synchronous call without I/O, and in the same order: form, hash, revocation, time, and **freshness last**.
 *
 * A key dies by an entry `token` of its id; it is held up (`stale`) by an entry `user` above the owner's epoch that it was read
 * with: its owner has changed, and what the key may do now is not known here before it is read anew. Whoever feeds the table
 * does so with the same cursor as the replica, so what is fresh there is fresh here.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { Freshness } from './freshness.ts';
import type { Replica } from './replica.ts';

/** What is known of one API key: its hash, and what it may do. Times are seconds since 1970. */
export interface ApiKeyRecord {
  readonly id: string;
  /** `ask_` and twelve hexadecimal digits: the part that may be shown. */
  readonly prefix: string;
  /** SHA-256 of the whole key, in base64: as text it takes a third of the memory. */
  readonly hash: string;
  /** What it may do now: of its own scope what its owner holds. */
  readonly permissions: readonly string[];
  readonly ownerId: string;
  readonly ownerKind: 'user' | 'service_account';
  /** The owner's epoch as of the reading. */
  readonly ownerEpoch: number;
  /** Seconds since 1970. */
  readonly createdAt: number;
  /** Seconds since 1970; `null` for none. */
  readonly expiresAt: number | null;
  /** Revoked, or its owner is disabled or gone. */
  readonly ended: boolean;
}

/** A key that is valid now, and what it may do. */
export interface VerifiedKey {
  readonly kind: 'valid';
  readonly key: ApiKeyRecord;
  readonly stale: boolean;
}

/** `outdated`: the owner changed, and what the key may do now is not known here yet. To the outside it is `stale`. */
export type KeyRefusal = 'malformed' | 'invalid' | 'expired' | 'revoked' | 'outdated' | 'stale';

/** Why a key was refused. Clients are told the reason at most. */
export interface RefusedKey {
  readonly kind: 'refused';
  readonly reason: KeyRefusal;
}

/** The keys of this process; see `createApiKeyTable`. */
export interface ApiKeyTable {
  verify(text: string): VerifiedKey | RefusedKey;
  /** Whether it would be worth a moment to wait for the next reading. */
  isOutdated(text: string): boolean;
  /** Adds or replaces single keys. */
  put(records: Iterable<ApiKeyRecord>): void;
  /** Everything there is: what is not among it is gone. */
  replaceAll(records: Iterable<ApiKeyRecord>): void;
  size(): number;
  /** Verifications since the start, by how they ended. */
  figures(): Readonly<Record<'valid' | KeyRefusal, number>>;
}

/**
 * 32 bytes end in one of 16 letters: the last two bits are none. There is no checksum, since whoever makes keys up could count
 * one, too.
 */
const form = /^(ask_[0-9a-f]{12})_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/** Whether it could be one, before anybody is asked: prefix, length and letters. */
export const isFormOfApiKey = (text: string): boolean => form.test(text);

/** Whether a bearer credential, which begins at `start`, means to be an API key; tokens never begin like this. */
export const looksLikeApiKey = (text: string, start = 0): boolean => text.startsWith('ask_', start);

/** An empty table of keys. Whoever reads the ledger puts keys in, with the same cursor as the replica. */
export function createApiKeyTable(deps: {
  readonly replica: Pick<Replica, 'covers'>;
  readonly freshness: Pick<Freshness, 'isFresh'>;
  /** Seconds since 1970. */
  readonly clock: () => number;
  readonly whenStale?: 'refuse' | 'serve';
}): ApiKeyTable {
  const { replica, freshness, clock } = deps;
  let byPrefix = new Map<string, ApiKeyRecord>();
  const counts = { valid: 0, malformed: 0, invalid: 0, expired: 0, revoked: 0, outdated: 0, stale: 0 };

  function refuse(reason: KeyRefusal): RefusedKey {
    counts[reason] += 1;
    return refusals[reason];
  }

  /** A key that was made a moment ago may be unknown to a node that lags: only who is fresh says that there is none. */
  const unknown = (): RefusedKey => refuse(freshness.isFresh() || deps.whenStale === 'serve' ? 'invalid' : 'stale');

  const ownerChanged = (key: ApiKeyRecord): boolean => replica.covers('user', key.ownerId, key.ownerEpoch);

  return {
    isOutdated(text) {
      const key = byPrefix.get(form.exec(text)?.[1] ?? '');
      return key !== undefined && !key.ended && ownerChanged(key);
    },
    verify(text) {
      const prefix = form.exec(text)?.[1];
      if (prefix === undefined) return refuse('malformed');
      const key = byPrefix.get(prefix);
      if (key === undefined || !isHashOf(key.hash, text)) return unknown();
      if (key.ended || replica.covers('token', key.id)) return refuse('revoked');
      const outdated = ownerChanged(key);
      const now = clock();
      if (key.expiresAt !== null && !(now < key.expiresAt)) return refuse('expired');
      if (outdated) return refuse('outdated');
      const fresh = freshness.isFresh(now * 1_000);
      if (!fresh && deps.whenStale !== 'serve') return refuse('stale');
      counts.valid += 1;
      return { kind: 'valid', key, stale: !fresh };
    },
    put(records) {
      for (const record of records) byPrefix.set(record.prefix, record);
    },
    replaceAll(records) {
      const all = new Map<string, ApiKeyRecord>();
      for (const record of records) all.set(record.prefix, record);
      byPrefix = all;
    },
    size: () => byPrefix.size,
    figures: () => ({ ...counts }),
  };
}

const isHashOf = (known: string, text: string): boolean =>
  timingSafeEqual(Buffer.from(hash('sha256', text, 'base64'), 'latin1'), Buffer.from(known, 'latin1'));

const refusal = (reason: KeyRefusal): RefusedKey => Object.freeze({ kind: 'refused', reason });

const refusals: Readonly<Record<KeyRefusal, RefusedKey>> = {
  malformed: refusal('malformed'),
  invalid: refusal('invalid'),
  expired: refusal('expired'),
  revoked: refusal('revoked'),
  outdated: refusal('outdated'),
  stale: refusal('stale'),
};
