import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeKey, slotOf } from './keys.rule.ts';

describe('slots of a Redis Cluster', () => {
  // As `CLUSTER KEYSLOT` of a server answers.
  const known: readonly (readonly [string, number])[] = [
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{foo}', 12_182],
    ['auth:limit:{foo}:login', 12_182],
    ['', 0],
  ];
  for (const [key, slot] of known) {
    test(`"${key}" is in slot ${slot}`, () => assert.equal(slotOf(key), slot));
  }

  test('keys of one tag share a slot, whatever else they are of', () => {
    const slots = ['a', 'b'].flatMap((kind) =>
      [undefined, 'x', 'y'].map((rest) => slotOf(makeKey('p:', kind, 'tag', rest))),
    );
    assert.equal(new Set(slots).size, 1);
  });
});
