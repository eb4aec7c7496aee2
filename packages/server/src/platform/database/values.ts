/**
 * Values on the wire: how parameters are written and how columns are read, for both drivers alike.
 *
 * Parameters are turned into text here, never by the client library, so that an odd value is refused before anything
 * was sent: a bind that fails half-way would leave a pipelined connection with a statement that only one side knows.
 */
import type { ClientConfig } from 'pg';

type Encoded = string | Buffer | null;

/** The parameters as the client sends them. Throws `TypeError` for what has no place in SQL. */
export function encodeParams(params: readonly unknown[]): Encoded[] {
  return params.map(encodeParam);
}

function encodeParam(value: unknown): Encoded {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return encodeArray(value);
  return encodeScalar(value);
}

function encodeScalar(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      if (value instanceof Date) return value.toISOString();
      if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
      return JSON.stringify(value);
    default:
      throw new TypeError(`a parameter of type ${typeof value} cannot be sent to the database`);
  }
}

function encodeArray(values: readonly unknown[]): string {
  const items = values.map((item) => {
    if (item === null || item === undefined) return 'NULL';
    if (Array.isArray(item)) return encodeArray(item);
    return `"${encodeScalar(item).replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${items.join(',')}}`;
}

type Parse = (text: string) => unknown;

function parseTimestamp(text: string): Date {
  if (text === 'infinity') return new Date(8.64e15);
  if (text === '-infinity') return new Date(-8.64e15);
  // Sessions run in UTC, so the text is always `2026-01-31 10:20:30.123456+00`.
  return new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`);
}

function parseBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.slice(2), 'hex'));
}

/** Reads the text form of a one-dimensional array: `{a,"b \"c\"",NULL}`. */
function parseArray(text: string, parseItem: Parse): unknown[] {
  const items: unknown[] = [];
  let at = 1;
  while (at < text.length - 1) {
    if (text[at] === ',') {
      at += 1;
    } else if (text[at] === '"') {
      let item = '';
      at += 1;
      while (text[at] !== '"') {
        if (text[at] === '\\') at += 1;
        item += text[at];
        at += 1;
      }
      at += 1;
      items.push(parseItem(item));
    } else {
      const start = at;
      while (at < text.length - 1 && text[at] !== ',') at += 1;
      const item = text.slice(start, at);
      items.push(item === 'NULL' ? null : parseItem(item));
    }
  }
  return items;
}

const asIs: Parse = (text) => text;
const parseBoolean: Parse = (text) => text === 't';
const parseJson: Parse = (text) => JSON.parse(text);

/** By the type's object id, which PostgreSQL fixes for its built-in types (`pg_type.dat`). */
const parsers: ReadonlyMap<number, Parse> = new Map<number, Parse>([
  [16, parseBoolean],
  [17, parseBytes],
  [20, Number],
  [21, Number],
  [23, Number],
  [26, Number],
  [114, parseJson],
  [700, Number],
  [701, Number],
  [1184, parseTimestamp],
  [1700, Number],
  [3802, parseJson],
  [1000, (text) => parseArray(text, parseBoolean)],
  [1001, (text) => parseArray(text, parseBytes)],
  [1005, (text) => parseArray(text, Number)],
  [1007, (text) => parseArray(text, Number)],
  [1009, (text) => parseArray(text, asIs)],
  [1015, (text) => parseArray(text, asIs)],
  [1016, (text) => parseArray(text, Number)],
  [1185, (text) => parseArray(text, parseTimestamp)],
  [2951, (text) => parseArray(text, asIs)],
]);

/** For the client's `types`: set on each client, so that no other user of the library is touched. */
export const columnTypes = {
  getTypeParser: (oid: number) => parsers.get(oid) ?? asIs,
} as NonNullable<ClientConfig['types']>;
