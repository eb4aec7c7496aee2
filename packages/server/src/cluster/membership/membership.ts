/**
 * Who else is here: the lease table (what is true), joined with what links see (what is quick).
 *
 * A node is listed with its first beat and `down` four seconds after its last. One that left in good order has no row any more and
 * is shown as `down` for a minute, unless it is back. While the database is away the latest look is answered, and nobody becomes
 * `down` by it.
 */
import { type Database, DatabaseUnavailable } from '../../platform/database/index.ts';
import type { Clock } from '../../platform/time/index.ts';
import { listNodes, type NodeRow } from './nodes.sql.ts';
import { downAfterMs, type NodeStatus, standingOf } from './standing.rule.ts';

export interface Member extends Omit<NodeRow, 'last_seen_ms'> {
  readonly lastSeenMs: number;
  readonly status: NodeStatus;
}

export type LinkState = 'up' | 'lost';

export interface Membership {
  /** Reads the lease table; throws when it cannot be read. */
  look(): Promise<readonly Member[]>;
  /** As of the latest look, without I/O. */
  members(): readonly Member[];
  /** A fresh look, or the latest one while the database is away. */
  read(): Promise<readonly Member[]>;
}

const leftShownMs = 60_000;
const leftMax = 1_000;

export function createMembership(deps: {
  readonly db: Database;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly self: string;
  /** By incarnation; those without a link are not in it. */
  readonly links?: () => ReadonlyMap<string, LinkState>;
}): Membership {
  const { db, clock } = deps;
  let rows: readonly NodeRow[] = [];
  let lookedAt = Number.NEGATIVE_INFINITY;
  const left = new Map<string, { readonly row: NodeRow; readonly goneAt: number }>();

  function rememberThoseThatLeft(before: readonly NodeRow[], now: readonly NodeRow[], at: number): void {
    const present = new Set(now.map((row) => row.incarnation));
    for (const row of before) {
      const wasAlive = Math.abs(row.last_seen_ms) <= downAfterMs;
      if (!present.has(row.incarnation) && wasAlive && left.size < leftMax)
        left.set(row.incarnation, { row, goneAt: at });
    }
    const names = new Set(now.filter((row) => Math.abs(row.last_seen_ms) <= downAfterMs).map((row) => row.name));
    for (const [incarnation, one] of left) {
      if (present.has(incarnation) || names.has(one.row.name) || at - one.goneAt > leftShownMs)
        left.delete(incarnation);
    }
  }

  async function look(): Promise<readonly Member[]> {
    const at = clock.monotonicMs();
    const read = await listNodes(db);
    // Of two looks under way the one that was sent later stays.
    if (at >= lookedAt) {
      rememberThoseThatLeft(rows, read, at);
      rows = read;
      lookedAt = at;
    }
    return members();
  }

  function members(): readonly Member[] {
    const now = clock.monotonicMs();
    const tableIsFresh = now - lookedAt <= downAfterMs;
    const links = deps.links?.();
    const listed = rows.map((row): Member => {
      const { last_seen_ms: seen, ...rest } = row;
      const link = row.incarnation === deps.self ? 'up' : (links?.get(row.incarnation) ?? 'none');
      const wasDown = Math.abs(seen) > downAfterMs;
      // Between two looks nobody grows older: the next one comes within a second and knows better.
      const status = wasDown ? 'down' : standingOf({ lastSeenMs: seen, link, tableIsFresh });
      return { ...rest, lastSeenMs: tableIsFresh ? seen : seen + now - lookedAt, status };
    });
    const gone = [...left.values()].map(({ row, goneAt }): Member => {
      const { last_seen_ms: seen, ...rest } = row;
      return { ...rest, lastSeenMs: seen + now - goneAt, status: 'down' };
    });
    return [...listed, ...gone];
  }

  return {
    look,
    members,
    async read() {
      try {
        return await look();
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable)) throw error;
        return members();
      }
    },
  };
}
