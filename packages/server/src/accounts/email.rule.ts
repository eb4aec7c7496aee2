/**
 * The one canonicaliser of e-mail addresses: register, login, recovery, counters and the unique index all compare what it
 * answers, and nothing else decides who is who.
 *
 * - What could be mapped onto another address is refused before any mapping: compatibility forms (full-width letters, the
 *   long s, the Kelvin sign), what changes into ASCII with its case (the dotted capital I), invisible and control characters,
 *   look-alike separators. So no spelling outside ASCII ever reaches an account whose address is ASCII.
 * - `email` keeps the local part as typed (NFC) and is what mail is sent to; `key` is what is compared.
 * - Linear in the input, and the input is bounded before it is looked at.
 */
import { domainToASCII, domainToUnicode } from 'node:url';

export type EmailProblem = 'empty' | 'too_long' | 'invalid';

export type CanonicalEmail =
  | { readonly ok: true; readonly email: string; readonly key: string }
  | { readonly ok: false; readonly problem: EmailProblem };

/** RFC 5321 §4.5.3.1 and erratum 1690: octets, not characters. */
const emailOctetsMax = 254;
const localOctetsMax = 64;
const domainOctetsMax = 253;
const labelOctetsMax = 63;
/** Longer than any spelling of an acceptable address (a code unit is at least one octet, and NFC may shorten). */
const inputUnitsMax = 1024;

/** RFC 5322 `atext` without `%` and `!`, by which old relays route elsewhere than the domain says. */
const asciiLocal = /^[A-Za-z0-9#$&'*+/=?^_`{|}~.-]$/;
const asciiDomain = /^[A-Za-z0-9-]$/;
const letterMarkOrNumber = /^[\p{L}\p{M}\p{N}]$/u;
const ignorable = /^\p{Default_Ignorable_Code_Point}$/u;
/** A combining mark with no letter to sit on. */
const strayMark = /(?:^|[^\p{L}\p{M}])\p{M}/u;
/** Scripts whose letters pass for one another; one address uses at most one of them. */
const lookAlikeScripts = [
  /\p{Script=Latin}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
  /\p{Script=Coptic}/u,
  /\p{Script=Lisu}/u,
];

export function canonicalEmail(input: string): CanonicalEmail {
  if (input.length > inputUnitsMax) return refused('too_long');
  const typed = trimSpaces(input);
  if (typed === '') return refused('empty');
  if (!typed.isWellFormed()) return refused('invalid');

  const at = typed.indexOf('@');
  if (at === -1 || at !== typed.lastIndexOf('@')) return refused('invalid');
  const local = canonicalLocal(typed.slice(0, at));
  const domain = canonicalDomain(typed.slice(at + 1));
  if (local === undefined || domain === undefined) return refused('invalid');

  const email = `${local}@${domain}`;
  const tooLong =
    Buffer.byteLength(local) > localOctetsMax ||
    Buffer.byteLength(domain) > domainOctetsMax ||
    Buffer.byteLength(email) > emailOctetsMax;
  if (tooLong) return refused('too_long');
  return { ok: true, email, key: `${foldCase(local)}@${domain}` };
}

const refused = (problem: EmailProblem): CanonicalEmail => ({ ok: false, problem });

/** Spaces only: `String.trim` would also take line breaks and byte order marks away, which are refused instead. */
function trimSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text[start] === ' ') start++;
  while (end > start && text[end - 1] === ' ') end--;
  return text.slice(start, end);
}

/** A dot-atom. Quoted local parts, comments and address lists are refused by the characters they need. */
function canonicalLocal(typed: string): string | undefined {
  if (!isPlain(typed, asciiLocal)) return undefined;
  const local = typed.normalize('NFC');
  if (local === '' || local.startsWith('.') || local.endsWith('.') || local.includes('..')) return undefined;
  return local;
}

function canonicalDomain(typed: string): string | undefined {
  if (!arePlain(typed)) return undefined;
  const lower = lowerCase(typed.normalize('NFC'));
  const unicode = decodeLabels(lower);
  if (unicode === undefined || !arePlain(unicode)) return undefined;
  const ascii = isAscii(unicode) ? unicode : domainToASCII(unicode);
  return isHostName(ascii) ? ascii : undefined;
}

/** `xn--` labels in Unicode, so that both spellings of a name are judged by the same rules; `undefined` for broken ones. */
function decodeLabels(lower: string): string | undefined {
  if (!/(?:^|\.)xn--/.test(lower)) return lower;
  const unicode = domainToUnicode(lower);
  if (unicode === '' || /(?:^|\.)xn--/.test(unicode) || isAscii(unicode)) return undefined;
  const everyLabelRoundTrips = lower
    .split('.')
    .every((label) => !label.startsWith('xn--') || domainToASCII(domainToUnicode(label)) === label);
  return everyLabelRoundTrips ? unicode : undefined;
}

/** Two labels or more of letters, digits and inner hyphens; the last is no number, or it would name an IPv4 address. */
function isHostName(ascii: string): boolean {
  const labels = ascii.split('.');
  const last = labels.at(-1) ?? '';
  if (labels.length < 2 || !/[a-z]/.test(last) || /^0x/.test(last)) return false;
  return labels.every(
    (label) =>
      label.length <= labelOctetsMax &&
      /^[a-z0-9-]+$/.test(label) &&
      !label.startsWith('-') &&
      !label.endsWith('-') &&
      (label.slice(2, 4) !== '--' || label.startsWith('xn--')),
  );
}

/** Scripts may differ from label to label: a Greek name may stand under `.com`. */
const arePlain = (domain: string): boolean => domain.split('.').every((label) => isPlain(label, asciiDomain));

/** Whether each character is one of `ascii`, or outside ASCII a letter, mark or number that maps onto nothing else. */
function isPlain(text: string, ascii: RegExp): boolean {
  for (const character of text) {
    const fine = character <= '\u007f' ? ascii.test(character) : isStable(character);
    if (!fine) return false;
  }
  return !strayMark.test(text) && lookAlikeScripts.filter((script) => script.test(text)).length <= 1;
}

/** No compatibility form, nothing invisible, and nothing that has ASCII in it once its case is folded. */
function isStable(character: string): boolean {
  if (!letterMarkOrNumber.test(character) || ignorable.test(character)) return false;
  if (character.normalize('NFKC') !== character.normalize('NFC') || isAscii(character.normalize('NFC'))) return false;
  return !hasAscii(character.toLowerCase().normalize('NFC'));
}

/** By the Unicode default mapping, never a locale's, and character by character: the final sigma depends on nothing. */
const lowerCase = (text: string): string =>
  Array.from(text, (character) => character.toLowerCase())
    .join('')
    .normalize('NFC');
/** Both small sigmas are one letter to whoever compares without case. */
const foldCase = (text: string): string => lowerCase(text).replaceAll('ς', 'σ');

const isAscii = (text: string): boolean => !/[^\0-\u007f]/.test(text);
const hasAscii = (text: string): boolean => /[\0-\u007f]/.test(text);
