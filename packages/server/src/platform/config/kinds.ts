/** The kinds of value a setting can have. Each reads the text strictly, and says what it would have taken. */
import { isIP } from 'node:net';
import { createSecret, maskedSecret, type Secret } from './secret.ts';
import { findWeakness, isPlaceholder } from './secret-strength.ts';
import type { Parsed, Setting } from './setting.ts';

export interface Rate {
  readonly limit: number;
  readonly windowSeconds: number;
}

interface Common<D> {
  readonly about: string;
  readonly default: D;
  /** What the documents say instead of the default: when it depends on something. */
  readonly shownDefault?: string;
  /** Which values this version cannot serve yet; `true`: none. Values equal to the default always can. */
  readonly unavailable?: true | ((value: never) => boolean);
}

const generateSecret = 'generate one with `openssl rand -base64 48`';
const textLengthMax = 4_096;
const listLengthMax = 100;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controlCharacters = /[\u0000-\u001f\u007f\u2028\u2029]/;

const good = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (problem: string, mend: string): Parsed<never> => ({ ok: false, problem, mend });

/** The value as it was written, for a problem line: one line, not too long. Never for a secret. */
const quote = (text: string): string =>
  JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text).replace(
    /[^\x20-\x7e…]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

function make<T, D>(
  common: Common<D>,
  values: string,
  parse: (text: string) => Parsed<T>,
  show: (value: T) => string = String,
): Setting<T | D> {
  const { about, unavailable } = common;
  const fallback = common.default;
  const refuses = unavailable === true ? () => true : (unavailable as ((value: T | D) => boolean) | undefined);
  const showAll = (value: T | D): string =>
    value === undefined ? '' : value === fallback && typeof value !== 'object' ? String(value) : show(value as T);
  return {
    group: '',
    about,
    values,
    fallback,
    shownDefault: common.shownDefault ?? (fallback === undefined ? 'none' : showAll(fallback)),
    secret: false,
    emptyIsUnset: true,
    unavailable: (value) => value !== fallback && refuses?.(value) === true,
    parse,
    show: showAll,
  };
}

export function integer<const D extends number | undefined>(
  options: Common<D> & { readonly min: number; readonly max: number },
): Setting<number | D> {
  const range = `${options.min} to ${options.max}`;
  return make<number, D>(options, range, (text) => {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value)) return bad(`is ${quote(text)}, not a whole number`, `set a number from ${range}`);
    if (value < options.min || value > options.max) return bad(`is ${value}`, `set a number from ${range}`);
    return good(value);
  });
}

export function boolean<const D extends boolean>(options: Common<D>): Setting<boolean | D> {
  const words: Readonly<Record<string, boolean>> = {
    true: true,
    false: false,
    1: true,
    0: false,
    yes: true,
    no: false,
    on: true,
    off: false,
  };
  return make<boolean, D>(options, 'true|false', (text) => {
    const value = Object.hasOwn(words, text.toLowerCase()) ? words[text.toLowerCase()] : undefined;
    return value === undefined ? bad(`is ${quote(text)}`, 'set true or false') : good(value);
  });
}

export function oneOf<const V extends string, const D extends V | undefined>(
  options: Common<D> & { readonly of: readonly V[] },
): Setting<V | D> {
  return make<V, D>(options, options.of.join('|'), (text) => {
    const value = options.of.find((known) => known === text);
    return value === undefined ? bad(`is ${quote(text)}`, `set one of ${options.of.join(', ')}`) : good(value);
  });
}

export function text<const D extends string | undefined>(
  options: Common<D> & {
    readonly values?: string;
    /** With what to set instead. */
    readonly pattern?: readonly [RegExp, string];
  },
): Setting<string | D> {
  return make<string, D>(options, options.values ?? 'text', (given) => {
    if (given.length > textLengthMax) return bad('is too long', `set at most ${textLengthMax} characters`);
    if (controlCharacters.test(given)) return bad('holds a control character', 'take it out');
    if (options.pattern !== undefined && !options.pattern[0].test(given)) {
      return bad(`is ${quote(given)}`, options.pattern[1]);
    }
    return good(given);
  });
}

/** An address of one of the protocols, without credentials. The value is kept as written, without slashes at its end. */
export function url<const D extends string | undefined>(
  options: Common<D> & { readonly protocols: readonly string[] },
): Setting<string | D> {
  const wanted = `set an address that begins with ${options.protocols.map((protocol) => `${protocol}://`).join(' or ')}`;
  return make<string, D>(options, 'URL', (given) => {
    const parsed = parseUrl(given, options.protocols);
    if (parsed === undefined) return bad('is not such an address', wanted);
    if (parsed.username !== '' || parsed.password !== '') return bad('holds credentials', 'take them out');
    if (parsed.search !== '' || parsed.hash !== '') return bad('has a query or a fragment', 'take them off');
    return good(given.replace(/\/+$/, ''));
  });
}

