/** What a failed command means: from what the client and the server say to the port's errors. */
import { RedisUnavailable } from './redis.ts';

/** The server is there and will not take it: it is loading, a replica, full, or its cluster is down. */
const refusals =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MISCONF|OOM|NOREPLICAS|BUSY|NOAUTH|WRONGPASS|NOPERM|UNBLOCKED|MOVED|ASK)\b/;
/** These end a connection's use: another one may find a master, or another password. */
const dropping = /^(READONLY|MASTERDOWN|LOADING|NOAUTH|WRONGPASS|UNBLOCKED)\b/;
const scriptError = /^(ERR|WRONGTYPE|NOSCRIPT|CROSSSLOT)\b/;

export function translateFailure(failure: unknown): Error {
  if (failure instanceof RedisUnavailable) return failure;
  const error = failure instanceof Error ? failure : new Error('Redis failed without an error');
  if (/^Command timed out/.test(error.message)) return new RedisUnavailable('deadline', { cause: error });
  if (refusals.test(error.message)) return new RedisUnavailable('refused', { cause: error });
  // A mistake in our own script stays what it is.
  if (scriptError.test(error.message)) return error;
  return new RedisUnavailable('away', { cause: error });
}

/** Whether the failure says that the connection, or what is behind it, may be no good any more. */
export function isSuspicious(failure: Error): boolean {
  if (!(failure instanceof RedisUnavailable)) return false;
  if (failure.reason !== 'refused') return true;
  return failure.cause instanceof Error && dropping.test(failure.cause.message);
}

export const isDeadline = (failure: Error): boolean =>
  failure instanceof RedisUnavailable && failure.reason === 'deadline';

export const isNoScript = (failure: unknown): boolean =>
  failure instanceof Error && failure.message.startsWith('NOSCRIPT');

/** The key is on another node, or on its way there. */
export const isMoved = (failure: unknown): boolean =>
  failure instanceof Error && /^(MOVED|ASK|TRYAGAIN)\b/.test(failure.message);
