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

/** SHA-256, lower-case hex, of the link's place, the previous hash and every column of the event in a fixed order. */
export function linkHash(seq: number, previousHash: string, event: ChainedEvent): string {
  const columns = [
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
    canonical(event.detail),
  ];
  return createHash('sha256').update(JSON.stringify(columns)).digest('hex');
}

/** JSON with sorted members: `jsonb` keeps no order of its own. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return members.map(([name, member]) => [name, canonical(member)]);
}
