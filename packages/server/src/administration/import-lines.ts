/**
 * A stream of octets, cut into records: the lines of NDJSON, or the records of CSV (RFC 4180: a quoted field may hold line ends).
 *
 * Memory is bounded whatever comes: a record beyond the limit is passed over and told as such. Each record knows where the next one
 * begins, so that reading can go on from there.
 */
import { TextDecoder } from 'node:util';

export type Format = 'ndjson' | 'csv';

export interface RawRecord {
  /** The line on which it begins, from 1. */
  readonly line: number;
  /** `undefined` where it is too long or not UTF-8. */
  readonly text: string | undefined;
  /** Where the next record begins: octets from the beginning, and the line. */
  readonly nextByte: number;
  readonly nextLine: number;
}

const recordBytesMax = 64 * 1024;
const newline = 0x0a;
const quote = 0x22;
const byteOrderMark = '\ufeff';

export async function* records(
  chunks: AsyncIterable<Uint8Array>,
  format: Format,
  from: { readonly byte: number; readonly line: number },
): AsyncGenerator<RawRecord> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let isQuoted = false;
  let { byte, line } = from;
  let nextLine = line;

  const keep = (part: Uint8Array): void => {
    byte += part.length;
    heldBytes += part.length;
    if (heldBytes <= recordBytesMax) held.push(part);
    else held = [];
  };
  const take = (): RawRecord => {
    const text = heldBytes > recordBytesMax ? undefined : decoded(decoder, held);
    const record = { line, text: line === 1 ? withoutMark(text) : text, nextByte: byte, nextLine };
    held = [];
    heldBytes = 0;
    isQuoted = false;
    line = nextLine;
    return record;
  };

  for await (const chunk of chunks) {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const octet = chunk[at];
      if (octet === quote && format === 'csv') isQuoted = !isQuoted;
      if (octet !== newline) continue;
      nextLine += 1;
      // A quote that is never closed ends with the record that it made too long.
      if (isQuoted && heldBytes + at - start < recordBytesMax) continue;
      keep(chunk.subarray(start, at + 1));
      yield take();
      start = at + 1;
    }
    // Copied: the stream may use its buffer again.
    if (start < chunk.length) keep(chunk.slice(start));
  }
  if (heldBytes > 0) yield take();
}

function decoded(decoder: TextDecoder, parts: readonly Uint8Array[]): string | undefined {
  try {
    return decoder.decode(Buffer.concat(parts)).replace(/\r?\n$/, '');
  } catch {
    return undefined;
  }
}

const withoutMark = (text: string | undefined): string | undefined =>
  text?.startsWith(byteOrderMark) === true ? text.slice(1) : text;

/** The fields of a record of CSV; `undefined` where its quotes are wrong. */
export function csvFields(record: string): readonly string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    let field = '';
    if (record[at] === '"') {
      at += 1;
      for (;;) {
        const end = record.indexOf('"', at);
        if (end === -1) return undefined;
        field += record.slice(at, end);
        at = end + 1;
        if (record[at] !== '"') break;
        field += '"';
        at += 1;
      }
      if (at < record.length && record[at] !== ',') return undefined;
    } else {
      const comma = record.indexOf(',', at);
      const end = comma === -1 ? record.length : comma;
      field = record.slice(at, end);
      if (field.includes('"')) return undefined;
      at = end;
    }
    fields.push(field);
    if (at >= record.length) return fields;
    at += 1;
  }
}
