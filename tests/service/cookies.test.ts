/** Cookie mode: tokens that no script sees, and requests that no other site can make in somebody's name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, assertProblem, type SendOptions, tokensOf } from '../support/http.ts';
import { startPostgres } from '../support/postgres.ts';
import { type RunningService, startService } from '../support/service.ts';
import { login, me, newEmail, newPassword, onEachStore, register, worth } from './support/suite.ts';

const app = 'https://app.example.com';
const administrator = { email: newEmail('admin'), password: newPassword() };
const asks = { 'X-Token-Transport': 'cookie' };
const own = { 'Sec-Fetch-Site': 'same-origin' };
type Headers = Readonly<Record<string, string>>;

/** What a browser does with `Set-Cookie`, as far as this suite needs it. */
function jarOf(answer: Answer, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const jar = new Map(before);
  for (const cookie of answer.headers['set-cookie'] ?? []) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
    if (/Max-Age=0\b/.test(cookie)) jar.delete(name);
    else jar.set(name, value);
  }
  return jar;
}
const header = (jar: ReadonlyMap<string, string>): Headers => ({
  Cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
});

async function signIn(service: RunningService) {
  const account = { email: newEmail(), password: newPassword() };
  const answer = await service.api.post('/api/auth/register', { user: account }, { headers: { ...asks, ...own } });
  assert.equal(answer.status, 201, answer.text);
  const jar = jarOf(answer);
  for (const value of jar.values()) service.secrets.add(value);
  return { account, answer, jar };
}

