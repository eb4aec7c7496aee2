/** Register, log in, who am I: what is taken, what is refused, and what a refusal gives away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldError } from '../../packages/server/src/platform/http/index.ts';
import { type Answer, assertProblem, meOf, problemCode, tokensOf } from '../support/http.ts';
import { claimsOf, login, me, newEmail, newPassword, onEachStore, register, worth } from './support/suite.ts';

const errorsOf = (answer: Answer): readonly FieldError[] => (answer.body as { errors?: FieldError[] }).errors ?? [];

onEachStore('accounts', (service) => {
  const post = (body: unknown) => service().api.post('/api/auth/register', body);

  test('a new account gets tokens that work at once, and the user as it is', async () => {
    const email = newEmail('Ada.Lovelace');
    const password = newPassword();
    const answer = await post({ user: { email, password, first_name: 'Ada', last_name: 'Lovelace' } });
    const tokens = tokensOf(answer, 201);
    assert.deepEqual(
      [tokens.user.email, tokens.user.first_name, tokens.user.last_name, tokens.user.roles, tokens.user.mfa_enabled],
      [email, 'Ada', 'Lovelace', ['user'], false],
    );
    assert.ok(tokens.expires_in <= 3600 && tokens.expires_in >= 3419, `${tokens.expires_in}`);
    assert.ok(tokens.refresh_expires_in <= 604_800 && tokens.refresh_expires_in > 604_700);
    const { user, session } = meOf(await me(service(), tokens.access_token));
    assert.deepEqual(
      [user.id, user.email, session.id, session.current],
      [tokens.user.id, email, tokens.session_id, true],
    );
    assert.equal(await worth(service(), tokens.access_token), 'valid');

    const again = tokensOf(await login(service(), { email, password }));
    assert.equal(again.user.id, tokens.user.id);
    assert.ok(again.device_token !== undefined && again.user.last_login_at !== null);
  });

  test('SES-01 every login is a session of its own', async () => {
    const account = await register(service());
    const first = tokensOf(await login(service(), account));
    const second = tokensOf(await login(service(), account));
    assert.equal(new Set([account.tokens.session_id, first.session_id, second.session_id]).size, 3);
  });

  test('CLM-10 CLM-11 an access token says how somebody logged in and no more of them than the subject', async () => {
    const { tokens } = await register(service());
    const claims = claimsOf(tokens.access_token);
    const known = 'acr amr aud auth_time client_id epoch exp iat iss jti permissions roles sid sub';
    assert.equal(Object.keys(claims).sort().join(' '), known);
    assert.deepEqual([claims['amr'], claims['acr'], claims['client_id']], [['pwd'], 'aal1', 'auth-service']);
    assert.deepEqual([claims['sub'], claims['sid']], [tokens.user.id, tokens.session_id]);
  });

  test('addresses are compared without case, spaces around them and spelling of the domain', async () => {
    const account = await register(service(), { email: newEmail('Grace') });
    for (const email of [account.email.toUpperCase(), `  ${account.email} `, account.email.toLowerCase()]) {
      assertProblem(await post({ user: { email, password: newPassword() } }), 409, 'email_taken');
      tokensOf(await login(service(), { ...account, email }));
    }
    const local = newEmail('idn').split('@')[0] ?? '';
    const first = await register(service(), { email: `${local}@bücher.example` });
    assert.equal(first.tokens.user.email, `${local}@xn--bcher-kva.example`);
    assertProblem(
      await post({ user: { email: `${local}@BU\u0308CHER.example`, password: newPassword() } }),
      409,
      'email_taken',
    );
    tokensOf(await login(service(), { ...first, email: `${local}@xn--bcher-kva.example` }));
  });

  test('EML-01 a look-alike of an address is not that address', async () => {
    const account = await register(service(), { email: newEmail('kismet') });
    const [local = '', domain = ''] = account.email.split('@');
    const others = [
      `\u212aismet${local.slice(6)}@${domain}`,
      `k\u0131smet${local.slice(6)}@${domain}`,
      `ki\u017fmet${local.slice(6)}@${domain}`,
      `\uff4bismet${local.slice(6)}@${domain}`,
      `${local}\uff20${domain}`,
      `${local}@\uff45xample.org`,
      `${local}@example\u3002org`,
      `${local}@example\uff0eorg`,
      `${local}\u200b@${domain}`,
      `\u202e${account.email}`,
    ];
    for (const email of others) {
      assertProblem(await login(service(), { ...account, email }), 401, 'invalid_credentials');
      const registered = await post({ user: { email, password: newPassword() } });
      assert.ok([201, 422].includes(registered.status), `${email}: ${registered.text}`);
      if (registered.status === 201) assert.notEqual(tokensOf(registered, 201).user.id, account.tokens.user.id);
    }
  });

  test('EML-02 what is no single plain address is refused, and names the field', async () => {
    const hostile = [
      '',
      ' ',
      'a',
      '@',
      'a@',
      '@b.example',
      'a@b@c.example',
      '"e@attacker.example"@victim.example',
      'a@b.example,c@d.example',
      'a@b.example;c@d.example',
      'a@b.example\r\nBcc: x@y.example',
      'a@b.example\u0000',
      'a\u0000@b.example',
      '\u0001a@b.example',
      'a@b.example\u007f',
      'Ada <a@b.example>',
      'a(comment)@b.example',
      '@relay.example:a@b.example',
      'a..b@c.example',
      '.a@c.example',
      'a.@c.example',
      'a@-b.example',
      'a@b..example',
      'a@b_c.example',
      'a@[127.0.0.1]',
      '<script>alert(1)</script>@b.example',
      "a' or 1=1--@b.example'",
      `${'a'.repeat(65)}@b.example`,
      `a@${'b'.repeat(64)}.example`,
      `a@${'bcd.'.repeat(62)}example`,
      `${'a'.repeat(1000)}@b.example`,
      'a b@c.example',
      'a@b c.example',
      'victim@x.example\uff20attacker.example',
      '\ufeffa@b.example',
      'a@b.example\u2028',
    ];
    for (const email of hostile) {
      const answer = await post({ user: { email, password: newPassword() } });
      assertProblem(answer, 422, 'validation_failed');
      assert.deepEqual(
        errorsOf(answer).map(({ pointer, code }) => `${pointer} ${code}`),
        ['/user/email invalid'],
        JSON.stringify(email),
      );
      assertProblem(await login(service(), { email, password: newPassword() }), 401, 'invalid_credentials');
    }
    const long = { user: { email: `${'a'.repeat(1_025)}@b.example`, password: newPassword() } };
    assertProblem(await post(long), 422, 'validation_failed');
  });

  test('INP-01 missing members and wrong types are told by pointer, all at once, without the value', async () => {
    const canary = 'CANARY-of-a-wrong-type';
    const cases: readonly (readonly [unknown, readonly string[]])[] = [
      [{}, ['/user']],
      [{ user: null }, ['/user']],
      [{ user: [] }, ['/user']],
      [{ user: canary }, ['/user']],
      [{ user: {} }, ['/user/email', '/user/password']],
      [{ user: { email: 7, password: true } }, ['/user/email', '/user/password']],
      [{ user: { email: ['a@b.example'], password: { a: canary } } }, ['/user/email', '/user/password']],
      [{ user: { email: null, password: null } }, ['/user/email', '/user/password']],
      [{ user: { email: newEmail(), password: newPassword(), first_name: 7 } }, ['/user/first_name']],
      [{ user: { email: newEmail(), password: newPassword(), first_name: 'a'.repeat(101) } }, ['/user/first_name']],
      [{ user: { email: newEmail(), password: newPassword(), last_name: [canary] } }, ['/user/last_name']],
    ];
    for (const [body, pointers] of cases) {
      const answer = await post(body);
      assertProblem(answer, 422, 'validation_failed');
      assert.deepEqual(
        errorsOf(answer)
          .map((error) => error.pointer)
          .sort(),
        pointers,
        JSON.stringify(body),
      );
      assert.ok(!answer.text.includes(canary));
    }
    for (const body of [[], 'text', 7, true, null]) assertProblem(await post(body), 422, 'validation_failed');
    for (const body of [{}, { email: newEmail() }, { password: 'x' }, { email: 7, password: [] }, [], null]) {
      assertProblem(await service().api.post('/api/auth/login', body), 422, 'validation_failed');
    }
  });

  test('INP-02 nobody gives themselves roles, ids or states: unknown members are refused wherever they stand', async () => {
    const names = [
      'role',
      'roles',
      'permissions',
      'is_admin',
      'tenant_id',
      'id',
      'status',
      'locked_until',
      'mfa_enabled',
      'email_verified',
      'created_at',
      'password_hash',
      'user.role',
      'user[role]',
      'constructor',
      'prototype',
      'metadata',
      'passwordConfirmation',
    ];
    for (const name of names) {
      const email = newEmail();
      const user = { email, password: newPassword() };
      const bodies = [{ user, [name]: ['admin'] }, { user: { ...user, [name]: ['admin'] } }];
      for (const body of bodies) {
        const answer = await post(body);
        assertProblem(answer, 422, 'unknown_field');
        assert.equal(errorsOf(answer)[0]?.code, 'unknown_field');
      }
      assertProblem(await service().api.post('/api/auth/login', { ...user, [name]: 'admin' }), 422, 'unknown_field');
      tokensOf(await post({ user }), 201);
    }
  });

  test('INP-03 __proto__ is a member like any other, and is refused', async () => {
    for (const raw of [
      `{"user":{"email":"${newEmail()}","password":"${newPassword()}","__proto__":{"roles":["admin"]}}}`,
      `{"__proto__":{"user":{}},"user":{"email":"${newEmail()}","password":"${newPassword()}"}}`,
      `{"user":{"email":"${newEmail()}","password":"${newPassword()}","constructor":{"prototype":{"polluted":true}}}}`,
    ]) {
      const answer = await service().api.post('/api/auth/register', undefined, { raw });
      assert.ok([400, 422].includes(answer.status), answer.text);
    }
    const { tokens } = await register(service());
    assert.deepEqual(tokens.user.roles, ['user']);
  });

  test('INP-04 a member that is given twice is malformed JSON, whatever its spelling', async () => {
    const email = newEmail();
    const password = newPassword();
    for (const raw of [
      `{"email":"${email}","email":"${newEmail()}","password":"${password}"}`,
      `{"email":"${email}","\\u0065mail":"${newEmail()}","password":"${password}"}`,
      `{"email":"${email}","password":"${password}","password":"${password}"}`,
    ]) {
      assertProblem(await service().api.post('/api/auth/login', undefined, { raw }), 400, 'malformed_json');
    }
    const raw = `{"user":{"email":"${email}","password":"${password}"},"user":{"email":"${email}","password":"${password}"}}`;
    assertProblem(await service().api.post('/api/auth/register', undefined, { raw }), 400, 'malformed_json');
  });

  test('INP-07 control characters are refused in names and addresses', async () => {
    for (const character of ['\u0000', '\u0001', '\n', '\r', '\t', '\u001b', '\u007f']) {
      const user = { email: newEmail(), password: newPassword(), first_name: `A${character}da` };
      const answer = await post({ user });
      assertProblem(answer, 422, 'validation_failed');
      assert.deepEqual(
        errorsOf(answer).map((error) => error.pointer),
        ['/user/first_name'],
      );
    }
    const raw = `{"user":{"email":"${newEmail()}","password":"${newPassword()}","first_name":"\\ud800"}}`;
    assertProblem(await service().api.post('/api/auth/register', undefined, { raw }), 400, 'malformed_json');
  });

  test('names are kept as they are: every script, quotes, markup, SQL', async () => {
    for (const name of [
      "O'Brien",
      '名前',
      'עברית',
      '<b>Bold</b>',
      "Robert'); drop table users;--",
      '👩‍🚀',
      '${7*7}',
      '%00',
    ]) {
      const user = { email: newEmail(), password: newPassword(), first_name: name, last_name: name };
      const tokens = tokensOf(await post({ user }), 201);
      assert.deepEqual([tokens.user.first_name, tokens.user.last_name], [name, name]);
      assert.equal(meOf(await me(service(), tokens.access_token)).user.first_name, name);
    }
    const none = tokensOf(await post({ user: { email: newEmail(), password: newPassword(), first_name: null } }), 201);
    assert.deepEqual([none.user.first_name, none.user.last_name], [null, null]);
  });

  test('ENU-01 unknown address, wrong password and what cannot be an address are answered alike, byte for byte', async () => {
    const account = await register(service());
    const headers = { 'X-Request-Id': 'the-same-for-all' };
    const tries = [
      { email: account.email, password: newPassword() },
      { email: newEmail(), password: newPassword() },
      { email: 'no address at all', password: newPassword() },
      { email: newEmail(), password: account.password },
    ];
    const seen = [];
    for (const body of tries) {
      const answer = await service().api.post('/api/auth/login', body, { headers });
      assertProblem(answer, 401, 'invalid_credentials');
      const lines = answer.rawHeaders.filter((_, at, all) => !['Date'].includes(all[at - (at % 2)] ?? ''));
      seen.push(`${lines.join('\n')}\n\n${answer.text}`);
    }
    assert.equal(new Set(seen).size, 1, seen.join('\n-----\n'));
  });

  test('16 registrations of one address at once make exactly one account', async () => {
    const email = newEmail();
    const attempts = Array.from({ length: 16 }, (_, at) => ({
      email: at % 2 === 0 ? email : email.toUpperCase(),
      password: newPassword(),
    }));
    const answers = await Promise.all(attempts.map((user) => post({ user })));
    const won = answers.flatMap((answer, at) => (answer.status === 201 ? [at] : []));
    assert.equal(won.length, 1, answers.map((answer) => answer.status).join(' '));
    for (const answer of answers) if (answer.status !== 201) assertProblem(answer, 409, 'email_taken');
    const winner = attempts[won[0] ?? 0];
    assert.ok(winner !== undefined);
    tokensOf(await login(service(), winner));
    const loser = attempts.find((one) => one !== winner);
    assertProblem(await login(service(), { email, password: loser?.password ?? '' }), 401, 'invalid_credentials');
  });

  test('/me needs a token, and tells a missing one from a bad one', async () => {
    const missing = await service().api.get('/api/auth/me');
    assertProblem(missing, 401, 'missing_token');
    assert.doesNotMatch(missing.headers['www-authenticate'] ?? '', /error=/);
    const bad = await me(service(), 'not.a.token');
    assertProblem(bad, 401, 'invalid_token');
    assert.match(bad.headers['www-authenticate'] ?? '', /error="invalid_token"/);
  });

  test('TOK-14 credentials are taken from one place, once', async () => {
    const { tokens } = await register(service());
    const token = tokens.access_token;
    const get = (headers: Record<string, string>) => service().api.get('/api/auth/me', { headers });
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) meOf(await get({ Authorization: `${scheme} ${token}` }));
    const malformed = [
      `${token}`,
      `Basic ${token}`,
      `Bearer`,
      `Bearer ${token} ${token}`,
      `Bearer\t${token}`,
      `Token ${token}`,
    ];
    for (const value of malformed) assertProblem(await get({ Authorization: value }), 401, 'invalid_token');
    for (const path of [`/api/auth/me?access_token=${token}`, `/api/auth/me?token=${token}`]) {
      assertProblem(await service().api.get(path), 401, 'missing_token');
    }
    assertProblem(await get({ Cookie: `access_token=${token}` }), 401, 'missing_token');
    assert.equal(problemCode(await get({ 'X-Authorization': `Bearer ${token}` })), 'missing_token');
  });
});
