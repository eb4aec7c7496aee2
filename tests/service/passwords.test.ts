/** Passwords: what is taken, what counts of them, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldError } from '../../packages/server/src/platform/http/index.ts';
import { type Answer, assertProblem, tokensOf } from '../support/http.ts';
import { startService } from '../support/service.ts';
import { login, newEmail, newPassword, onEachStore, register } from './support/suite.ts';

const reasonsOf = (answer: Answer): readonly string[] =>
  ((answer.body as { errors?: FieldError[] }).errors ?? []).map((error) => `${error.pointer} ${error.code}`);

onEachStore(
  'passwords',
  (service) => {
    const tried = (password: unknown, email = newEmail()) =>
      service().api.post('/api/auth/register', { user: { email, password } });

    test('PWD-03 every one of 128 characters counts: no truncation at 72 bytes, at NUL, or elsewhere', async () => {
      const pairs: readonly (readonly [string, string])[] = [
        [`${'a'.repeat(100)}X`, `${'a'.repeat(100)}Y`],
        [`${'a'.repeat(127)}X`, `${'a'.repeat(127)}Y`],
        [`${'é'.repeat(36)}1`, `${'é'.repeat(36)}2`],
        [`${'漢'.repeat(127)}字`, `${'漢'.repeat(127)}漢`],
        [`${'🚀'.repeat(127)}X`, `${'🚀'.repeat(127)}Y`],
        ['abc\u0000defghijk', 'abc\u0000xyzhijk'],
        ['\u0000defghijk', '\u0000xyzfghijk'],
        ['12345678 tail\u0000', '12345678 tail'],
      ];
      for (const [right, wrong] of pairs) {
        const account = await register(service(), { password: right });
        assertProblem(await login(service(), { ...account, password: wrong }), 401, 'invalid_credentials');
        tokensOf(await login(service(), account));
      }
    });

    test('PWD-02 128 characters are taken in any script, and 129 are not', async () => {
      for (const character of ['x', 'é', '漢', '🚀']) {
        const account = await register(service(), { password: `${character.repeat(126)}-9` });
        tokensOf(await login(service(), account));
        const answer = await tried(`${character.repeat(127)}-9`);
        assertProblem(answer, 422, 'validation_failed');
        assert.deepEqual(reasonsOf(answer), ['/user/password password_too_long']);
      }
      assertProblem(await tried('x'.repeat(4_097)), 422, 'validation_failed');
      assertProblem(await tried('x'.repeat(60_000)), 422, 'validation_failed');
    });

    test('PWD-01 fewer characters than the minimum are too few, counted as a reader counts', async () => {
      for (const short of [
        '',
        'x',
        'q8$kz!w',
        '🚀🌍🪐🌟🛸🌙☄️'.normalize('NFC').slice(0, 6),
        'é'.normalize('NFD').repeat(7),
      ]) {
        const answer = await tried(short);
        assertProblem(answer, 422, 'validation_failed');
        assert.ok(reasonsOf(answer).includes('/user/password password_too_short'), answer.text);
      }
      tokensOf(await tried('q8$kz!wv'), 201);
    });

    test('PWD-04 spaces and every script are kept as typed', async () => {
      for (const password of [
        '  leading and trailing  ',
        'ሰላም ለዓለም ይሁን',
        'مرحبا بالعالم كله',
        'line\nbreak\ttab',
        '        x',
        '🦊 and 🐻 at 🌅',
      ]) {
        const account = await register(service(), { password });
        tokensOf(await login(service(), account));
        const changed = password.trim() === password ? `${password} ` : password.trim();
        assertProblem(await login(service(), { ...account, password: changed }), 401, 'invalid_credentials');
      }
    });

    test('PWD-05 composed and decomposed letters are the same password, compatibility forms are not', async () => {
      const account = await register(service(), { password: 'crème brûlée'.normalize('NFC') });
      tokensOf(await login(service(), { ...account, password: 'crème brûlée'.normalize('NFD') }));
      const ligature = await register(service(), { password: 'o\ufb03ce hours' });
      assertProblem(await login(service(), { ...ligature, password: 'office hours' }), 401, 'invalid_credentials');
    });

    test('PWD-06 common passwords, the own address and the name of the service are refused with the reason', async () => {
      const common = [
        'password',
        '12345678',
        'qwertyuiop',
        'password1',
        'iloveyou',
        'football',
        'sunshine',
        'princess1',
      ];
      for (const password of common) {
        const answer = await tried(password);
        assertProblem(answer, 422, 'validation_failed');
        assert.deepEqual(reasonsOf(answer), ['/user/password password_blocked'], password);
      }
      const email = newEmail('marguerite');
      const [local = ''] = email.split('@');
      for (const password of [
        email,
        `${local}!!`,
        `xx${local.toUpperCase()}yy`,
        'my auth-service login',
        'AuthService1234567',
      ]) {
        assertProblem(await tried(password, email), 422, 'validation_failed');
      }
      tokensOf(await tried('a phrase with password within', newEmail()), 201);
      tokensOf(await tried('joe was here 42', `joe@${newEmail().split('@')[0]}.example`), 201);
    });

    test('PWD-13 a password is a string in the body, and nothing else', async () => {
      for (const password of [7, true, null, ['a long enough one'], { value: 'a long enough one' }]) {
        assertProblem(await tried(password), 422, 'validation_failed');
        const { api } = service();
        assertProblem(await api.post('/api/auth/login', { email: newEmail(), password }), 422, 'validation_failed');
      }
      const account = await register(service());
      const query = `?email=${encodeURIComponent(account.email)}&password=${encodeURIComponent(account.password)}`;
      assertProblem(await service().api.post(`/api/auth/login${query}`, {}), 422, 'validation_failed');
    });
  },
  { env: { MAX_LOGIN_ATTEMPTS: '100' } },
);

test('an account with an old hash keeps its password when the hash is changed to a better one', async (t) => {
  const service = await startService({ store: 'postgres' });
  t.after(() => service.stop());
  const account = await register(service);
  assert.equal(await service.halt(), 0);
  await service.start({ PASSWORD_HASH: 'argon2id' });
  tokensOf(await login(service, account));
  tokensOf(await login(service, account));
  assertProblem(await login(service, { ...account, password: newPassword() }), 401, 'invalid_credentials');
  const other = await register(service);
  tokensOf(await login(service, other));
  assert.equal(await service.halt(), 0);
  await service.start({ PASSWORD_HASH: 'bcrypt', BCRYPT_COST: '5' });
  tokensOf(await login(service, account));
  tokensOf(await login(service, other));
});
