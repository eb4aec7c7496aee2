/**
 * JSON objects as tokens may carry them: valid UTF-8, one object, no member twice at any depth (RFC 7515 section 4, RFC 7519
 * section 4), no `__proto__`, nesting bounded before the parser sees it. Anything else is `undefined`.
 */
import { isUtf8 } from 'node:buffer';

export type JsonObject = Readonly<Record<string, unknown>>;

const depthMax = 8;

/** The object in `bytes`, frozen through and through. */
export function readJsonObject(bytes: Buffer): JsonObject | undefined {
  const colons = countColons(bytes);
  if (colons === undefined || !isUtf8(bytes)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  // In valid JSON each colon outside a string is one member; a parser that drops duplicates ends up with fewer.
  return countMembersAndFreeze(value as JsonObject) === colons ? (value as JsonObject) : undefined;
}

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
/** `[` and `{`, `]` and `}` differ in this bit alone. */
const curly = 0x20;
const open = 0x7b;
const close = 0x7d;

/** Colons outside strings; `undefined` when the text nests too deep. Says nothing of whether it is JSON. */
function countColons(bytes: Uint8Array): number | undefined {
  let colons = 0;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (inString) {
      if (byte === quote) inString = false;
      else if (byte === backslash) at += 1;
    } else if (byte === quote) inString = true;
    else if (byte === colon) colons += 1;
    else if ((byte | curly) === open) {
      depth += 1;
      if (depth > depthMax) return undefined;
    } else if ((byte | curly) === close) depth -= 1;
  }
  return colons;
}

/** `NaN`, which equals nothing, for a member that would reach a prototype. */
function countMembersAndFreeze(value: JsonObject | readonly unknown[]): number {
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && item !== null) members += countMembersAndFreeze(item);
  } else {
    const names = Object.keys(value);
    members = names.length;
    for (const name of names) {
      if (name === '__proto__') return Number.NaN;
      const item = (value as JsonObject)[name];
      if (typeof item === 'object' && item !== null) members += countMembersAndFreeze(item as JsonObject);
    }
  }
  Object.freeze(value);
  return members;
}
