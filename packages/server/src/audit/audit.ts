/** Use cases of the audit log; see `index.ts` for what it guarantees. */
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import {
  type AuditRow,
  appendEvent,
  appendEvents,
  appendSeals,
  consumePendingEvents,
  countAudit,
  findChainHead,
  findUnchainedEvent,
  listSealedAfter,
  lockSealer,
  type SealedRow,
  type SealRow,
} from './audit.sql.ts';
import { genesisHash, linkHash } from './chain.rule.ts';
import { type AuditFilters, type FoundRow, listEvents } from './list.sql.ts';

/** Where a request came from, as far as the log may know. */
export interface Origin {
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
  /** The API key that asked in its owner's place: told in the event's detail. */
  readonly apiKeyId?: string;
}

/** For what no request caused: the service itself, or the command line. */
export const noOrigin: Origin = { ip: null, userAgent: null, requestId: null };

export interface AuditEvent {
  /** `room.what_happened`, a closed vocabulary by use. */
  readonly type: string;
  /** User id, `cli`, or `system`. */
  readonly actor: string | null;
  /** What it was done to: an id or a name, never a secret. */
  readonly target: string | null;
  readonly outcome: AuditRow['outcome'];
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface Verification {
  readonly valid: boolean;
  readonly checked: number;
  readonly first_invalid: { readonly seq: number | null; readonly id: string | null; readonly reason: string } | null;
}

export type ListedAuditRow = AuditRow & SealRow;

export interface AuditPage {
  readonly events: readonly ListedAuditRow[];
  /** What to hand in as `before` for the page after this one; `null` when there is none. */
  readonly next: string | null;
}

export interface Audit {
  /** Appends in the caller's transaction: the event stands exactly when the change stands. */
  append(on: Queryable, origin: Origin, event: AuditEvent): Promise<void>;
  /** Several at once, of one origin. */
  appendAll(on: Queryable, origin: Origin, events: readonly AuditEvent[]): Promise<void>;
  /** Seals everything pending; answers how many. Any number of sealers may run at once. */
  seal(): Promise<number>;
  /** Seals, then walks the whole chain from its beginning. */
  verify(onProgress?: (done: number, total: number) => void): Promise<Verification>;
  /**
   * Seals, then lists newest first. `before` is the id that the page before this one answered as `next` (a UUID; anything else
   * throws): events that come meanwhile are never seen twice, and none that was there is missed.
   */
  list(filters: AuditFilters, page: { readonly limit: number; readonly before?: string | null }): Promise<AuditPage>;
}

const sealBatch = 500;
const walkBatch = 2_000;

export function createAudit(deps: { db: Database; clock: Clock; random: Random }): Audit {
  const { db, clock, random } = deps;

  async function sealOnce(): Promise<number> {
    return db.transaction(async (tx) => {
      await lockSealer(tx);
      const events = await consumePendingEvents(tx, sealBatch);
      if (events.length === 0) return 0;
      const head = await findChainHead(tx);
      let seq = head?.seq ?? 0;
      let hash = head?.hash ?? genesisHash;
      const seals = events.map((event) => {
        const previous = hash;
        seq += 1;
        hash = linkHash(seq, previous, event);
        return { seq, eventId: event.id, prev_hash: previous, hash };
      });
      await appendSeals(tx, seals);
      return seals.length;
    });
  }

  async function seal(): Promise<number> {
    let total = 0;
    for (;;) {
      const sealed = await sealOnce();
      total += sealed;
      if (sealed < sealBatch) return total;
    }
  }

  return {
    async append(on, origin, event) {
      const timeMs = clock.wallMs();
      await appendEvent(on, {
        id: random.uuidv7(timeMs),
        timeMs,
        type: event.type,
        actor: event.actor,
        target: event.target,
        ip: origin.ip,
        user_agent: origin.userAgent,
        outcome: event.outcome,
        request_id: origin.requestId,
        detail: origin.apiKeyId === undefined ? (event.detail ?? {}) : { ...event.detail, api_key: origin.apiKeyId },
      });
    },
    async appendAll(on, origin, events) {
      if (events.length === 0) return;
      const timeMs = clock.wallMs();
      const time = new Date(timeMs);
      const rows = events.map((event) => ({
        id: random.uuidv7(timeMs),
        time,
        type: event.type,
        actor: event.actor,
        target: event.target,
        ip: origin.ip,
        user_agent: origin.userAgent,
        outcome: event.outcome,
        request_id: origin.requestId,
        detail: event.detail ?? {},
      }));
      await appendEvents(on, rows);
    },
    seal,
    async verify(onProgress) {
      await seal();
      const { sealed } = await countAudit(db);
      let checked = 0;
      let hash = genesisHash;
      for (;;) {
        const rows = await listSealedAfter(db, checked, walkBatch);
        for (const row of rows) {
          const reason = brokenLink(row, checked + 1, hash);
          if (reason !== null)
            return { valid: false, checked, first_invalid: { seq: row.seq, id: row.event_id, reason } };
          hash = row.hash;
          checked += 1;
        }
        onProgress?.(checked, Math.max(sealed, checked));
        if (rows.length < walkBatch) break;
      }
      const unchained = await findUnchainedEvent(db);
      if (unchained === undefined) return { valid: true, checked, first_invalid: null };
      return { valid: false, checked, first_invalid: { seq: null, id: unchained.id, reason: 'its seal is missing' } };
    },
    async list(filters, { limit, before = null }) {
      // What is sealed first is seen; what comes after it is for the next reader.
      await seal();
      const found = await listEvents(db, filters, { limit, beforeId: before });
      return { events: found.filter(isSealed), next: found.length < limit ? null : (found.at(-1)?.id ?? null) };
    },
  };
}

const isSealed = (row: FoundRow): row is ListedAuditRow => row.seq !== null;

/** Why this link does not hold, or `null`. */
function brokenLink(row: SealedRow, expectedSeq: number, previousHash: string): string | null {
  if (row.seq !== expectedSeq) return `row ${expectedSeq} is missing`;
  if (row.prev_hash !== previousHash) return 'it does not follow the row before it';
  if (row.id === null || row.time === null || row.type === null || row.outcome === null) return 'its event is missing';
  const event = { ...row, id: row.id, time: row.time, type: row.type, outcome: row.outcome, detail: row.detail ?? {} };
  return linkHash(row.seq, previousHash, event) === row.hash ? null : 'its content was changed';
}
