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

test('the most that roles and permissions may take fits into a token that is valid, with the longest signature', () => {
  const permissions: string[] = [];
  while (!claimsTooLarge(['user'], [...permissions, `resource-${permissions.length}:action`])) {
    permissions.push(`resource-${permissions.length}:action`);
  }
  const uuid = '019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88';
  const claims = {
    ...{ iss: `https://${'a'.repeat(150)}.example`, aud: 'auth-service', sub: uuid, client_id: 'auth-service' },
    ...{ sid: uuid, jti: uuid, iat: 1_800_000_000, exp: 1_800_003_600, auth_time: 1_800_000_000 },
    ...{ amr: ['pwd', 'otp', 'mfa', 'user'], acr: 'aal2', roles: ['user'], permissions, epoch: 1_000_000 },
  };
  const header = { alg: 'RS256', typ: 'at+jwt', kid: uuid };
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = Buffer.alloc(3_072 / 8).toString('base64url');
  assert.ok(permissions.length > 200);
  assert.ok(`${text}.${signature}`.length <= 8_192, `${text.length + signature.length + 1}`);
});
