/**
 * The Redis port: functions that run there, messages, and whether it is there at all.
 *
 * Guarantees, on a single server, behind Sentinels and on a Cluster:
 * - every call ends within its deadline (500 ms unless said). While Redis is known to be away, calls throw `RedisUnavailable` at
 *   once; it is found again without a restart;
 * - what came from outside travels in arguments only: the text of a function is fixed, and keys are made by `key` alone.
 */

/** A Lua function. It runs as one step, and sees no keys but those it is given. */
export interface RedisFunction<R> {
  readonly name: string;
  readonly keys: number;
  readonly text: string;
  readonly parse: (reply: unknown) => R;
}

const registered = new Set<string>();

/** Declares a function, once, at module level. `parse` gets what the script returned: integers, texts, lists, `null`. */
export function redisFunction<R>(
  name: string,
  keys: number,
  text: string,
  parse: (reply: unknown) => R,
): RedisFunction<R> {
  if (registered.has(name)) throw new Error(`two functions of Redis are named ${name}`);
  registered.add(name);
  return { name, keys, text, parse };
}

export type RedisArgument = string | number;

/** A key of fixed form; only `Redis.key` makes one. */
export type RedisKey = string & { readonly __redisKey: true };

export interface RedisFacts {
  readonly version: string;
  readonly maxmemoryPolicy: string | null;
  readonly maxmemory: number | null;
  readonly appendOnly: boolean | null;
  readonly snapshots: boolean | null;
  readonly replicas: number;
  /** `null` without a cluster. */
  readonly cluster: { readonly state: string; readonly slots: number; readonly masters: number } | null;
}

export interface Subscription {
  close(): void;
}

export type RedisKind = 'single' | 'sentinel' | 'cluster';

/** `where_there_is_one`: one, where the master has a replica, or had one within the last seconds; otherwise none. */
export type ReplicasWanted = number | 'where_there_is_one';

export interface Redis {
  readonly kind: RedisKind;
  /** `host:port`, or several, for logs and for people. */
  readonly place: string;
  readonly isUp: boolean;
  /** Of a Cluster that is up: how many masters do not answer, as of the last second. Their keys wait for a replica to take over. */
  readonly mastersAway: number;
  /**
   * `PREFIX KIND:{TAG}` or `PREFIX KIND:{TAG}:REST`. Keys with one tag are in one slot of a Cluster. The parts are of fixed form
   * (letters, digits, `_`, `-`, `.`, at most 64); `digestPart` makes one of anything else.
   */
  key(kind: string, tag: string, rest?: string): RedisKey;
  /** `patienceMs`: a deadline that is shorter than usual. */
  run<R>(
    fn: RedisFunction<R>,
    keys: readonly RedisKey[],
    args: readonly RedisArgument[],
    patienceMs?: number,
  ): Promise<R>;
  /**
   * Runs, then waits (at most `timeoutMs`, less than the deadline) until `replicas` have it: `acknowledged` are those that do, and
   * `isEnough` says whether they are as many as were wanted. `null`: not known, because the key has just moved to another node.
   * Wants `durableWrites`.
   */
  runDurably<R>(
    fn: RedisFunction<R>,
    keys: readonly RedisKey[],
    args: readonly RedisArgument[],
    wait: { readonly replicas: ReplicasWanted; readonly timeoutMs: number },
  ): Promise<{ readonly value: R; readonly acknowledged: number | null; readonly isEnough: boolean }>;
  /** How many keys of this kind there are, on all masters; an estimate where they are many. */
  countKeys(kind: string): Promise<number>;
  /** To all who listen now, on every node of a Cluster; nobody else ever gets it. */
  publish(channel: string, message: string): Promise<void>;
  /**
   * Listens, through reconnects; what is sent while the connection is lost is not heard. The first call opens a connection of its
   * own, on which a canary goes round each second.
   */
  subscribe(channel: string, onMessage: (message: string) => void): Subscription;
  /** Whether the latest canary came round: what is published reaches this process. */
  readonly hears: boolean;
  /** Milliseconds of a round trip. */
  ping(): Promise<number>;
  /** What `doctor` and a start look at. */
  facts(): Promise<RedisFacts>;
  close(): Promise<void>;
}

/** Redis is away, too slow, or cannot take it (memory full, disk full, no master). */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable';
  readonly reason: 'away' | 'deadline' | 'refused';
  constructor(reason: 'away' | 'deadline' | 'refused', options?: ErrorOptions) {
    super(`Redis is unavailable: ${reason}`, options);
    this.reason = reason;
  }
}

/** For people, in a few words: what the server or the socket said. */
export function reasonOf(failure: unknown): string {
  if (failure instanceof AggregateError && failure.errors.length > 0) return reasonOf(failure.errors[0]);
  if (failure instanceof RedisUnavailable && failure.cause !== undefined) return reasonOf(failure.cause);
  if (!(failure instanceof Error) || failure.message === '') return 'no answer';
  return failure.message.replace(/^All sentinels are unreachable.* Last error: /, '').slice(0, 200);
}
