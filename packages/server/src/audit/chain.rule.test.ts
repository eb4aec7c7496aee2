import assert from 'node:assert/strict';
import { test } from 'node:test';
import { genesisHash, linkHash } from './chain.rule.ts';

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
