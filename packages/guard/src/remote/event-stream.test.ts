import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventReader } from './event-stream.ts';

function read(pieces: readonly Uint8Array[], bytesMax = 1_000): readonly string[] {
  const seen: string[] = [];
  const reader = createEventReader({ bytesMax, onData: (data) => seen.push(data) });
  for (const piece of pieces) reader.push(piece);
  return seen;
}

const text =
  'retry: 1000\n\n: a comment\nid: 1\nevent: revocations\ndata: {"a":1}\n\ndata:{"b":\r\ndata: "é"}\r\n\r\ndata: unfinished';

test('events are the same however they are cut into pieces', () => {
  const bytes = Buffer.from(text);
  const whole = read([bytes]);
  assert.deepEqual(whole, ['{"a":1}', '{"b":\n"é"}']);
  assert.deepEqual(read([...bytes].map((byte) => Uint8Array.of(byte))), whole);
  for (let at = 1; at < bytes.length; at += 1)
    assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), whole);
});

test('an event without an end is not collected past its bound', () => {
  assert.throws(() => read([Buffer.from('data: '), Buffer.alloc(2_000, 'x')]), /too long/);
  const lines = Array.from({ length: 100 }, () => Buffer.from('data: 0123456789012345678\n'));
  assert.throws(() => read(lines), /too long/);
});
