/** The cache of verified tokens: it answers for the same text alone, and stays within its bounds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Cached, createTokenCache } from './cache.ts';

interface Slot extends Cached {
  readonly number: number;
}

const slot = (token: string, number: number): Slot => ({ token, framed: undefined, number });

const tail = 'abcdefghijkl';
const weight = (token: string): number => 4 * token.length + 512;

describe('the cache of verified tokens', () => {
  test('TOK-07 a token with the same length and end as a cached one is not found, in either generation', () => {
    const cache = createTokenCache<Slot>({ entries: 4, bytes: 1e6 });
    const [one, other] = [`one${tail}`, `two${tail}`];
    cache.add(slot(one, 1));
    assert.equal(cache.find(other), undefined);
    cache.add(slot('x'.repeat(20), 2));
    cache.add(slot('y'.repeat(20), 3));
    assert.equal(cache.find(other), undefined, 'the first token is in the old generation now');
    assert.equal(cache.find(one)?.number, 1);
    cache.add(slot(other, 4));
    assert.equal(cache.find(other)?.number, 4);
    assert.equal(cache.find(one), undefined, 'one place for both: the later token has it');
  });

  test('TOK-07 a token is found at the end of a text from where it begins on, and from nowhere else', () => {
    const cache = createTokenCache<Slot>({ entries: 10, bytes: 1e6 });
    const token = `token${tail}`;
    cache.add(slot(token, 1));
    // Twice: the second time by the text that the first has left.
    for (let time = 0; time < 2; time += 1) {
      for (const frame of ['Bearer ', '', 'bearer ']) {
        assert.equal(cache.find(frame + token, frame.length)?.number, 1);
        for (const start of [0, 1, 6, 8, 9, 30].filter((at) => at !== frame.length)) {
          assert.equal(cache.find(frame + token, start), undefined, `${frame}${token} from ${start}`);
        }
        for (const other of [`${frame}Token${tail}`, `${frame}${token}m`, `${frame}${token.slice(1)}`]) {
          assert.equal(cache.find(other, frame.length), undefined, other);
        }
      }
    }
  });

  test('what is used stays while what is not goes', () => {
    const cache = createTokenCache<Slot>({ entries: 20, bytes: 1e6 });
    const kept = `kept${tail}`;
    cache.add(slot(kept, 0));
    for (let number = 1; number < 1_000; number += 1) {
      cache.add(slot(`${number}-${tail}-${number * 7}-padding`, number));
      assert.equal(cache.find(kept)?.number, 0);
    }
  });

  test('finds what was added last, finds nothing deleted, and is never beyond its bounds, whatever is done', () => {
    const step = fc.record({
      does: fc.constantFrom('add', 'find', 'delete'),
      // Few texts, of which some share length and end.
      // Alone, and at the end of a text; the second differs from what a header says in its spelling alone.
      frame: fc.constantFrom('', 'Bearer ', 'bearer '),
      token: fc
        .tuple(fc.constantFrom('a', 'b', 'cc', 'd'.repeat(300)), fc.nat(9))
        .map(([head, at]) => `${head}${at}${tail}`),
    });
    const bounds = fc.record({ entries: fc.nat(12), bytes: fc.nat(12_000) });
    const check = fc.property(bounds, fc.array(step, { maxLength: 60 }), (limits, steps) => {
      const cache = createTokenCache<Slot>(limits);
      const last = new Map<string, number>();
      steps.forEach(({ does, frame, token }, number) => {
        if (does === 'add') {
          cache.add(slot(token, number));
          last.set(token, number);
        } else if (does === 'delete') {
          cache.delete(token);
          last.delete(token);
        } else {
          const found = cache.find(frame + token, frame.length);
          if (found !== undefined) assert.deepEqual([found.token, found.number], [token, last.get(token)]);
        }
        assert.ok(cache.size() <= limits.entries);
        assert.ok(cache.size() * weight('') <= limits.bytes);
      });
    });
    fc.assert(check, { numRuns: 5_000, seed: 20_261_123 });
  });
});
