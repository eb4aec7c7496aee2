/**
 * Log lines for machines (JSON) and for people.
 *
 * - One event is one line, whatever is in it: line breaks, terminal codes and characters that reorder text are escaped.
 * - No secret is in it: not what is called like one, at any depth, nor what looks like a token or a password in a text.
 * - A line costs the caller no write: lines of one turn of the event loop are written together. `flush` writes what waits.
 */
export { createLog, type Log, type LogFields, type LogLevel, type LogOptions } from './log.ts';
export { redactText } from './redact.ts';
