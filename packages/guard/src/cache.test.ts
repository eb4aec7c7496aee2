/** The cache of verified tokens: it answers for the same text alone, and stays within its bounds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createTokenCache } from './cache.ts';

interface Slot {
  readonly token: string;
  readonly number: number;
}

const tail = 'abcdefghijkl';
const weight = (token: string): number => 3 * token.length + 512;

describe('the cache of verified tokens', () => {
  test('TOK-07 a token with the same length and end as a cached one is not found, in either generation', () => {
    const cache = createTokenCache<Slot>({ entries: 4, bytes: 1e6 });
    const [one, other] = [`one${tail}`, `two${tail}`];
    cache.add({ token: one, number: 1 });
    assert.equal(cache.find(other), undefined);
    cache.add({ token: 'x'.repeat(20), number: 2 });
    cache.add({ token: 'y'.repeat(20), number: 3 });
    assert.equal(cache.find(other), undefined, 'the first token is in the old generation now');
    assert.equal(cache.find(one)?.number, 1);
    cache.add({ token: other, number: 4 });
    assert.equal(cache.find(other)?.number, 4);
    assert.equal(cache.find(one), undefined, 'one place for both: the later token has it');
  });

  test('what is used stays while what is not goes', () => {
    const cache = createTokenCache<Slot>({ entries: 20, bytes: 1e6 });
    const kept = `kept${tail}`;
    cache.add({ token: kept, number: 0 });
    for (let number = 1; number < 1_000; number += 1) {
      cache.add({ token: `${number}-${tail}-${number * 7}-padding`, number });
      assert.equal(cache.find(kept)?.number, 0);
    }
  });

  test('finds what was added last, finds nothing deleted, and is never beyond its bounds, whatever is done', () => {
    const step = fc.record({
      does: fc.constantFrom('add', 'find', 'delete'),
      // Few texts, of which some share length and end.
      token: fc
        .tuple(fc.constantFrom('a', 'b', 'cc', 'd'.repeat(300)), fc.nat(9))
        .map(([head, at]) => `${head}${at}${tail}`),
    });
    const bounds = fc.record({ entries: fc.nat(12), bytes: fc.nat(12_000) });
    const check = fc.property(bounds, fc.array(step, { maxLength: 60 }), (limits, steps) => {
      const cache = createTokenCache<Slot>(limits);
      const last = new Map<string, number>();
      steps.forEach(({ does, token }, number) => {
        if (does === 'add') {
          cache.add({ token, number });
          last.set(token, number);
        } else if (does === 'delete') {
          cache.delete(token);
          last.delete(token);
        } else {
          const found = cache.find(token);
          if (found !== undefined) assert.deepEqual(found, { token, number: last.get(token) });
        }
        assert.ok(cache.size() <= limits.entries);
        assert.ok(cache.size() * weight('') <= limits.bytes);
      });
    });
    fc.assert(check, { numRuns: 5_000, seed: 20_261_123 });
  });
});
