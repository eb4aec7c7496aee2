/**
 * What a failed statement means: one translation for both drivers, from SQLSTATE and socket errors to the port's errors.
 */
import { DatabaseUnavailable, UniqueViolation } from './database.ts';

/** Another transaction got in the way; nothing was done, and the same work may be tried again. */
export class Conflict extends Error {
  override readonly name = 'Conflict';
}

/** The connection's prepared statement no longer fits the schema; nothing was done, a new connection prepares anew. */
export class StalePlan extends Error {
  override readonly name = 'StalePlan';
}

const conflict = new Set([
  '40001', // serialization failure
  '40P01', // deadlock
  '55P03', // a lock was not to be had in time: perhaps a deadlock, for which the server looks only after a second
]);

const away = new Set([
  '25006', // read only: this is no primary any more
  '53000', // insufficient resources
  '53100', // disk full
  '53200', // out of memory
  '53300', // too many connections
  '57P01', // shut down by an administrator
  '57P02', // crash shutdown
  '57P03', // starting up
  '57P05', // idle session ended
  '58000', // system error
  '58030', // input/output error
  'XX001', // data corrupted
  'XX002', // index corrupted
]);

const deadline = new Set([
  '25P03', // idle in a transaction for too long
  '25P04', // transaction for too long
  '57014', // the statement ran for too long
]);

interface WireError extends Error {
  readonly code?: string;
  readonly constraint?: string;
  readonly severity?: string;
}

/** The port's error for what the client reported. An error that is nobody's fault but the program's stays as it is. */
export function translateFailure(failure: Error): Error {
  const { code, constraint, message } = failure as WireError;
  if (failure instanceof DatabaseUnavailable) return failure;
  if (code === '23505') return new UniqueViolation(constraint ?? 'unknown', { cause: failure });
  if (code !== undefined && conflict.has(code)) return new Conflict('a concurrent transaction won', { cause: failure });
  if (code === '26000' || (code === '0A000' && message.startsWith('cached plan'))) {
    return new StalePlan('a prepared statement is out of date', { cause: failure });
  }
  if (code !== undefined && deadline.has(code)) return new DatabaseUnavailable('deadline', { cause: failure });
  if (isAway(failure as WireError)) return new DatabaseUnavailable('away', { cause: failure });
  return failure;
}

/** Whether the failure ended the connection, so that it must not be used again. */
export function endsConnection(failure: Error): boolean {
  const { code, severity } = failure as WireError;
  return severity === undefined || severity === 'FATAL' || severity === 'PANIC' || code === '25006';
}

function isAway({ code, severity, message }: WireError): boolean {
  if (code === undefined)
    return /^(Connection terminated|Client (was closed|has encountered))|timeout expired/.test(message);
  if (away.has(code) || code.startsWith('08')) return true;
  // Without a severity it did not come from the server: it is an error of the socket (`ECONNRESET`, `EPIPE`, …).
  return severity === undefined && /^E[A-Z]+$/.test(code);
}
