import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkPassword } from './password-policy.ts';

const policy = { minLength: 8, email: 'victoria@example.com' };
const codes = (password: string, changes = {}): string[] =>
  checkPassword(password, { ...policy, ...changes }).map((problem) =>
    problem.code === 'password_blocked' ? `${problem.code}:${problem.reason}` : problem.code,
  );
const good = (password: string, changes = {}): void =>
  assert.deepEqual(codes(password, changes), [], JSON.stringify(password));

describe('the password policy', () => {
  test('PWD-01 PWD-02 8 to 128 characters, counted as code points in NFC', () => {
    assert.deepEqual(codes('tq7-vkz'), ['password_too_short']);
    good('tq7-vkzw');
    assert.deepEqual(codes('tq7-vkzw', { minLength: 9 }), ['password_too_short']);
    good('🔑🔒🔓🗝️🚪🪟🧱');
    assert.deepEqual(codes('🔑🔒🔓🗝🚪🪟🧱'), ['password_too_short']);
    assert.deepEqual(codes('e\u0301'.repeat(7)), ['password_too_short']);
    good('ab'.repeat(64));
    good('😀'.repeat(128));
    good('e\u0301'.repeat(128));
    assert.deepEqual(codes(`${'ab'.repeat(64)}c`), ['password_too_long']);
    assert.deepEqual(codes('😀'.repeat(129)), ['password_too_long']);
    assert.deepEqual(codes('x'.repeat(1_000_000)), ['password_too_long']);
    assert.deepEqual(codes(''), ['password_too_short']);
  });

  test('PWD-03 PWD-04 no composition rule: spaces, any script, control characters and NUL are welcome', () => {
    for (const password of [
      '   a  b  c  ',
      '密码是八个字啊',
      'سرّيجدًاجدًا',
      'tq7\0vkzw',
      'tq7\r\n\tvkz',
      'e\u0301\u0302\u0303zzzzzzz',
      ' '.repeat(20),
    ]) {
      good(password, { minLength: 7 });
    }
    assert.deepEqual(codes('tq7-vkzw\uD800'), ['password_invalid_character']);
  });

  test('PWD-06 common passwords are refused whole and without case; a phrase that contains one is not', () => {
    for (const common of [
      'password',
      'PassWord',
      '12345678',
      'qwertyuiop',
      'iloveyou',
      'trustno1',
      'password123',
      'letmein123',
      'P@ssw0rd',
    ]) {
      assert.deepEqual(codes(common), ['password_blocked:common'], common);
    }
    good('my password is a boat');
    good('password-of-the-boat');
  });

  test('PWD-06 the local part of the address is refused anywhere in the password, from four characters on', () => {
    for (const password of ['victoria-2020!', 'xxVICTORIAxx', 'Victoria@Example.com']) {
      assert.ok(codes(password).includes('password_blocked:contains_email'), password);
    }
    good('victor-2020-boat');
    good('bob-builds-boats', { email: 'bob@example.com' });
    assert.deepEqual(codes('bobs-builds-boats', { email: 'bobs@example.com' }), ['password_blocked:contains_email']);
    assert.deepEqual(codes('is bob@example.com ok', { email: 'bob@example.com' }), ['password_blocked:contains_email']);
    assert.deepEqual(codes('JO\u0308RG-builds-boats', { email: 'jörg@example.com' }), [
      'password_blocked:contains_email',
    ]);
    good('victoria-2020!', { email: undefined });
  });

  test("PWD-06 the service's name is refused however its words are joined", () => {
    for (const password of [
      'authservice1234567',
      'Auth-Service!!',
      'my auth_service pw',
      'AUTH SERVICE xyz',
      'auth.service.42',
    ]) {
      assert.deepEqual(codes(password), ['password_blocked:contains_service_name'], password);
    }
    assert.deepEqual(codes('acme-cloud-1234', { serviceName: 'Acme Cloud' }), [
      'password_blocked:contains_service_name',
    ]);
    good('author services');
  });

  test('every problem is told at once, and none repeats the password', () => {
    const problems = checkPassword('Victoria', { minLength: 12, email: policy.email });
    assert.deepEqual(
      problems.map((problem) => problem.code),
      ['password_too_short', 'password_blocked', 'password_blocked'],
    );
    for (const problem of problems) assert.doesNotMatch(problem.detail, /victoria/i);
  });
});
