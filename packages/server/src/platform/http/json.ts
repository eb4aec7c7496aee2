/**
 * Strict JSON from bytes: UTF-8 without BOM, well-formed text, no duplicate members (in whatever spelling), at most 20
 * levels and 1,000 items a list. `JSON.parse` alone lets the last of two members win, which two readers may see differently.
 *
 * Duplicates are found without a parser of our own: each member of the text has one colon outside strings, and each
 * member of the value one key; they differ in number exactly when a member was given twice.
 *
 * Names are written without escapes. This API has no name that needs one, and `JSON.parse` cannot be trusted with them:
 * in Node 24 (V8 13.6), after `{"a":1,"\\":2}` was parsed once, `{"a":1,"\u0062":2}` gets a member `\` instead of
 * `b`, so that an escaped duplicate would go unseen. There the text is refused whole.
 */
import { Buffer, isUtf8 } from 'node:buffer';

export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly detail: string };

export interface JsonLimits {
  readonly depthMax: number;
  readonly itemsMax: number;
}

export const jsonLimits: JsonLimits = { depthMax: 20, itemsMax: 1000 };

const refused = (detail: string): ParsedJson => ({ ok: false, detail });

export function parseJson(bytes: Uint8Array, limits: JsonLimits = jsonLimits): ParsedJson {
  if (bytes.length === 0) return refused('The body is empty.');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return refused('The body starts with a byte order mark.');
  }
  if (!isUtf8(bytes)) return refused('The body is not UTF-8.');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const members = countMembers(text, limits.depthMax);
  if (members === 'too_deep') return refused(`The body is nested deeper than ${limits.depthMax} levels.`);
  if (members === 'escaped_name') return refused('The body has a member name that is written with escapes.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refused('The body is not valid JSON.');
  }
  const walk = { keys: 0, tooLong: false, illFormed: false };
  inspect(value, limits.itemsMax, walk);
  if (walk.illFormed) return refused('The body has text that is not well-formed Unicode.');
  if (walk.tooLong) return refused(`The body has a list of more than ${limits.itemsMax} items.`);
  if (walk.keys !== members) return refused('The body has a member more than once.');
  return { ok: true, value };
}

/** Colons outside strings. Text that is no JSON gets any number: it is refused after. */
function countMembers(text: string, depthMax: number): number | 'too_deep' | 'escaped_name' {
  let colons = 0;
  let depth = 0;
  let escaped = false;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = endOfString(text, at);
        escaped = end < 0;
        at = Math.abs(end);
        break;
      }
      case 0x3a: // A colon: the string before it was a name.
        if (escaped) return 'escaped_name';
        colons += 1;
        break;
      case 0x7b:
      case 0x5b:
        depth += 1;
        if (depth > depthMax) return 'too_deep';
        break;
      case 0x7d:
      case 0x5d:
        depth -= 1;
        break;
    }
  }
  return colons;
}

/** Where the string that opens at `start` closes (the end of the text when it does not); negative if it has an escape. */
function endOfString(text: string, start: number): number {
  let sign = 1;
  for (let at = start + 1; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 0x5c) {
      sign = -1;
      at += 1;
    } else if (unit === 0x22) return sign * at;
  }
  return sign * text.length;
}

/** Depth was bounded before, so recursion is. */
function inspect(value: unknown, itemsMax: number, walk: { keys: number; tooLong: boolean; illFormed: boolean }): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) walk.illFormed = true;
  } else if (Array.isArray(value)) {
    if (value.length > itemsMax) walk.tooLong = true;
    else for (const item of value) inspect(item, itemsMax, walk);
  } else if (typeof value === 'object' && value !== null) {
    for (const key of Object.keys(value)) {
      walk.keys += 1;
      if (!key.isWellFormed()) walk.illFormed = true;
      inspect((value as Record<string, unknown>)[key], itemsMax, walk);
    }
  }
}
