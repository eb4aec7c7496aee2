/**
 * JSON objects as tokens may carry them: valid UTF-8, one object, no member twice at any depth (RFC 7515 section 4, RFC 7519
 * section 4), no `__proto__`, nesting bounded before the parser sees it. Anything else is `undefined`.
 */
import { isUtf8 } from 'node:buffer';

export type JsonObject = Readonly<Record<string, unknown>>;

const depthMax = 8;

/** The object in `bytes`, frozen through and through. */
export function readJsonObject(bytes: Buffer): JsonObject | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  const colons = countColons(text);
  if (colons === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  // In valid JSON each colon outside a string is one member; a parser that drops duplicates ends up with fewer.
  return countMembersAndFreeze(value) === colons ? (value as JsonObject) : undefined;
}

const quote = 0x22;
const backslash = 0x5c;

/** Colons outside strings; `undefined` when the text nests too deep. Says nothing of whether it is JSON. */
function countColons(text: string): number | undefined {
  let colons = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at);
        break;
      case 0x3a: // :
        colons += 1;
        break;
      case 0x7b: // {
      case 0x5b: // [
        depth += 1;
        if (depth > depthMax) return undefined;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth -= 1;
        break;
    }
  }
  return colons;
}

/** The place of the closing quote; the end of the text when there is none. */
function endOfString(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  while (close !== -1 && isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close === -1 ? text.length : close;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === backslash) before -= 1;
  return (at - before) % 2 === 0;
}

/** `NaN`, which equals nothing, for a member that would reach a prototype. */
function countMembersAndFreeze(value: object): number {
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && item !== null) members += countMembersAndFreeze(item);
  } else {
    for (const [name, item] of Object.entries(value)) {
      if (name === '__proto__') return Number.NaN;
      members += 1;
      if (typeof item === 'object' && item !== null) members += countMembersAndFreeze(item);
    }
  }
  Object.freeze(value);
  return members;
}
