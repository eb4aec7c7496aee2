import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVisibleIn } from './snapshot.ts';

test('what began before a snapshot and had ended is visible in it, and nothing else', () => {
  const visible = ['9', '10', '11', '12', '13', '14', '15', '100'].filter((xid) => isVisibleIn(xid, '10:14:10,12'));
  assert.deepEqual(visible, ['9', '11', '13']);
  assert.ok(isVisibleIn('18446744073709551000', '18446744073709551001:18446744073709551001:'));
  assert.ok(!isVisibleIn('18446744073709551001', '18446744073709551001:18446744073709551001:'));
});
