/** What a refresh token that did not win the rotation means. */

export type Standing =
  /** The successor of this very token, not used yet, within the grace period: the same answer again. */
  | 'repeat'
  /** Out of turn: somebody holds a copy. */
  | 'reuse';

export function judgeLateRefresh(late: {
  /** The counter of the token that was presented. */
  readonly presented: number;
  /** The counter that the session waits for now. */
  readonly current: number;
  readonly rotatedMsAgo: number | null;
  readonly graceSeconds: number;
}): Standing {
  const isPredecessor = late.presented === late.current - 1;
  const isWithinGrace = late.rotatedMsAgo !== null && late.rotatedMsAgo <= late.graceSeconds * 1_000;
  return isPredecessor && isWithinGrace && late.graceSeconds > 0 ? 'repeat' : 'reuse';
}
