import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRootSecret } from '../keys/index.ts';
import { systemRandom } from '../platform/random/index.ts';
import { readPosition, writePosition } from './position.rule.ts';

const root = createRootSecret({
  current: 'a-root-secret-of-the-tests-7f3a9c5e1d42',
  previous: undefined,
  random: systemRandom,
});

test('a position reads back, and nothing that was changed or made up does', () => {
  const position = { xid: '1234', storeEpoch: 'store/00000001/17.5', userId: 'u' };
  const text = writePosition(root, position);
  assert.deepEqual(readPosition(root, text), position);
  for (let at = 0; at < text.length; at += 1) {
    const other = text[at] === 'A' ? 'B' : 'A';
    assert.equal(readPosition(root, text.slice(0, at) + other + text.slice(at + 1)), undefined);
    assert.equal(readPosition(root, text.slice(0, at)), undefined);
  }
  for (const junk of ['', 'x', '%00', '../me', 'A'.repeat(513), `${text}=`, ` ${text}`]) {
    assert.equal(readPosition(root, junk), undefined);
  }
});
