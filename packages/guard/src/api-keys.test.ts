import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { type ApiKeyRecord, createApiKeyTable } from './api-keys.ts';
import { createReplica } from './replica.ts';

function setUp(whenStale: 'refuse' | 'serve' = 'refuse') {
  const state = { now: 1_000, isFresh: true };
  const replica = createReplica({ hashKey: randomBytes(16) });
  const clock = () => state.now;
  const freshness = { isFresh: () => state.isFresh };
  const table = createApiKeyTable({ replica, freshness, clock, whenStale });
  const judge = (text: string): string => {
    const verified = table.verify(text);
    return verified.kind === 'valid' ? 'valid' : verified.reason;
  };
  return { state, replica, table, judge };
}

function makeKey(change: Partial<ApiKeyRecord> = {}): { text: string; record: ApiKeyRecord } {
  const prefix = `ask_${randomBytes(6).toString('hex')}`;
  const text = `${prefix}_${randomBytes(32).toString('base64url')}`;
  const record: ApiKeyRecord = {
    id: randomUUID(),
    prefix,
    hash: createHash('sha256').update(text).digest('base64'),
    permissions: ['a:read'],
    ownerId: randomUUID(),
    ownerKind: 'user',
    ownerEpoch: 3,
    createdAt: 500,
    expiresAt: 2_000,
    ended: false,
    ...change,
  };
  return { text, record };
}

test('AZ-08 a key is valid as a whole alone: every other text of its form is not', () => {
  const { table, judge } = setUp();
  const { text, record } = makeKey();
  table.put([record]);
  assert.equal(judge(text), 'valid');
  for (let at = 0; at < text.length; at += 1) {
    for (const other of ['A', 'b', '0', '-', '_', '.', ' ']) {
      if (text[at] !== other) assert.notEqual(judge(text.slice(0, at) + other + text.slice(at + 1)), 'valid');
    }
  }
  for (const more of ['', ' ', '\n', '=', 'A']) {
    if (more !== '') assert.equal(judge(text + more), 'malformed');
    assert.notEqual(judge(more + text.slice(0, -1)), 'valid');
  }
  assert.equal(judge(makeKey().text), 'invalid');
});

test('a key is dead by an entry of its id, whatever the table says, and by the table without an entry', () => {
  const { table, replica, judge } = setUp();
  const one = makeKey();
  const two = makeKey();
  table.put([one.record, two.record]);
  replica.apply({ kind: 'token', subject: one.record.id, min_epoch: 0, expires_at: 5_000 });
  assert.equal(judge(one.text), 'revoked');
  table.put([one.record, { ...two.record, ended: true }]);
  assert.deepEqual([judge(one.text), judge(two.text)], ['revoked', 'revoked']);
  table.replaceAll([]);
  assert.deepEqual([judge(one.text), table.size()], ['invalid', 0]);
});

test('AZ-04 a key whose owner has changed is held up until it is read anew', () => {
  const { table, replica, judge } = setUp('serve');
  const { text, record } = makeKey();
  table.put([record]);
  replica.apply({ kind: 'user', subject: record.ownerId, min_epoch: 3, expires_at: 5_000 });
  assert.deepEqual([judge(text), table.isOutdated(text)], ['valid', false], 'it was read with that change');
  replica.apply({ kind: 'user', subject: record.ownerId, min_epoch: 4, expires_at: 5_000 });
  assert.deepEqual([judge(text), table.isOutdated(text)], ['outdated', true], 'also where stale answers are served');
  table.put([{ ...record, ownerEpoch: 4, permissions: [] }]);
  const verified = table.verify(text);
  assert.deepEqual(verified.kind === 'valid' && verified.key.permissions, []);
});

test('a key ends with the second that it names, and one without end does not', () => {
  const { table, state, judge } = setUp();
  const one = makeKey();
  const endless = makeKey({ expiresAt: null });
  table.put([one.record, endless.record]);
  state.now = 1_999.9;
  assert.equal(judge(one.text), 'valid');
  state.now = 2_000;
  assert.equal(judge(one.text), 'expired');
  state.now = 1e12;
  assert.equal(judge(endless.text), 'valid');
  state.now = Number.NaN;
  assert.equal(judge(one.text), 'expired', 'a clock that says nothing proves nothing');
});

test('REV-07 who cannot prove that it knows everything says neither valid nor unknown; what it knows to be dead is dead', () => {
  const { table, replica, state, judge } = setUp();
  const one = makeKey();
  const dead = makeKey();
  table.put([one.record, dead.record]);
  replica.apply({ kind: 'token', subject: dead.record.id, min_epoch: 0, expires_at: 5_000 });
  state.isFresh = false;
  assert.deepEqual([judge(one.text), judge(makeKey().text), judge(dead.text)], ['stale', 'stale', 'revoked']);
  const serving = setUp('serve');
  serving.table.put([one.record]);
  serving.state.isFresh = false;
  const verified = serving.table.verify(one.text);
  assert.equal(verified.kind === 'valid' && verified.stale, true);
});
