import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { csvFields, type Format, type RawRecord, records } from './import-lines.ts';

async function read(octets: Uint8Array, format: Format, sizes: readonly number[] = [], from = { byte: 0, line: 1 }) {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let at = from.byte;
    for (const size of [...sizes, octets.length]) {
      yield octets.subarray(at, at + size);
      at += size;
    }
  }
  const read: RawRecord[] = [];
  for await (const record of records(chunks(), format, from)) read.push(record);
  return read;
}
const utf8 = (text: string): Buffer => Buffer.from(text);
const texts = (read: readonly RawRecord[]) => read.map(({ text }) => text);

describe('the records of an import', () => {
  test('lines end with either line end, the last needs none, and a byte order mark is no part of the first', async () => {
    const read1 = await read(utf8('\ufeffa\r\nb\n\nc'), 'ndjson');
    assert.deepEqual(texts(read1), ['a', 'b', '', 'c']);
    assert.deepEqual(
      read1.map(({ line, nextByte }) => [line, nextByte]),
      [
        [1, 6],
        [2, 8],
        [3, 9],
        [4, 10],
      ],
    );
  });

  test('a quoted field of CSV may hold line ends; in NDJSON a quote is a quote', async () => {
    const text = 'a,"b\n""c\n"\nd,e\n';
    assert.deepEqual(
      (await read(utf8(text), 'csv')).map(({ line, text }) => [line, text]),
      [
        [1, 'a,"b\n""c\n"'],
        [4, 'd,e'],
      ],
    );
    assert.equal((await read(utf8(text), 'ndjson')).length, 4);
  });

  test('what is too long or not UTF-8 is passed over and told, and the lines after it are read', async () => {
    const octets = Buffer.concat([
      utf8('a\n'),
      Buffer.alloc(300_000, 0x62),
      utf8('\n'),
      Buffer.from([0xff, 0x0a]),
      utf8('z'),
    ]);
    assert.deepEqual(texts(await read(octets, 'ndjson', [70_000, 70_000])), ['a', undefined, undefined, 'z']);
    const unclosed = utf8(`a\n"never closed\n${'b\n'.repeat(50_000)}`);
    const found = await read(unclosed, 'csv');
    assert.equal(found[1]?.text, undefined);
    assert.equal(found.at(-1)?.nextByte, unclosed.length);
  });

  test('however the stream is cut, the records are the same, and reading goes on from any of them', async () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '\r\n', '🔑'), maxLength: 20 });
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        line,
        sizes,
        fc.constantFrom<Format>('ndjson', 'csv'),
        fc.nat(),
        async (text, cuts, format, at) => {
          const octets = utf8(text);
          const whole = await read(octets, format);
          assert.deepEqual(await read(octets, format, cuts), whole);
          assert.equal(whole.at(-1)?.nextByte ?? 0, octets.length);
          const middle = whole[at % Math.max(1, whole.length)];
          if (middle === undefined) return;
          const rest = await read(octets, format, cuts, { byte: middle.nextByte, line: middle.nextLine });
          assert.deepEqual(rest, whole.slice(whole.indexOf(middle) + 1));
        },
      ),
    );
  });

  test('the fields of CSV: quotes are taken off, doubled ones are one, wrong ones are refused', () => {
    assert.deepEqual(csvFields('a,,"b,""c""",'), ['a', '', 'b,"c"', '']);
    assert.deepEqual(csvFields(''), ['']);
    for (const wrong of ['a"b', '"a"b', '"a', 'x,"']) assert.equal(csvFields(wrong), undefined, wrong);
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (fields) => {
        const written = fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(',');
        assert.deepEqual(csvFields(written), fields);
      }),
    );
  });
});
