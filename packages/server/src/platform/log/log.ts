/** See `index.ts`. A logging library would add what is turned off here: its redaction by paths does not reach any depth. */
import type { Writable } from 'node:stream';
import { systemClock } from '../time/index.ts';
import { jsonLine, type LogEvent, prettyLine } from './line.ts';
import { redact, redactText } from './redact.ts';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  /** An `Error` goes into a field (`{ error }`), never into the message. */
  error(fields: LogFields, message: string): void;
  /** Hands to the destination what still waits; before an exit. */
  flush(): void;
}

/** `trace` is as much as `debug`. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  readonly destination: Writable;
  /** Stands in every line. */
  readonly fields?: LogFields;
  /** Colours in `pretty`; by default when the destination is a terminal. */
  readonly colours?: boolean;
  readonly wallMs?: () => number;
}

const levels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];
/** What waits for the end of this turn; more is written at once. */
const waitingCharactersMax = 64 * 1024;
/** What a destination that does not take it may hold back; more is dropped, and told later. */
const heldBackMax = 8 * 1024 * 1024;

export function createLog(options: LogOptions): Log {
  const { destination } = options;
  const wallMs = options.wallMs ?? systemClock.wallMs;
  const always = redact(options.fields ?? {});
  const colours = options.colours ?? ('isTTY' in destination && destination.isTTY === true);
  const format = (event: LogEvent): string =>
    options.format === 'json' ? jsonLine(event) : prettyLine(event, colours);
  let waiting = '';
  let scheduled: NodeJS.Immediate | undefined;
  let dropped = 0;

  // A reader that went away (`| head`) must not end the service.
  destination.on('error', () => undefined);

  function flush(): void {
    clearImmediate(scheduled);
    scheduled = undefined;
    if (waiting === '') return;
    const lines = waiting;
    waiting = '';
    if (destination.destroyed || destination.writableEnded) return;
    if (destination.writableLength > heldBackMax) {
      dropped += lines.split('\n').length - 1;
      return;
    }
    if (dropped > 0) {
      const fields = { ...always, lines: dropped };
      dropped = 0;
      destination.write(format({ timeMs: wallMs(), level: 'warn', fields, message: 'log lines were dropped' }));
    }
    destination.write(lines);
  }

  function write(level: LogLevel, fields: LogFields, message: string): void {
    waiting += format({
      timeMs: wallMs(),
      level,
      fields: { ...always, ...redact(fields) },
      message: redactText(message),
    });
    if (waiting.length > waitingCharactersMax) flush();
    else scheduled ??= setImmediate(flush);
  }

  const threshold = levels.indexOf(options.level);
  const at = (level: Exclude<LogLevel, 'trace' | 'silent'>): Log['info'] =>
    levels.indexOf(level) < threshold ? () => undefined : (fields, message) => write(level, fields, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), flush };
}
