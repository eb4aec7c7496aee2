/**
 * Judges a history. Pure: the same history gives the same findings. What must be zero is a violation, each with words that
 * say which request broke which promise; what is only measured is a figure.
 *
 * A verification counts from when it was sent and a receipt from when it was received, both by the client's clock: what
 * overlaps with the receipt proves nothing.
 */
import type { AcknowledgedRevocation, Call, Down, History, Operation, Verification } from './history.ts';

export interface Findings {
  readonly violations: readonly Violation[];
  readonly figures: Figures;
}

export type ViolationKind =
  | 'accepted after a receipt that says everywhere'
  | 'accepted after the moment that the receipt names'
  | 'accepted after the staleness bound'
  | 'acknowledged fact lost'
  | 'logged out without cause'
  | 'two successors of one refresh token'
  | 'more guesses than the limit'
  | 'an answer that is neither 2xx, 4xx nor 503'
  | 'not right again in time'
  | 'the history proves nothing'
  | 'a bar of this experiment';

export interface Violation {
  readonly kind: ViolationKind;
  readonly detail: string;
}

export interface Figures {
  readonly revocations: number;
  readonly everywhere: number;
  readonly verifications: number;
  readonly calls: number;
  readonly refused503: number;
  readonly unanswered: number;
  readonly longestAnswerMs: number;
  /** From the first failed request until the next good answer, by whichever node. */
  readonly longestOutageMs: Readonly<Record<Operation, number>>;
  readonly recoveredAfterMs: number;
  readonly acceptedAfter: Quantiles;
  readonly receipt: Quantiles;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export const recoveryMsMax = 15_000;
const operations: readonly Operation[] = ['validate', 'refresh', 'login', 'register', 'logout', 'guess'];

export function check(history: History): Findings {
  const { revocations, verifications, calls } = history;
  const recoveredAfterMs = recovery(history);
  const violations = [
    ...emptiness(history),
    ...acceptances(history),
    ...audit(history),
    ...calls.filter((call) => call.wronged !== undefined).map(wronged),
    ...forks(history),
    ...guesses(history),
    ...statuses(calls, verifications),
    ...(recoveredAfterMs > recoveryMsMax
      ? [violation('not right again in time', `${Math.round(recoveredAfterMs)} ms after the fault had ended`)]
      : []),
  ];
  const answered = [...calls, ...verifications].filter((one) => !isExcused(one, history.downs));
  return {
    violations,
    figures: {
      revocations: revocations.length,
      everywhere: revocations.filter((one) => one.everywhere).length,
      verifications: verifications.length + calls.filter((call) => call.op === 'validate').length,
      calls: calls.length,
      refused503: calls.filter((call) => call.status === 503).length,
      unanswered: calls.filter((call) => call.status === 0).length,
      longestAnswerMs: most(answered, (one) => one.endMs - one.sentMs),
      longestOutageMs: outages(calls),
      recoveredAfterMs,
      acceptedAfter: quantiles(acceptedAfter(history)),
      receipt: quantiles(revocations.map((one) => one.answeredMs - one.sentMs)),
    },
  };
}

const violation = (kind: ViolationKind, detail: string): Violation => ({ kind, detail });
const wronged = (call: Call): Violation =>
  violation('logged out without cause', `${call.op} at ${call.node}: ${call.wronged}`);

/** A checker that saw nothing must not say that all is well. */
function emptiness(history: History): readonly Violation[] {
  const seen: readonly (readonly [string, number])[] = [
    ['acknowledged revocations', history.revocations.length],
    ['verifications after them', history.verifications.length],
    ['users', history.audit.users],
    ['sessions', history.audit.sessions],
    ['rotations', history.rotations.length],
  ];
  return seen
    .filter(([, count]) => count === 0)
    .map(([what]) => violation('the history proves nothing', `it has no ${what}`));
}

function acceptances(history: History): readonly Violation[] {
  const revoked = new Map(history.revocations.map((one) => [one.session, one]));
  return history.verifications.flatMap((seen) => {
    const revocation = revoked.get(seen.session);
    const kind = seen.valid && revocation !== undefined ? brokenPromise(revocation, seen, history) : undefined;
    if (kind === undefined || revocation === undefined) return [];
    const after = Math.round(seen.sentMs - revocation.answeredMs);
    return [violation(kind, `${seen.node} accepted it ${after} ms after ${revocation.node} had answered`)];
  });
}

function brokenPromise(
  revocation: AcknowledgedRevocation,
  seen: Verification,
  { stalenessMs }: History,
): ViolationKind | undefined {
  if (seen.sentMs < revocation.answeredMs) return undefined;
  if (revocation.everywhere) return 'accepted after a receipt that says everywhere';
  if (seen.sentMs >= revocation.effectiveByMs) return 'accepted after the moment that the receipt names';
  return seen.sentMs >= revocation.answeredMs + stalenessMs ? 'accepted after the staleness bound' : undefined;
}

/** For each revocation: how long after its acknowledgement a token was still accepted, by the latest request that was. */
function acceptedAfter(history: History): readonly number[] {
  const latest = new Map(history.revocations.map((one) => [one.session, 0]));
  const answered = new Map(history.revocations.map((one) => [one.session, one.answeredMs]));
  for (const seen of history.verifications) {
    const since = answered.get(seen.session);
    if (!seen.valid || since === undefined) continue;
    latest.set(seen.session, Math.max(latest.get(seen.session) ?? 0, seen.sentMs - since));
  }
  return [...latest.values()];
}

function audit({ audit: { usersLost, sessionsLost, revocationsLost, eventsWrong } }: History): readonly Violation[] {
  return [...usersLost, ...sessionsLost, ...revocationsLost, ...eventsWrong].map((detail) =>
    violation('acknowledged fact lost', detail),
  );
}

function forks({ rotations }: History): readonly Violation[] {
  const successors = new Map<string, string>();
  return rotations.flatMap(({ session, counter, successor }) => {
    const key = `session ${session}, rotation ${counter}`;
    const known = successors.get(key) ?? successor;
    successors.set(key, known);
    return known === successor ? [] : [violation('two successors of one refresh token', key)];
  });
}

function guesses({ guesses: counted, guessesMax }: History): readonly Violation[] {
  return [...counted]
    .filter(([, count]) => count > guessesMax)
    .map(([account, count]) => violation('more guesses than the limit', `${account}: ${count}`));
}

function statuses(calls: readonly Call[], verifications: readonly Verification[]): readonly Violation[] {
  return [...calls, ...verifications]
    .filter(({ status }) => status !== 0 && status !== 503 && (status < 200 || status >= 500))
    .map((one) => violation('an answer that is neither 2xx, 4xx nor 503', `${one.status} from ${one.node}`));
}

/** From the end of the fault until the last answer that was not good, and until all nodes were ready. */
function recovery({ calls, faultMs, readyMs }: History): number {
  const late = calls.filter((call) => !call.good && call.sentMs >= faultMs.until);
  return Math.max(
    0,
    readyMs - faultMs.until,
    most(late, (call) => call.endMs - faultMs.until),
  );
}

function outages(calls: readonly Call[]): Readonly<Record<Operation, number>> {
  const longest = (op: Operation): number => {
    const ordered = calls.filter((call) => call.op === op).toSorted((a, b) => a.sentMs - b.sentMs);
    let since: number | undefined;
    let worst = 0;
    for (const call of ordered) {
      if (!call.good) since ??= call.sentMs;
      else if (since !== undefined) {
        worst = Math.max(worst, call.endMs - since);
        since = undefined;
      }
    }
    const last = ordered.at(-1);
    return since === undefined || last === undefined ? worst : Math.max(worst, last.endMs - since);
  };
  return Object.fromEntries(operations.map((op) => [op, longest(op)])) as Record<Operation, number>;
}

/** Of a process that is dead or frozen no answer can be asked. */
function isExcused(one: Call | Verification, downs: readonly Down[]): boolean {
  return downs.some((down) => down.node === one.node && one.sentMs < down.untilMs && one.endMs > down.fromMs);
}

export function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

/** The largest; `Math.max(...values)` of a long list would overflow the stack. */
function most<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((largest, one) => Math.max(largest, of(one)), 0);
}
