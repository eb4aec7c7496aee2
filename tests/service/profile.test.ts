/** What the owner changes about an account: names, password, the account itself; and what ends with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldError } from '../../packages/server/src/platform/http/index.ts';
import { type Answer, assertProblem, meOf, receiptOf, tokensOf } from '../support/http.ts';
import { sharedPostgres } from '../support/service.ts';
import { login, me, newEmail, newPassword, onEachStore, refresh, register, worth } from './support/suite.ts';

const errorsOf = (answer: Answer): readonly FieldError[] => (answer.body as { errors?: FieldError[] }).errors ?? [];
const revokedOf = (answer: Answer): unknown => (answer.body as { revoked_sessions?: unknown }).revoked_sessions;

onEachStore('profile', (service) => {
  const patch = (token: string, body: unknown) => service().api.send('PATCH', '/api/auth/me', body, { token });
  const change = (token: string, current: unknown, next: unknown) =>
    service().api.post('/api/auth/change-password', { current_password: current, new_password: next }, { token });
  const remove = (token: string, body?: unknown) => service().api.send('DELETE', '/api/auth/me', body, { token });

  test('names change one at a time, null takes one away, and the rest stays', async () => {
    const { tokens } = await register(service());
    const first = await patch(tokens.access_token, { first_name: 'Ada', last_name: 'Byron' });
    assert.equal(first.status, 200);
    await patch(tokens.access_token, { last_name: 'Lovelace' });
    const { user } = meOf(await me(service(), tokens.access_token));
    assert.deepEqual([user.first_name, user.last_name], ['Ada', 'Lovelace']);
    await patch(tokens.access_token, { first_name: null });
    assert.equal(meOf(await me(service(), tokens.access_token)).user.first_name, null);
    assert.equal((await patch(tokens.access_token, {})).status, 200);
  });

  test('INP-02 INP-07 EML-09 nothing but names is taken, and no control characters', async () => {
    const { tokens } = await register(service());
    for (const field of ['email', 'email_verified', 'roles', 'permissions', 'id', 'status', 'mfa_enabled', 'epoch']) {
      assertProblem(await patch(tokens.access_token, { [field]: true }), 422, 'unknown_field');
    }
    for (const value of ['a\u0000b', 'x'.repeat(101), 7, [], {}]) {
      assertProblem(await patch(tokens.access_token, { first_name: value }), 422, 'validation_failed');
    }
    const { user } = meOf(await me(service(), tokens.access_token));
    assert.deepEqual([user.first_name, user.email_verified, user.roles], [null, false, ['user']]);
  });

  test('REV-02 another password ends every other session and keeps the acting one', async () => {
    const account = await register(service());
    const other = tokensOf(await login(service(), account));
    const next = newPassword();
    const answer = await change(account.tokens.access_token, account.password, next);
    assert.equal(receiptOf(answer).effective_everywhere, true);
    assert.equal(revokedOf(answer), 1);
    assert.equal(await worth(service(), other.access_token), 'revoked');
    assertProblem(await refresh(service(), other.refresh_token), 401, 'invalid_refresh_token');
    assert.equal(await worth(service(), account.tokens.access_token), 'valid');
    tokensOf(await refresh(service(), account.tokens.refresh_token));
    assertProblem(await login(service(), account), 401, 'invalid_credentials');
    tokensOf(await login(service(), { email: account.email, password: next }));
  });

  test('PWD-06 a new password obeys the policy, and nothing is changed by one that does not', async () => {
    const account = await register(service());
    for (const next of ['short', 'password123', account.email, 'x'.repeat(129)]) {
      const refused = await change(account.tokens.access_token, account.password, next);
      assertProblem(refused, 422, 'validation_failed');
      assert.equal(errorsOf(refused)[0]?.pointer, '/new_password');
    }
    tokensOf(await login(service(), account));
  });

  test('PWD-10 LCK-05 wrong passwords here and at the login fill one counter', async () => {
    const account = await register(service());
    for (let wrong = 0; wrong < 2; wrong += 1) {
      assertProblem(
        await change(account.tokens.access_token, newPassword(), newPassword()),
        401,
        'invalid_credentials',
      );
    }
    assertProblem(await remove(account.tokens.access_token, { password: newPassword() }), 401, 'invalid_credentials');
    for (let wrong = 0; wrong < 2; wrong += 1) {
      assertProblem(await login(service(), { ...account, password: newPassword() }), 401, 'invalid_credentials');
    }
    assertProblem(await change(account.tokens.access_token, account.password, newPassword()), 429, 'account_locked');
    assertProblem(await remove(account.tokens.access_token, { password: account.password }), 429, 'account_locked');
    assertProblem(await login(service(), account), 429, 'account_locked');
  });

  test('of 16 changes of one password at once one is made', async () => {
    const account = await register(service());
    const wanted = Array.from({ length: 16 }, newPassword);
    const answers = await Promise.all(
      wanted.map((next) => change(account.tokens.access_token, account.password, next)),
    );
    const won = answers.flatMap((answer, index) => (answer.status === 200 ? [wanted[index] ?? ''] : []));
    assert.equal(won.length, 1, answers.map(({ status }) => status).join());
    tokensOf(await login(service(), { email: account.email, password: won[0] ?? '' }, {}));
  });

  test('CLM-08 REF-09 a deleted account is gone with its tokens, and its address begins anew', async () => {
    const account = await register(service());
    const other = tokensOf(await login(service(), account));
    assertProblem(await remove(account.tokens.access_token, { password: newPassword() }), 401, 'invalid_credentials');
    const answer = await remove(account.tokens.access_token, { password: account.password });
    assert.equal(receiptOf(answer).effective_everywhere, true);
    assert.equal(revokedOf(answer), 2);
    for (const token of [account.tokens.access_token, other.access_token]) {
      assert.equal(await worth(service(), token), 'revoked');
    }
    assertProblem(await refresh(service(), other.refresh_token), 401, 'invalid_refresh_token');
    assertProblem(await login(service(), account), 401, 'invalid_credentials');
    const again = await register(service(), { email: account.email });
    assert.notEqual(again.tokens.user.id, account.tokens.user.id);
    assert.equal(await worth(service(), account.tokens.access_token), 'revoked');
    assertProblem(await refresh(service(), account.tokens.refresh_token), 401, 'invalid_refresh_token');
  });

  test('whoever logged in a moment ago deletes the account without the password', async () => {
    const { tokens } = await register(service());
    assert.equal((await remove(tokens.access_token)).status, 200);
    assertProblem(await remove(tokens.access_token), 401, 'token_revoked');
  });

  test('the last administrator stays', async () => {
    const [email, password] = [newEmail('admin'), newPassword()];
    const made = await service().cli(['users', 'create', email, '--role', 'admin', '--password-file', '-', '--json'], {
      input: password,
    });
    assert.equal(made.code, 0, made.stderr);
    const { access_token: token } = tokensOf(await login(service(), { email, password }));
    assertProblem(await remove(token, { password }), 409, 'conflict');
    assert.equal(await worth(service(), token), 'valid');
  });
});

onEachStore(
  'a login that is long ago',
  (service) => {
    test('SES-07 CLM-10 does not delete the account without the password, whatever was refreshed since', async () => {
      const account = await register(service());
      const postgres = await sharedPostgres();
      const { session_id: id } = account.tokens;
      await postgres.query(
        `update sessions set auth_time = auth_time - interval '601 seconds' where id = '${id}'`,
        service().databaseUrl,
      );
      const { access_token: token } = tokensOf(await refresh(service(), account.tokens.refresh_token));
      const stale = await service().api.send('DELETE', '/api/auth/me', undefined, { token });
      assertProblem(stale, 401, 'reauthentication_required');
      const challenge = stale.headers['www-authenticate'] ?? '';
      assert.match(challenge, /error="insufficient_user_authentication".*max_age=600/);
      assert.equal(await worth(service(), token), 'valid');
      const removed = await service().api.send('DELETE', '/api/auth/me', { password: account.password }, { token });
      assert.equal(removed.status, 200);
    });
  },
  { stores: ['postgres'] },
);
