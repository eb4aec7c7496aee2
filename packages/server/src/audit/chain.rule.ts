/** The hash chain: what one link is made of. A change of any column of any event changes every hash after it. */
import { createHash } from 'node:crypto';

/** `prev_hash` of the first link. */
export const genesisHash = '0'.repeat(64);

export interface ChainedEvent {
  readonly id: string;
  readonly time: Date;
  readonly type: string;
  readonly actor: string | null;
  readonly target: string | null;
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly outcome: string;
  readonly request_id: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/**
 * SHA-256, lower-case hex, of the link's place, the previous hash and every column of the event in a fixed order. A mark stands
 * before them, so that no link of this form is one of the first form, whatever is in its columns.
 */
export const linkHash = (seq: number, previousHash: string, event: ChainedEvent): string =>
  hashOf(['v2', ...columnsOf(seq, previousHash, event), canonical(event.detail)]);

/**
 * Whether this is the link's hash, in the present form or in the first one. That one wrote objects as lists of pairs, so it does not
 * tell `{"a":1}` from `[["a",1]]` in `detail`: in links that it has sealed, and in no others.
 */
export const isLinkHash = (hash: string, seq: number, previousHash: string, event: ChainedEvent): boolean =>
  hash === linkHash(seq, previousHash, event) ||
  hash === hashOf([...columnsOf(seq, previousHash, event), firstCanonical(event.detail)]);

function columnsOf(seq: number, previousHash: string, event: ChainedEvent): readonly unknown[] {
  return [
    seq,
    previousHash,
    event.id,
    event.time.toISOString(),
    event.type,
    event.actor,
    event.target,
    event.ip,
    event.user_agent,
    event.outcome,
    event.request_id,
  ];
}

const hashOf = (columns: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(columns)).digest('hex');

/**
 * JSON with sorted members: `jsonb` keeps no order of its own. Of an object its names and its values, as lists, behind a 1; of a list
 * what is in it, behind a 0.
 */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return [0, ...value.map(canonical)];
  if (value === null || typeof value !== 'object') return value;
  const members = sortedMembers(value);
  return [1, members.map(([name]) => name), members.map(([, member]) => canonical(member))];
}

function firstCanonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(firstCanonical);
  if (value === null || typeof value !== 'object') return value;
  return sortedMembers(value).map(([name, member]) => [name, firstCanonical(member)]);
}

const sortedMembers = (value: object): [string, unknown][] =>
  Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
