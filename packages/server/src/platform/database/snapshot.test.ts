import assert from 'node:assert/strict';
import { test } from 'node:test';
import { includesSnapshot, isVisibleIn } from './snapshot.ts';

test('what began before a snapshot and had ended is visible in it, and nothing else', () => {
  const visible = ['9', '10', '11', '12', '13', '14', '15', '100'].filter((xid) => isVisibleIn(xid, '10:14:10,12'));
  assert.deepEqual(visible, ['9', '11', '13']);
  assert.ok(isVisibleIn('18446744073709551000', '18446744073709551001:18446744073709551001:'));
  assert.ok(!isVisibleIn('18446744073709551001', '18446744073709551001:18446744073709551001:'));
});

test('a snapshot that is not older includes another exactly when nothing is visible in that alone', () => {
  const texts = ['10:10:', '10:14:10,12', '10:14:10', '12:14:12', '14:14:', '10:15:10,12,14', '14:20:14,16', '20:20:'];
  const xids = Array.from({ length: 25 }, (_, xid) => String(xid + 1));
  for (const later of texts) {
    for (const earlier of texts) {
      const missing = xids.filter((xid) => isVisibleIn(xid, earlier) && !isVisibleIn(xid, later));
      const isOlder = Number(later.split(':')[1]) < Number(earlier.split(':')[1]);
      assert.equal(includesSnapshot(later, earlier), missing.length === 0 && !isOlder, `${later} and ${earlier}`);
    }
  }
  assert.equal(includesSnapshot('nonsense', '10:10:'), false);
  assert.equal(includesSnapshot('10:10:', ''), false);
});
