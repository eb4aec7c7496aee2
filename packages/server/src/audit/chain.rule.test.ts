import assert from 'node:assert/strict';
import { test } from 'node:test';
import { genesisHash, isLinkHash, linkHash } from './chain.rule.ts';

const event = {
  id: '018f0000-0000-7000-8000-000000000001',
  time: new Date('2026-01-01T00:00:00.000Z'),
  type: 'authn_login',
  actor: 'a',
  target: 'b',
  ip: '192.0.2.1',
  user_agent: 'curl',
  outcome: 'success',
  request_id: 'r',
  detail: { b: 1, a: [{ d: 2, c: null }] },
};

test('LOG-04 a change of any column, of the place or of the row before changes the hash', () => {
  const hash = linkHash(1, genesisHash, event);
  const changed = [
    linkHash(2, genesisHash, event),
    linkHash(1, hash, event),
    ...Object.keys(event).map((column) =>
      linkHash(1, genesisHash, {
        ...event,
        [column]: column === 'time' ? new Date(0) : column === 'detail' ? { b: 2 } : 'other',
      }),
    ),
    ...['actor', 'target', 'ip', 'user_agent', 'request_id'].map((column) =>
      linkHash(1, genesisHash, { ...event, [column]: null }),
    ),
  ];
  assert.equal(new Set([hash, ...changed]).size, changed.length + 1);
});

test('the order of the detail members does not count, as jsonb keeps none', () => {
  const other = { ...event, detail: { a: [{ c: null, d: 2 }], b: 1 } };
  assert.equal(linkHash(1, genesisHash, other), linkHash(1, genesisHash, event));
});

test('LOG-04 values of detail that JSON tells apart have different hashes', () => {
  const details: Readonly<Record<string, unknown>>[] = [
    { a: 1 },
    { a: '1' },
    { a: null },
    { a: { b: 1 } },
    { a: [['b', 1]] },
    { a: [1, ['b'], [1]] },
    { a: [0, 'b'] },
    { a: ['b'] },
    { a: {} },
    { a: [] },
    { a: [[]] },
    { a: [{}] },
    {},
  ];
  assert.equal(new Set(details.map((detail) => linkHash(1, genesisHash, { ...event, detail }))).size, details.length);
});

test('LOG-04 a link of the first form still holds, and no link of one form passes for another event in the other', () => {
  // Sealed before the form was changed.
  const first = '1fffa99b2dc7d87d9dd9af0ca0003f0044f73b264c0432778b54849cb43e4bc9';
  assert.ok(isLinkHash(first, 1, genesisHash, event));
  assert.ok(!isLinkHash(first, 1, genesisHash, { ...event, detail: { b: 3, a: [{ d: 2, c: null }] } }));
  const now = linkHash(1, genesisHash, event);
  assert.notEqual(now, first);
  assert.ok(isLinkHash(now, 1, genesisHash, event));
  for (const detail of [
    {
      b: 1,
      a: [
        [
          ['c', null],
          ['d', 2],
        ],
      ],
    },
    { a: [{ d: 2, c: null }] },
  ]) {
    assert.ok(!isLinkHash(now, 1, genesisHash, { ...event, detail }));
  }
});