/** A secret; `X_FILE` is read in place of `X`. */
export function secret(
  options: Omit<Common<undefined>, 'default'> & {
    /** Bytes that it must have, and be random over; without it anything goes that is no placeholder. */
    readonly bytesMin?: number;
    readonly placeholders?: 'refused' | 'allowed';
    readonly emptyIsUnset?: boolean;
  },
): Setting<Secret<string> | undefined> {
  const { bytesMin, placeholders = 'refused', emptyIsUnset = bytesMin === undefined } = options;
  const values = bytesMin === undefined ? 'secret' : `secret, ${bytesMin} bytes or more`;
  const setting = make<Secret<string>, undefined>(
    { ...options, default: undefined },
    values,
    (given) => {
      const weakness =
        bytesMin !== undefined
          ? findWeakness(given, bytesMin)
          : placeholders === 'refused' && isPlaceholder(given)
            ? 'is a placeholder out of an example'
            : undefined;
      if (weakness !== undefined) return bad(weakness, bytesMin === undefined ? 'set a real one' : generateSecret);
      if (given.length > textLengthMax) return bad('is too long', `set at most ${textLengthMax} characters`);
      return good(createSecret(given));
    },
    () => maskedSecret,
  );
  return { ...setting, secret: true, emptyIsUnset };
}

/** An address with credentials in it; shown without them. */
export function secretUrl(
  options: Omit<Common<undefined>, 'default'> & { readonly protocols: readonly string[] },
): Setting<Secret<string> | undefined> {
  const wanted = `set an address that begins with ${options.protocols.map((protocol) => `${protocol}://`).join(' or ')}`;
  const setting = make<Secret<string>, undefined>(
    { ...options, default: undefined },
    'URL',
    (given) =>
      parseUrl(given, options.protocols) === undefined
        ? bad('is not such an address', wanted)
        : good(createSecret(given)),
    (value) => {
      const parsed = parseUrl(value.reveal(), options.protocols);
      return parsed === undefined ? maskedSecret : `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
    },
  );
  return { ...setting, secret: true };
}

export function rate<const D extends Rate>(options: Common<D>): Setting<Rate> {
  const wanted = 'set N/SECONDS, such as 20/60';
  const show = (value: Rate): string => `${value.limit}/${value.windowSeconds}`;
  const parse = (given: string): Parsed<Rate> => {
    const match = /^(\d{1,7})\/(\d{1,6})$/.exec(given);
    const [limit, windowSeconds] = [Number(match?.[1]), Number(match?.[2])];
    if (match === null) return bad(`is ${quote(given)}`, wanted);
    if (limit < 1 || windowSeconds < 1 || windowSeconds > 86_400) {
      return bad(`is ${quote(given)}`, `${wanted}: N from 1, SECONDS from 1 to 86400`);
    }
    return good({ limit, windowSeconds });
  };
  return make<Rate, Rate>({ ...options, default: options.default as Rate }, 'N/SECONDS', parse, show);
}

/** Comma-separated; blanks around an entry do not count, entries without text are dropped. */
export function list(
  options: Omit<Common<readonly string[]>, 'default'> & {
    readonly values: string;
    /** What is wrong with an entry, and what to set. */
    readonly check?: (entry: string) => readonly [string, string] | undefined;
    readonly default?: readonly string[];
  },
): Setting<readonly string[]> {
  const fallback = options.default ?? [];
  const parse = (given: string): Parsed<readonly string[]> => {
    const entries = given.split(',').flatMap((entry) => (entry.trim() === '' ? [] : [entry.trim()]));
    if (entries.length > listLengthMax) return bad(`has ${entries.length} entries`, `set at most ${listLengthMax}`);
    for (const entry of entries) {
      const found = controlCharacters.test(entry)
        ? (['holds a control character', 'take it out'] as const)
        : options.check?.(entry);
      if (found !== undefined) return bad(`holds ${quote(entry)}, which ${found[0]}`, found[1]);
    }
    return good(entries);
  };
  const shown = { ...options, default: fallback, shownDefault: options.shownDefault ?? (fallback.join(',') || 'none') };
  return make<readonly string[], readonly string[]>(shown, options.values, parse, (entries) => entries.join(','));
}

/** What none of the other kinds reads. */
export function custom<T, const D extends T | undefined>(
  options: Common<D> & {
    readonly values: string;
    readonly parse: (text: string) => Parsed<T>;
    readonly show?: (value: T) => string;
  },
): Setting<T | D> {
  return make<T, D>(options, options.values, options.parse, options.show ?? String);
}

export function isCidr(entry: string): boolean {
  const [address = '', prefix, ...rest] = entry.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

export function parseUrl(given: string, protocols: readonly string[]): URL | undefined {
  if (given.length > textLengthMax || controlCharacters.test(given)) return undefined;
  const parsed = URL.parse(given);
  if (parsed === null || !protocols.includes(parsed.protocol.slice(0, -1))) return undefined;
  return given.toLowerCase().startsWith(`${parsed.protocol}//`) ? parsed : undefined;
}