onEachStore(
  'cookies',
  (service) => {
    const send = (method: string, path: string, headers: Headers, body?: unknown, more: SendOptions = {}) =>
      service().api.send(method, path, body, { ...more, headers });

    test('BRW-03, BRW-06 register, login, refresh and step-up set two cookies and put no token into the body', async () => {
      const { account, answer, jar } = await signIn(service());
      const again = await send('POST', '/api/auth/login', { ...asks, ...own }, account);
      const refreshed = await send('POST', '/api/auth/refresh-token', { ...asks, ...own, ...header(jar) }, {});
      const renewed = jarOf(refreshed, jar);
      const stepped = await send(
        'POST',
        '/api/auth/reauthenticate',
        // Let in by a cookie: the header is not needed for the answer to stay out of reach of scripts.
        { ...own, ...header(renewed) },
        { password: account.password },
      );
      for (const one of [answer, again, refreshed, stepped]) {
        assert.ok(one.status === 200 || one.status === 201, one.text);
        const cookies = one.headers['set-cookie'] ?? [];
        assert.equal(cookies.length, 2);
        for (const cookie of cookies) {
          assert.match(
            cookie,
            /^__Host-auth_(access|refresh)=[\w.~-]+; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/,
          );
          assert.ok((cookie.split(';', 1)[0] ?? '').length <= 4_096);
        }
        for (const value of jarOf(one).values()) {
          service().secrets.add(value);
          assert.ok(!one.text.includes(value));
        }
        assert.equal(one.headers['cache-control'], 'no-store');
        assert.doesNotMatch(one.text, /access_token|refresh_token/);
      }
      const seen = await send('GET', '/api/auth/me', header(jarOf(stepped)));
      assert.equal((seen.body as { user: { email: string } }).user.email, account.email);
    });

    test('TOK-01 a refresh by cookie rotates, and the successor of a retry is the same', async () => {
      const { jar } = await signIn(service());
      const headers = { ...asks, ...own, ...header(jar) };
      const both = await Promise.all([1, 2].map(() => send('POST', '/api/auth/refresh-token', headers, {})));
      const [one, two] = both.map((answer) => jarOf(answer).get('__Host-auth_refresh'));
      assert.deepEqual(
        both.map((answer) => answer.status),
        [200, 200],
      );
      assert.ok(one !== undefined && one !== jar.get('__Host-auth_refresh'));
      assert.equal(one, two);
    });

    test('BRW-08 logout ends session and cookies, and the cookies of an ended session are cleared with the next refresh', async () => {
      const { jar } = await signIn(service());
      const out = await send('POST', '/api/auth/logout', { ...own, ...header(jar) });
      assert.equal(out.status, 200);
      assert.equal(out.headers['clear-site-data'], '"cookies"');
      assert.equal(jarOf(out, jar).size, 0);
      assert.equal(await worth(service(), jar.get('__Host-auth_access') ?? ''), 'revoked');
      const late = await send('POST', '/api/auth/refresh-token', { ...asks, ...own, ...header(jar) }, {});
      assertProblem(late, 401, 'invalid_refresh_token');
      assert.equal(jarOf(late, jar).size, 0);
      const nobody = await send('POST', '/api/auth/refresh-token', { ...asks, ...own }, {});
      assertProblem(nobody, 401, 'invalid_refresh_token');
    });

    test('BRW-08 a logout without an access cookie leaves what renews it, and then ends the session; of an ended session it clears all', async () => {
      const { jar } = await signIn(service());
      const headers = { ...asks, ...own };
      const refreshOnly = new Map([...jar].filter(([name]) => name === '__Host-auth_refresh'));
      const first = await send('POST', '/api/auth/logout', { ...headers, ...header(refreshOnly) });
      assertProblem(first, 401, 'missing_token');
      assert.equal(first.headers['set-cookie'], undefined);
      const renewed = await send('POST', '/api/auth/refresh-token', { ...headers, ...header(refreshOnly) }, {});
      const fresh = jarOf(renewed, refreshOnly);
      const over = await send('POST', '/api/auth/revoke-all-tokens', { ...own, ...header(fresh) });
      assert.equal(over.status, 200);
      const late = await send('POST', '/api/auth/logout', { ...headers, ...header(fresh) });
      assertProblem(late, 401, 'token_revoked');
      assert.equal(jarOf(late, fresh).size, 0);
    });

    test('BRW-03 an account whose token is longer than a cookie is signed in with as many as it takes, and no session is left over', async () => {
      const admin = tokensOf(await login(service(), administrator));
      const permissions = Array.from({ length: 110 }, (_, index) => `${'resource'.repeat(4)}-${index}:read`);
      const role = { name: 'reader-of-much', permissions };
      const made = await send('POST', '/api/admin/roles', { Authorization: `Bearer ${admin.access_token}` }, role);
      assert.equal(made.status, 201, made.text);
      const { account, answer, jar: small } = await signIn(service());
      const { id } = (answer.body as { user: { id: string } }).user;
      const granted = await send(
        'PUT',
        `/api/admin/users/${id}/roles`,
        { Authorization: `Bearer ${admin.access_token}` },
        { roles: ['user', role.name] },
      );
      assert.equal(granted.status, 200, granted.text);
      const answered = await send('POST', '/api/auth/login', { ...asks, ...own, ...header(small) }, account);
      assert.equal(answered.status, 200, answered.text);
      const cookies = answered.headers['set-cookie'] ?? [];
      assert.ok(cookies.length > 2);
      for (const cookie of cookies) {
        assert.match(
          cookie,
          /^__Host-auth_(access(\.[12])?|refresh)=[\w.~-]+; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/,
        );
        assert.ok((cookie.split(';', 1)[0] ?? '').length <= 4_096);
      }
      const jar = jarOf(answered, small);
      for (const value of jar.values()) service().secrets.add(value);
      const sessions = await send('GET', '/api/auth/sessions', header(jar));
      assert.equal((sessions.body as { sessions: unknown[] }).sessions.length, 2);
      // Less again: the piece that is not needed goes.
      const taken = await send(
        'PUT',
        `/api/admin/users/${id}/roles`,
        { Authorization: `Bearer ${admin.access_token}` },
        { roles: ['user'] },
      );
      assert.equal(taken.status, 200);
      const refreshed = await send('POST', '/api/auth/refresh-token', { ...asks, ...own, ...header(jar) }, {});
      const after = jarOf(refreshed, jar);
      assert.deepEqual([...after.keys()].sort(), ['__Host-auth_access', '__Host-auth_refresh']);
      assert.equal((await send('GET', '/api/auth/me', header(after))).status, 200);
      assert.equal(jarOf(await send('POST', '/api/auth/logout', { ...own, ...header(jar) }), jar).size, 0);
    });

    test('revoke-all clears the cookies where it ends the acting session, and only then', async () => {
      const { jar } = await signIn(service());
      const others = await send(
        'POST',
        '/api/auth/revoke-all-tokens',
        { ...own, ...header(jar) },
        { except_current: true },
      );
      assert.deepEqual([others.status, others.headers['set-cookie']], [200, undefined]);
      const all = await send('POST', '/api/auth/revoke-all-tokens', { ...own, ...header(jar) });
      assert.equal(all.status, 200);
      assert.equal(jarOf(all, jar).size, 0);
    });

    test('BRW-04 no request that the page of another site causes changes anything, logs in or logs out', async () => {
      const { account, jar } = await signIn(service());
      const hostile: readonly Headers[] = [
        {},
        { Origin: 'null' },
        { Origin: 'null', 'Sec-Fetch-Site': 'same-origin' },
        { Origin: 'https://evil.example' },
        { Origin: 'https://app.example.com.evil.example' },
        { Origin: 'https://evilapp.example.com' },
        { Origin: 'http://app.example.com' },
        { Origin: 'https://app.example.com:444' },
        { Origin: 'https://app.example.com%60.evil' },
        { Origin: 'HTTPS://APP.EXAMPLE.COM' },
        { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' },
        { 'Sec-Fetch-Site': 'same-site' },
        { 'Sec-Fetch-Site': 'same-site', Origin: 'https://blog.example.com' },
        { 'Sec-Fetch-Site': 'none' },
        { 'Sec-Fetch-Site': 'cross-site', 'X-HTTP-Method-Override': 'POST' },
        { Referer: 'https://app.example.com/' },
      ];
      const calls: readonly (readonly [string, string, unknown, Headers])[] = [
        ['POST', '/api/auth/logout', undefined, header(jar)],
        ['POST', '/api/auth/logout', {}, header(jar)],
        ['POST', '/api/auth/revoke-all-tokens', {}, header(jar)],
        ['PATCH', '/api/auth/me', { first_name: 'Mallory' }, header(jar)],
        ['DELETE', '/api/auth/me', { password: account.password }, header(jar)],
        ['POST', '/api/auth/refresh-token', {}, { ...asks, ...header(jar) }],
        ['POST', '/api/auth/login', account, { ...asks, ...header(jar) }],
        ['POST', '/api/auth/register', { user: { email: newEmail(), password: newPassword() } }, asks],
      ];
      for (const from of hostile) {
        for (const [method, path, body, headers] of calls) {
          const answer = await send(method, path, { ...headers, ...from }, body);
          assertProblem(answer, 403, 'csrf');
          assert.equal(answer.headers['set-cookie'], undefined);
          assert.equal(answer.headers['access-control-allow-origin'], undefined);
        }
      }
      const seen = await send('GET', '/api/auth/me', header(jar));
      assert.equal((seen.body as { user: { first_name: unknown } }).user.first_name, null);
      const sessions = await send('GET', '/api/auth/sessions', header(jar));
      assert.equal((sessions.body as { sessions: unknown[] }).sessions.length, 1);
    });

    test('BRW-04 a form of another site reaches nothing: text/plain JSON, a form body, and a GET change nothing', async () => {
      const { jar } = await signIn(service());
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
        const raw = '{"first_name":"Mallory"}';
        const headers = { ...header(jar), 'Content-Type': type };
        const cross = await send('PATCH', '/api/auth/me', { ...headers, 'Sec-Fetch-Site': 'cross-site' }, undefined, {
          raw,
        });
        assertProblem(cross, 403, 'csrf');
        const ours = await send('PATCH', '/api/auth/me', { ...headers, ...own }, undefined, { raw });
        assertProblem(ours, 415, 'unsupported_media_type');
      }
      const read = await send('GET', '/api/auth/me', { ...header(jar), 'Sec-Fetch-Site': 'cross-site' });
      assertProblem(read, 403, 'csrf');
      assertProblem(await send('GET', '/api/auth/logout', { ...header(jar), ...own }), 405, 'method_not_allowed');
      assert.equal((await send('GET', '/api/auth/me', header(jar))).status, 200);
    });

    test('BRW-01 only a listed origin, byte for byte, may use cookies across origins', async () => {
      const { jar } = await signIn(service());
      const from = { Origin: app, 'Sec-Fetch-Site': 'same-site' };
      const patched = await send('PATCH', '/api/auth/me', { ...header(jar), ...from }, { first_name: 'Ada' });
      assert.equal(patched.status, 200);
      assert.equal(patched.headers['access-control-allow-origin'], app);
      assert.equal(patched.headers['access-control-allow-credentials'], 'true');
      assert.match(patched.headers.vary ?? '', /\bOrigin\b/);
      const preflight = await send('OPTIONS', '/api/auth/login', {
        Origin: app,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type, x-token-transport',
      });
      assert.equal(preflight.headers['access-control-allow-credentials'], 'true');
      assert.match(String(preflight.headers['access-control-allow-headers']), /X-Token-Transport/i);
      for (const origin of ['https://evil.example', 'null', `${app}.evil.example`, 'https://APP.example.com']) {
        const answer = await send('OPTIONS', '/api/auth/login', {
          Origin: origin,
          'Access-Control-Request-Method': 'POST',
        });
        assert.equal(answer.headers['access-control-allow-origin'], undefined);
        assert.equal(answer.headers['access-control-allow-credentials'], undefined);
      }
    });

    test('two credentials at once are refused, whichever they are', async () => {
      const { account, jar } = await signIn(service());
      const { tokens } = await register(service());
      const headers = { ...own, ...header(jar) };
      for (const path of ['/api/auth/me', '/api/auth/sessions']) {
        const both = await send('GET', path, headers, undefined, { token: tokens.access_token });
        assertProblem(both, 400, 'ambiguous_credentials');
      }
      const twice = `${header(jar)['Cookie']}; __Host-auth_access=${tokens.access_token}`;
      assertProblem(await send('GET', '/api/auth/me', { ...own, Cookie: twice }), 400, 'ambiguous_credentials');
      const body = { refresh_token: tokens.refresh_token };
      const refresh = await send('POST', '/api/auth/refresh-token', { ...asks, ...headers }, body);
      assertProblem(refresh, 400, 'ambiguous_credentials');
      const asked = await send('POST', '/api/auth/login', { ...asks, ...own }, account, { token: tokens.access_token });
      assertProblem(asked, 400, 'ambiguous_credentials');
      assert.equal(await worth(service(), tokens.access_token), 'valid');
    });

    test('the bearer way is as it was, and a refresh cookie does nothing unless it is asked for', async () => {
      const { account, jar } = await signIn(service());
      const tokens = tokensOf(await login(service(), account), 200);
      assert.equal((await me(service(), tokens.access_token)).status, 200);
      const unasked = await send('POST', '/api/auth/refresh-token', { ...own, ...header(jar) }, {});
      assertProblem(unasked, 422, 'validation_failed');
      const bearer = await send('POST', '/api/auth/refresh-token', header(jar), {
        refresh_token: tokens.refresh_token,
      });
      assert.deepEqual(
        [tokensOf(bearer, 200).session_id, bearer.headers['set-cookie']],
        [tokens.session_id, undefined],
      );
    });

    test('no token but a live one is worth anything in a cookie', async () => {
      for (const value of ['', 'x', 'a.b.c', '"quoted"', 'ask_1', '../../etc/passwd', '%00', 'x'.repeat(8_000)]) {
        const answer = await send('GET', '/api/auth/me', { Cookie: `__Host-auth_access=${value}` });
        assert.equal(answer.status, 401, value);
        const refreshed = await send(
          'POST',
          '/api/auth/refresh-token',
          { ...asks, ...own, Cookie: `__Host-auth_refresh=${value}` },
          {},
        );
        assert.equal(refreshed.status, 401, value);
      }
    });
  },
  {
    env: {
      ...{ COOKIE_MODE: 'lax', CORS_ORIGINS: app },
      ...{ BOOTSTRAP_ADMIN_EMAIL: administrator.email, BOOTSTRAP_ADMIN_PASSWORD: administrator.password },
    },
  },
);

