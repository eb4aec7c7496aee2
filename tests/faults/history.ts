/** What one run of an experiment leaves behind: everything that clients asked and heard, on one monotonic clock. */

export type Operation = 'validate' | 'refresh' | 'login' | 'register' | 'logout' | 'guess';

/** One request that somebody like a client sent; checks of dead tokens are `Verification`s only. */
export interface Call {
  readonly op: Operation;
  readonly node: string;
  readonly sentMs: number;
  readonly endMs: number;
  /** 0 when no answer came. */
  readonly status: number;
  /** The problem's code, or why no answer came. */
  readonly code: string;
  /** What the operation was meant to bring: a token called valid, new tokens, a receipt. */
  readonly good: boolean;
  /** What nobody could blame on a fault: a live session or a right password refused, as if the client were wrong. */
  readonly wronged: string | undefined;
}

/** One look at a token that was asked to be revoked, after the answer. */
export interface Verification {
  readonly session: number;
  readonly node: string;
  readonly sentMs: number;
  readonly endMs: number;
  readonly status: number;
  readonly valid: boolean;
}

export interface AcknowledgedRevocation {
  readonly session: number;
  readonly node: string;
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly everywhere: boolean;
  readonly pending: readonly string[];
  /** On the monotonic clock of the history. */
  readonly effectiveByMs: number;
}

export interface Rotation {
  /** Which session, and how often it had been rotated before. */
  readonly session: number;
  readonly counter: number;
  readonly successor: string;
}

/** A node that cannot answer because of what was done to it: killed, frozen. */
export interface Down {
  readonly node: string;
  readonly fromMs: number;
  untilMs: number;
}

/** What was acknowledged and must be there in the end. */
export interface Audit {
  readonly users: number;
  readonly usersLost: readonly string[];
  readonly sessions: number;
  readonly sessionsLost: readonly string[];
  /** Acknowledged revocations that some node, or the session store, no longer knew. */
  readonly revocationsLost: readonly string[];
  /** Acknowledged logouts without exactly one event in the audit log. */
  readonly eventsWrong: readonly string[];
}

export interface History {
  readonly nodes: readonly string[];
  readonly stalenessMs: number;
  readonly guessesMax: number;
  readonly calls: readonly Call[];
  readonly verifications: readonly Verification[];
  readonly revocations: readonly AcknowledgedRevocation[];
  readonly rotations: readonly Rotation[];
  /** Accounts with the number of wrong guesses that were answered "wrong password". */
  readonly guesses: ReadonlyMap<string, number>;
  readonly downs: readonly Down[];
  readonly faultMs: { readonly from: number; readonly until: number };
  /** When every node said that it was ready after the fault. */
  readonly readyMs: number;
  readonly endMs: number;
  readonly audit: Audit;
}
