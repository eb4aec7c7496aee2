import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom, createSeededRandom, systemRandom } from './index.ts';
import { pooled } from './random.ts';

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('UUIDv7', () => {
  test('has version, variant and the time of RFC 9562', () => {
    const id = systemRandom.uuidv7(0x0123_4567_89ab);
    assert.match(id, shape);
    assert.equal(id.slice(0, 13), '01234567-89ab');
  });

  test('grows with each call, ten thousand times in one millisecond and while the clock steps back', () => {
    const random = createRandom((count) => systemRandom.bytes(count));
    const ids: string[] = [];
    for (let call = 0; call < 10_000; call++) ids.push(random.uuidv7(1_800_000_000_000));
    for (let call = 0; call < 1_000; call++) ids.push(random.uuidv7(1_800_000_000_000 - call));
    for (const id of ids) assert.match(id, shape);
    assert.deepEqual(ids, ids.toSorted());
    assert.equal(new Set(ids).size, ids.length);
  });

  test('follows a clock that was far ahead and is corrected', () => {
    const random = createSeededRandom(1);
    random.uuidv7(4_000_000_000_000);
    const id = random.uuidv7(1_800_000_000_000);
    assert.equal(Number.parseInt(id.replace('-', '').slice(0, 12), 16), 1_800_000_000_000);
  });

  test('takes a fractional, a negative and a monstrous time without breaking its form', () => {
    for (const ms of [0.5, -1, 2 ** 60, 1_800_000_000_000.999]) {
      assert.match(createSeededRandom(ms).uuidv7(ms), shape);
    }
  });
});

test('a seed repeats its bytes and ids, another seed has others', () => {
  const draw = (seed: string) => {
    const random = createSeededRandom(seed);
    return [random.bytes(16).toString('hex'), random.bytes(16).toString('hex'), random.uuidv7(5)];
  };
  assert.deepEqual(draw('a'), draw('a'));
  assert.notDeepEqual(draw('a'), draw('b'));
  const [first, second] = draw('a');
  assert.notEqual(first, second);
});

test('pooled bytes are handed out once, in order, and wiped where they were', () => {
  const sources: Buffer[] = [];
  const bytes = pooled((count) => {
    const made = Buffer.alloc(count, sources.length + 1);
    sources.push(made);
    return made;
  });
  const taken = Array.from({ length: 129 }, () => bytes(32));
  assert.equal(sources.length, 2);
  assert.ok(taken.slice(0, 128).every((one) => one.every((byte) => byte === 1)));
  assert.ok(taken[128]?.every((byte) => byte === 2));
  assert.ok(sources[0]?.every((byte) => byte === 0));
  assert.equal(bytes(65).length, 65);
  assert.equal(sources.length, 3);
});
