/** One event as one line, for machines or for people. */

export interface LogEvent {
  readonly timeMs: number;
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Controls (a terminal obeys the C1 ones too), line separators, and what reorders the text around it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const dangerous = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const escapeDangerous = (text: string): string =>
  text.replace(dangerous, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** `level`, `time`, `msg` are the line's own; a field of such a name loses. */
export function jsonLine({ timeMs, level, fields, message }: LogEvent): string {
  const record = { level, time: timeOf(timeMs), ...fields };
  // What JSON leaves as it is can only stand inside of texts, where the escape means the same.
  return `${escapeDangerous(JSON.stringify({ ...record, level, time: timeOf(timeMs), msg: message }))}\n`;
}

export function prettyLine({ timeMs, level, fields, message }: LogEvent, colours: boolean): string {
  const paint = (code: string, text: string): string => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  const details = Object.entries(fields).map(([name, value]) => {
    if (isError(value)) return '';
    const text = typeof value === 'string' && /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value);
    return ` ${paint('2', `${escapeDangerous(name)}=${escapeDangerous(text)}`)}`;
  });
  const errors = Object.values(fields)
    .filter(isError)
    .map((error) => describeError(error, paint));
  const head = `${paint('2', timeOf(timeMs).slice(11, 23))} ${paint(colourOf[level] ?? '0', level.toUpperCase().padEnd(5))}`;
  return `${head} ${escapeDangerous(message)}${details.join('')}${errors.join('')}\n`;
}

const colourOf: Readonly<Record<string, string>> = { debug: '36', info: '32', warn: '33', error: '31' };

interface ErrorFields {
  readonly type: string;
  readonly message: string;
  readonly stack: readonly string[];
  readonly cause?: unknown;
}

const isError = (value: unknown): value is ErrorFields =>
  typeof value === 'object' && value !== null && 'type' in value && 'stack' in value && Array.isArray(value.stack);

/** An error is the one thing that people get several lines for; each begins with a bar, so none can pass for an event. */
function describeError(error: ErrorFields, paint: (code: string, text: string) => string): string {
  const lines = [`${error.type}: ${error.message}`, ...error.stack.map((frame) => `  ${frame}`)];
  const own = lines.map((line) => `\n  ${paint('2', '│')} ${escapeDangerous(line)}`).join('');
  return isError(error.cause) ? `${own}${describeError(error.cause, paint)}` : own;
}

const timeOf = (timeMs: number): string => new Date(timeMs).toISOString();