test('BRW-08 a logout that the service cannot carry out takes its own cookies out of the browser all the same, and says that it failed', async (t) => {
  const database = await startPostgres({ fsync: false });
  t.after(() => database.stop());
  const service = await startService({
    store: 'postgres',
    databaseUrl: await database.createDatabase(),
    env: { COOKIE_MODE: 'lax', COOKIE_LOGOUT_CLEARS: 'own' },
  });
  t.after(() => service.stop());
  const { jar } = await signIn(service);
  const post = (path: string, cookies: ReadonlyMap<string, string>, body?: object): Promise<Answer> =>
    service.api.send('POST', path, body, { headers: { ...asks, ...own, ...header(cookies) } });
  const other = (await signIn(service)).jar;
  const out = await post('/api/auth/logout', other);
  assert.deepEqual([out.status, out.headers['clear-site-data'], jarOf(out, other).size], [200, undefined, 0]);
  await database.stop();
  const away = await post('/api/auth/logout', jar);
  assertProblem(away, 503, 'overloaded');
  assert.equal(jarOf(away, jar).size, 0);
  const refresh = await post('/api/auth/refresh-token', jar, {});
  assert.deepEqual([refresh.status, refresh.headers['set-cookie']], [503, undefined]);
});

onEachStore('without cookie mode', (service) => {
  test('BRW-04 cookies are not looked at, the header asks for nothing, and no origin may send credentials', async () => {
    const { api } = service();
    const account = { email: newEmail(), password: newPassword() };
    const answer = await api.post('/api/auth/register', { user: account }, { headers: { ...asks, Origin: app } });
    const { access_token: token } = tokensOf(answer, 201);
    assert.equal(answer.headers['set-cookie'], undefined);
    assert.equal(answer.headers['access-control-allow-credentials'], undefined);
    const cookie = { Cookie: `__Host-auth_access=${token}` };
    assertProblem(await api.get('/api/auth/me', { headers: cookie }), 401, 'missing_token');
    assert.equal((await api.get('/api/auth/me', { token, headers: cookie })).status, 200);
  });
});
