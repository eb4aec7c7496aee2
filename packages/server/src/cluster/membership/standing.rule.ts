/** `up`, `suspect` or `down`: what is thought of a node. Receipts go by its lease, never by this. */

export type NodeStatus = 'up' | 'suspect' | 'down';

/** Without a beat for this long a node is down. */
export const downAfterMs = 4_000;
/** One beat missed: they come each second, give or take a tenth. */
const suspectAfterMs = 2_200;

export function standingOf(node: {
  /** Since its latest beat; negative when the clock that it was written by went back. */
  readonly lastSeenMs: number;
  readonly link: 'up' | 'lost' | 'none';
  /** Whether the lease table could be read lately; without it nobody can be told dead by it. */
  readonly tableIsFresh: boolean;
}): NodeStatus {
  const silentMs = Math.abs(node.lastSeenMs);
  if (!node.tableIsFresh) return node.link === 'up' ? 'up' : 'suspect';
  if (silentMs > downAfterMs) return 'down';
  return silentMs > suspectAfterMs || node.link === 'lost' ? 'suspect' : 'up';
}
