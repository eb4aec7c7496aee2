import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers, coversAll, isPermission } from '@auth-service/protocol';
import { claimsTooLarge, isRoleName, permissionsOf } from './access.rule.ts';

test('a permission covers itself, and a star covers its part', () => {
  assert.ok(covers('users:read', 'users:read'));
  assert.ok(covers('users:*', 'users:read'));
  assert.ok(covers('*:read', 'users:read'));
  assert.ok(covers('*:*', 'users:*'));
  assert.ok(!covers('users:read', 'users:*'));
  assert.ok(!covers('users:read', 'users:reader'));
  assert.ok(!covers('users', 'users:read'));
  assert.ok(!covers('users:read', 'users'));
  assert.ok(coversAll(['a:b'], []));
});

test('only resource:action is a permission', () => {
  for (const good of ['users:read', '*:*', 'a-b.c_d:x1']) assert.ok(isPermission(good), good);
  for (const bad of ['', 'users', 'users:', ':read', 'Users:read', 'a:b:c', 'users: read', `${'a'.repeat(65)}:b`]) {
    assert.ok(!isPermission(bad), bad);
  }
});

test('role names are plain, permissions are a sorted union, large claims are told', () => {
  assert.ok(isRoleName('editor-2'));
  for (const bad of ['', 'Editor', '2x', 'a b', 'a'.repeat(65), '__proto__']) assert.ok(!isRoleName(bad), bad);
  assert.deepEqual(permissionsOf([{ permissions: ['b:x', 'a:x'] }, { permissions: ['a:x'] }]), ['a:x', 'b:x']);
  assert.ok(!claimsTooLarge(['user'], ['a:b']));
  assert.ok(
    claimsTooLarge(
      ['user'],
      Array.from({ length: 400 }, (_, n) => `resource-${n}:action`),
    ),
  );
});
