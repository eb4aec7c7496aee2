/** Use cases of the audit log; see `index.ts` for what it guarantees. */
import type { RootSecret } from '../keys/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import type { Random } from '../platform/random/index.ts';
import type { Clock } from '../platform/time/index.ts';
import { type AnchorRow, findAnchor, updateAnchor } from './anchors.sql.ts';
import { createAnchors, type ShownAnchor, showAnchor } from './anchors.ts';
import {
  type AuditRow,
  appendEvent,
  appendEvents,
  appendSeals,
  consumePendingEvents,
  findBounds,
  findChainHead,
  findSeal,
  lockSealer,
  type NewAuditRow,
  type SealRow,
} from './audit.sql.ts';
import { genesisHash, linkHash } from './chain.rule.ts';
import { type AuditFilters, type FoundRow, listEvents, listRange } from './list.sql.ts';
import { cutOnce, isWholeBatch, renewAnchors } from './retention.ts';
import { type Verification, verifyChain } from './verify.ts';

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
  /** Seals, then walks the whole chain; `kept` are anchors that were kept elsewhere, each to be found in it again. */
  verify(onProgress?: (done: number, total: number) => void, kept?: readonly AnchorRow[]): Promise<Verification>;
  /** Seals, then answers the anchor of the end: to be kept where nobody who can write the database can. */
  head(): Promise<ShownAnchor | undefined>;
  /** What this process finds, beside what it saw before. */
  watch(): Promise<HeadWatch>;
  /** Cuts off what is older; 0 days: nothing is. Answers how many events went. */
  retain(days: number, assertFence: (tx: Queryable) => Promise<void>): Promise<number>;
  /** Everything that the filters take, in the order of the chain, as far as it had come; a bounded part at a time. */
  export(filters: AuditFilters): AsyncGenerator<ListedAuditRow>;
  /**
   * Seals, then lists newest first. `before` is the id that the page before this one answered as `next` (a UUID; anything else
   * throws): events that come meanwhile are never seen twice, and none that was there is missed.
   */
  list(filters: AuditFilters, page: { readonly limit: number; readonly before?: string | null }): Promise<AuditPage>;
}

const sealBatch = 500;
const exportBatch = 1_000;
const dayMs = 86_400_000;

export type HeadWatch =
  | { readonly kind: 'whole'; readonly head: ShownAnchor | undefined }
  /** Rows that this process saw are gone or others; or the anchor of the end is not ours. */
  | { readonly kind: 'lost'; readonly seq: number; readonly reason: string };

