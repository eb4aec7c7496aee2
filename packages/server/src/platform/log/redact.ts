/**
 * What of a value may stand in a log: a copy without secrets, of bounded size.
 *
 * Redaction goes by name at any depth, by type (`Secret`, bytes), and by form inside of texts. The last is a net, not a
 * licence: messages are constant texts, and values go into fields.
 */
const masked = '[secret]';
const depthMax = 6;
const entriesMax = 50;
const textLengthMax = 2_000;
const causesMax = 4;
const framesMax = 12;

/** After case and punctuation are taken off. */
const secretNames =
  /password|passwd|passphrase|secret|token|authorization|cookie|credential|apikey|privatekey|sessionkey|signingkey|jwt|databaseurl|redisurl|smtpurl|connectionstring|dsn$|^(code|otp|totp|pin|seed|mfacode|recoverycodes?|key|auth|bearer)$/;

/** Each looks a bounded way ahead from where it begins, so that a hostile text costs no more than a long one. */
const secretForms: readonly (readonly [RegExp, string])[] = [
  // Signed tokens: three parts of base64url, the first an object.
  [/\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g, masked],
  [/\b(rt|dt|ak|mt)_[\w-]{16,}/g, masked],
  [/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${masked}`],
  // user:password@ of an address.
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:@/]{0,200}):[^\s@/]{1,300}@/gi, `$1:${masked}@`],
  [/\b(password|passwd|secret|token|api_?key)(["']?\s*[:=]\s*["']?)[^\s"',;&}]+/gi, `$1$2${masked}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, masked],
  // Hashes of passwords.
  [/\$(2[aby]|argon2id?|bcrypt-sha256|scrypt)\$[^\s"']+/g, masked],
];

/** A copy of the fields for a log line. */
export function redact(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return copyEntries(fields, 0);
}

export function redactText(text: string): string {
  const cut = text.length > textLengthMax ? `${text.slice(0, textLengthMax)}…` : text;
  return secretForms.reduce((kept, [form, instead]) => kept.replace(form, instead), cut);
}

function copyEntries(source: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  let count = 0;
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined || typeof value === 'function') continue;
    if (++count > entriesMax) {
      copy['…'] = 'more was left out';
      break;
    }
    // Figures and flags are no secrets, whatever they are called (`tokens_issued`).
    const isSecret = typeof value !== 'number' && typeof value !== 'boolean' && value !== null && isSecretName(name);
    copy[redactText(name)] = isSecret ? masked : copyValue(value, depth + 1);
  }
  return copy;
}

const isSecretName = (name: string): boolean => secretNames.test(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));

function copyValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return copyError(value, 0);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if ('reveal' in value && typeof value.reveal === 'function') return masked;
  if (depth >= depthMax) return '[…]';
  if (Array.isArray(value) || value instanceof Set) return copyList([...value], depth);
  if (value instanceof Map) return copyEntries(Object.fromEntries(value), depth);
  return copyEntries(value, depth);
}

function copyList(list: readonly unknown[], depth: number): readonly unknown[] {
  const copy = list.slice(0, entriesMax).map((entry) => copyValue(entry, depth + 1));
  return list.length > entriesMax ? [...copy, `… ${list.length - entriesMax} more`] : copy;
}

/**
 * What an error tells of its place and kind. Not its other properties: those of a database hold the values of rows, and the
 * text of a parser holds what it could not parse.
 */
function copyError(error: Error, causes: number): Record<string, unknown> {
  const code =
    'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? error.code : undefined;
  const message = error.name === 'SyntaxError' ? (error.message.split(/["'`]/)[0] ?? '').trim() : error.message;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const stack = frames.slice(0, framesMax).map((line) => redactText(line.trim()));
  return {
    type: error.name,
    message: redactText(message),
    ...(code === undefined ? {} : { code }),
    stack,
    ...(error.cause instanceof Error && causes < causesMax ? { cause: copyError(error.cause, causes + 1) } : {}),
    ...(error instanceof AggregateError && causes < causesMax
      ? {
          errors: error.errors
            .slice(0, causesMax)
            .map((each) => (each instanceof Error ? copyError(each, causes + 1) : '?')),
        }
      : {}),
  };
}