export function createAudit(deps: {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly root: Pick<RootSecret, 'mac' | 'macMatches'>;
}): Audit {
  const { db, clock, random } = deps;
  const anchors = createAnchors(deps.root);
  /** The end of the log as this process saw it last. */
  let seen: ShownAnchor | undefined;

  async function sealOnce(): Promise<number> {
    return db.transaction(async (tx) => {
      await lockSealer(tx);
      const events = await consumePendingEvents(tx, sealBatch);
      if (events.length === 0) return 0;
      const tail = await findChainHead(tx);
      const anchor = await findAnchor(tx, 'head');
      let seq = tail?.seq ?? 0;
      let hash = tail?.hash ?? genesisHash;
      const seals = events.map((event) => {
        const previous = hash;
        seq += 1;
        hash = linkHash(seq, previous, event);
        return { seq, eventId: event.id, prev_hash: previous, hash };
      });
      // What does not fit its anchor is sealed all the same, and the anchor stays as the witness.
      if (await fits(tx, anchor, tail))
        await updateAnchor(tx, 'head', anchors.make('head', { seq, hash }, clock.wallMs()));
      await appendSeals(tx, seals);
      return seals.length;
    });
  }

  /** A node of a version before anchors may have sealed beyond it; a log without one was begun by such a version. */
  async function fits(on: Queryable, anchor: AnchorRow | undefined, tail: SealRow | undefined): Promise<boolean> {
    if (anchor === undefined) return true;
    if (!anchors.holds('head', anchor)) return false;
    if (anchor.seq === tail?.seq) return anchor.hash === tail.hash;
    return (await findSeal(on, anchor.seq))?.hash === anchor.hash;
  }

  async function watch(): Promise<HeadWatch> {
    const head = await findAnchor(db, 'head');
    if (head !== undefined && !anchors.holds('head', head))
      return { kind: 'lost', seq: head.seq, reason: 'the anchor of its end is not of this root secret' };
    for (const { seq, hash } of [seen, head].filter((one) => one !== undefined)) {
      if ((await findSeal(db, seq))?.hash === hash) continue;
      const cut = await findAnchor(db, 'cut');
      if (cut !== undefined && anchors.holds('cut', cut) && cut.seq >= seq) continue;
      return { kind: 'lost', seq, reason: 'a row that was there before is gone or another' };
    }
    seen = head === undefined ? undefined : showAnchor(head);
    return { kind: 'whole', head: seen };
  }

  const appendOwn = (tx: Queryable, event: AuditEvent): Promise<void> => append(tx, noOrigin, event);

  const rowOf = (origin: Origin, event: AuditEvent, timeMs: number): NewAuditRow => ({
    id: random.uuidv7(timeMs),
    timeMs,
    type: event.type,
    actor: event.actor,
    target: event.target,
    ip: origin.ip,
    user_agent: origin.userAgent,
    outcome: event.outcome,
    request_id: origin.requestId,
    detail: detailOf(origin, event),
  });

  const append = (on: Queryable, origin: Origin, event: AuditEvent): Promise<void> =>
    appendEvent(on, rowOf(origin, event, clock.wallMs()));

  let walking: Promise<unknown> = Promise.resolve();
  let nextWalk: Promise<Verification> | undefined;

  /** One walk at a time; who asks meanwhile shares the one after it, which sees all that was there when they asked. */
  function walkOnce(): Promise<Verification> {
    nextWalk ??= walking.then(() => {
      nextWalk = undefined;
      const walk = seal().then(() => verifyChain(db, anchors, { kept: [] }));
      walking = walk.catch(() => undefined);
      return walk;
    });
    return nextWalk;
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
    append,
    async appendAll(on, origin, events) {
      if (events.length === 0) return;
      const timeMs = clock.wallMs();
      await appendEvents(
        on,
        events.map((event) => rowOf(origin, event, timeMs)),
      );
    },
    seal,
    async verify(onProgress, kept = []) {
      if (onProgress === undefined && kept.length === 0) return walkOnce();
      await seal();
      return verifyChain(db, anchors, { kept, ...(onProgress === undefined ? {} : { onProgress }) });
    },
    async head() {
      await seal();
      const head = await findAnchor(db, 'head');
      return head === undefined ? undefined : showAnchor(head);
    },
    watch,
    async retain(days, assertFence) {
      await renewAnchors({ db, anchors }, assertFence);
      let deleted = 0;
      while (days > 0) {
        const before = new Date(clock.wallMs() - days * dayMs);
        const cut = await cutOnce({ db, anchors, nowMs: clock.wallMs, append: appendOwn }, before, assertFence);
        deleted += cut;
        if (!isWholeBatch(cut)) break;
      }
      return deleted;
    },
    async *export(filters) {
      await seal();
      let { seq, last } = await findBounds(db);
      for (; seq <= last; seq += exportBatch)
        yield* await listRange(db, filters, seq, Math.min(seq + exportBatch - 1, last));
    },
    async list(filters, { limit, before = null }) {
      // What is sealed first is seen; what comes after it is for the next reader.
      await seal();
      const found = await listEvents(db, filters, { limit, beforeId: before });
      return { events: found.filter(isSealed), next: found.length < limit ? null : (found.at(-1)?.id ?? null) };
    },
  };
}

/** The actor is the owner of a key; which key it was stands here. */
const detailOf = ({ apiKeyId }: Origin, { detail = {} }: AuditEvent): AuditRow['detail'] =>
  apiKeyId === undefined ? detail : { ...detail, api_key: apiKeyId };

const isSealed = (row: FoundRow): row is ListedAuditRow => row.seq !== null;
