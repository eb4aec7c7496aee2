/** The administration: who may call what, accounts, roles, sessions and keys through `/api/admin`, on both stores. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type AdminUser, ownPermissions, type Role } from '../../packages/protocol/src/index.ts';
import { type Answer, assertProblem, problemCode, receiptOf, type SendOptions, tokensOf } from '../support/http.ts';
import { type RunningService, until } from '../support/service.ts';
import { codeOf, startSmtp } from '../support/smtp.ts';
import { scan } from '../support/totp-app.ts';
import {
  type Account,
  login,
  me,
  newEmail,
  newPassword,
  onEachStore,
  refresh,
  register,
  worth,
} from './support/suite.ts';

const admin = { email: newEmail('admin'), password: newPassword() };
const smtp = await startSmtp();
after(() => smtp.stop());
const env = {
  BOOTSTRAP_ADMIN_EMAIL: admin.email,
  BOOTSTRAP_ADMIN_PASSWORD: admin.password,
  RATE_LIMIT_ENABLED: 'false',
  SMTP_URL: smtp.url,
  MAIL_FROM: 'Auth <auth@example.org>',
};

interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
}

function itemsOf<T>(answer: Answer): Page<T> {
  assert.equal(answer.status, 200, answer.text.slice(0, 500));
  return answer.body as Page<T>;
}

function userOf(answer: Answer, status = 200): AdminUser {
  assert.equal(answer.status, status, answer.text.slice(0, 500));
  return (answer.body as { user: AdminUser }).user;
}

function roleOf(answer: Answer, status = 200): Role {
  assert.equal(answer.status, status, answer.text.slice(0, 500));
  return (answer.body as { role: Role }).role;
}

/** Requests of one administrator. */
function createOffice(service: () => RunningService, token: () => string) {
  const send = (method: string, path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> =>
    service().api.send(method, `/api/admin${path}`, body, { token: token(), ...options });
  return {
    send,
    get: (path: string) => send('GET', path),
    post: (path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
      send('POST', path, body ?? {}, { headers }),
    async pages<T>(path: string): Promise<T[]> {
      const all: T[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const more: string = cursor === '' ? '' : `&cursor=${cursor}`;
        const page: Page<T> = itemsOf<T>(await send('GET', `${path}${more}`));
        all.push(...page.items);
        cursor = page.next_cursor;
      }
      return all;
    },
  };
}

/** An account with these permissions, by a role of its own. */
async function withRights(service: RunningService, adminToken: string, permissions: readonly string[]) {
  const office = createOffice(
    () => service,
    () => adminToken,
  );
  const account = await register(service);
  const name = `r-${randomUUID()}`;
  roleOf(await office.post('/roles', { name, permissions }), 201);
  userOf(await office.send('PUT', `/users/${account.tokens.user.id}/roles`, { roles: ['user', name] }));
  return { account, role: name, tokens: tokensOf(await login(service, account)) };
}

/**
 * AZ-01: what each route answers to nobody, to a user, to an administrator who may only read, and to one who may do everything,
 * with ids that name nothing and without a body. A route that is not here fails the test.
 */
const statusTable: Readonly<Record<string, readonly [number, number, number, number]>> = {
  'GET /api/admin/users': [401, 403, 200, 200],
  'POST /api/admin/users': [401, 403, 403, 422],
  'GET /api/admin/users/{id}': [401, 403, 404, 404],
  'PATCH /api/admin/users/{id}': [401, 403, 403, 404],
  'DELETE /api/admin/users/{id}': [401, 403, 403, 404],
  'POST /api/admin/users/{id}/disable': [401, 403, 403, 404],
  'POST /api/admin/users/{id}/enable': [401, 403, 403, 404],
  'POST /api/admin/users/{id}/unlock': [401, 403, 403, 404],
  'POST /api/admin/users/{id}/revoke-sessions': [401, 403, 403, 404],
  'POST /api/admin/users/{id}/reset-mfa': [401, 403, 403, 404],
  'PUT /api/admin/users/{id}/roles': [401, 403, 403, 422],
  'GET /api/admin/users/{id}/sessions': [401, 403, 404, 404],
  'GET /api/admin/users/{id}/export': [401, 403, 403, 404],
  'GET /api/admin/roles': [401, 403, 200, 200],
  'POST /api/admin/roles': [401, 403, 403, 422],
  'GET /api/admin/roles/{name}': [401, 403, 404, 404],
  'PATCH /api/admin/roles/{name}': [401, 403, 403, 404],
  'DELETE /api/admin/roles/{name}': [401, 403, 403, 404],
  'GET /api/admin/permissions': [401, 403, 200, 200],
  'GET /api/admin/sessions': [401, 403, 200, 200],
  'DELETE /api/admin/sessions/{id}': [401, 403, 403, 404],
  'GET /api/admin/audit-events': [401, 403, 200, 200],
  'GET /api/admin/audit-events/verify': [401, 403, 200, 200],
  'GET /api/admin/audit-events/export': [401, 403, 200, 200],
  'GET /api/admin/keys': [401, 403, 200, 200],
  'POST /api/admin/keys/rotate': [401, 403, 403, 201],
  'POST /api/admin/keys/{kid}/revoke': [401, 403, 403, 404],
  'GET /api/admin/mails': [401, 403, 200, 200],
  'POST /api/admin/mails/{id}/retry': [401, 403, 403, 404],
  'GET /api/admin/stats': [401, 403, 200, 200],
  'GET /api/admin/api-keys': [401, 403, 200, 200],
  'POST /api/admin/api-keys': [401, 403, 403, 422],
  'DELETE /api/admin/api-keys/{id}': [401, 403, 403, 404],
  'GET /api/admin/service-accounts': [401, 403, 200, 200],
  'POST /api/admin/service-accounts': [401, 403, 403, 422],
  'PATCH /api/admin/service-accounts/{id}': [401, 403, 403, 404],
  'DELETE /api/admin/service-accounts/{id}': [401, 403, 403, 404],
};

onEachStore(
  'administration',
  (service) => {
    let adminTokens: { access_token: string; user: { id: string } };
    before(async () => {
      adminTokens = tokensOf(await login(service(), admin));
    });
    const office = createOffice(service, () => adminTokens.access_token);

    test('AZ-01 every route of the administration answers exactly what the table says', async () => {
      const document = await service().api.document();
      const routes = Object.entries(document.paths)
        .filter(([path]) => path.startsWith('/api/admin/'))
        .flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`));
      assert.deepEqual(routes.toSorted(), Object.keys(statusTable).toSorted());
      const asked = [...JSON.stringify(document.paths).matchAll(/"x-required-permission":"([^"]+)"/g)];
      for (const [, permission = ''] of asked) assert.ok(Object.hasOwn(ownPermissions, permission), permission);
      const plain = await register(service());
      const reader = await withRights(service(), adminTokens.access_token, ['*:read']);
      const callers = [undefined, plain.tokens.access_token, reader.tokens.access_token, adminTokens.access_token];
      for (const [route, expected] of Object.entries(statusTable)) {
        const [method = '', template = ''] = route.split(' ');
        const path = template.replace('{id}', randomUUID()).replace('{name}', 'nothing').replace('{kid}', 'nothing');
        for (const [at, token] of callers.entries()) {
          const body = method === 'GET' ? undefined : {};
          const answer = await service().api.send(method, path, body, token === undefined ? {} : { token });
          assert.equal(answer.status, expected[at], `${route}, caller ${at}: ${answer.text.slice(0, 300)}`);
        }
      }
    });

    test('AZ-01 who may not is told so before ids, bodies and filters are looked at', async () => {
      const { tokens } = await register(service());
      for (const [method, path, raw] of [
        ['POST', '/users', '{'],
        ['POST', '/users', '{"email":1,"is_admin":true}'],
        ['PATCH', '/users/nothing', '[]'],
        ['PUT', '/users/..%2f/roles', 'null'],
        ['DELETE', '/roles/%00', ''],
        ['GET', '/users?limit=NaN&cursor=x', undefined],
      ] as const) {
        const options = { token: tokens.access_token, ...(raw === undefined ? {} : { raw }) };
        assertProblem(
          await service().api.send(method, `/api/admin${path}`, undefined, options),
          403,
          'insufficient_permissions',
        );
      }
    });

    test('PWD-12 INP-02 an administrator creates an account without a password, and sets none', async () => {
      const email = newEmail();
      const answer = await office.post('/users', { email, first_name: 'Ada' });
      const user = userOf(answer, 201);
      assert.equal(answer.headers['location'], `/api/admin/users/${user.id}`);
      assert.deepEqual([user.email, user.first_name, user.roles, user.status], [email, 'Ada', ['user'], 'active']);
      for (const password of ['', 'null', newPassword()]) {
        assertProblem(await login(service(), { email, password }), 401, 'invalid_credentials');
      }
      for (const member of [
        'password',
        'password_hash',
        'id',
        'status',
        'permissions',
        'mfa_enabled',
        'epoch',
        'is_admin',
        'created_at',
        'locked_until',
      ]) {
        for (const value of ['x', true, ['*:*']]) {
          const more = { [member]: value };
          assertProblem(await office.post('/users', { email: newEmail(), ...more }), 422, 'unknown_field');
          assertProblem(await office.send('PATCH', `/users/${user.id}`, more), 422, 'unknown_field');
        }
      }
      assertProblem(await office.send('PATCH', `/users/${user.id}`, { roles: ['admin'] }), 422, 'unknown_field');
      assertProblem(
        await office.send('PATCH', `/users/${user.id}`, { email_verified: false }),
        422,
        'validation_failed',
      );
      assert.deepEqual(userOf(await office.get(`/users/${user.id}`)), user);
      assertProblem(await office.post('/users', { email }), 409, 'email_taken');
      assertProblem(await office.post('/users', { email: 'nonsense' }), 422, 'validation_failed');
      assertProblem(await office.post('/users', { email: newEmail(), roles: ['nothing'] }), 422, 'validation_failed');
      for (const bad of ['a\u0000b', 'x'.repeat(101), 7]) {
        assertProblem(await office.post('/users', { email: newEmail(), first_name: bad }), 422, 'validation_failed');
      }
    });

    test('PWD-12 who is invited chooses the password by the mail, and has proven the address by it', async () => {
      const email = newEmail('invited');
      const silent = newEmail('silent');
      userOf(await office.post('/users', { email: silent, invite: false }), 201);
      userOf(await office.post('/users', { email }), 201);
      const mail = await until('the invitation', async () => smtp.received.find(({ to }) => to[0] === email));
      assert.equal(smtp.received.filter(({ to }) => to[0] === silent).length, 0);
      const code = codeOf(mail);
      service().secrets.add(code);
      const password = newPassword();
      service().secrets.add(password);
      const chosen = await service().api.post('/api/auth/reset-password', { token: code, new_password: password });
      assert.equal(chosen.status, 200, chosen.text);
      assert.equal(tokensOf(await login(service(), { email, password })).user.email_verified, true);
      const again = await service().api.post('/api/auth/reset-password', { token: code, new_password: newPassword() });
      assertProblem(again, 401, 'invalid_mail_token');
    });

    test('an update with the version that was read succeeds once; who comes second reads again', async () => {
      const { id } = userOf(await office.post('/users', { email: newEmail() }), 201);
      const read = await office.get(`/users/${id}`);
      const tag = String(read.headers['etag']);
      assert.match(tag, /^"[\w-]{22}"$/);
      const patch = (name: string, match: string) =>
        office.send('PATCH', `/users/${id}`, { first_name: name }, { headers: { 'If-Match': match } });
      const answers = await Promise.all(Array.from({ length: 16 }, (_, n) => patch(`name ${n}`, tag)));
      const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
      assert.deepEqual(statuses, [200, ...Array.from({ length: 15 }, () => 412)]);
      const won = answers.find(({ status }) => status === 200);
      const after = await office.get(`/users/${id}`);
      assert.equal(after.headers['etag'], won?.headers['etag']);
      assert.notEqual(after.headers['etag'], tag);
      for (const stale of [tag, `W/${String(after.headers['etag'])}`, '"x"', '']) {
        assertProblem(await patch('late', stale), 412, 'precondition_failed');
        const headers = { 'If-Match': stale };
        for (const [method, path, body] of [
          ['DELETE', '', undefined],
          ['POST', '/disable', {}],
          ['POST', '/enable', {}],
          ['PUT', '/roles', { roles: ['user'] }],
        ] as const) {
          const answer = await office.send(method, `/users/${id}${path}`, body, { headers });
          assertProblem(answer, 412, 'precondition_failed');
        }
      }
      assert.equal((await patch('list', `"x", ${String(after.headers['etag'])}`)).status, 200);
      assert.equal((await patch('any', '*')).status, 200);
      assertProblem(
        await office.send('PATCH', `/users/${randomUUID()}`, {}, { headers: { 'If-Match': '*' } }),
        404,
        'not_found',
      );
    });

    test('a role is changed by the version that was read, and a built-in one never', async () => {
      const name = `r-${randomUUID()}`;
      const made = await office.post('/roles', { name, permissions: ['b:x', 'a:x', 'a:x'], description: 'Before.' });
      assert.deepEqual(roleOf(made, 201).permissions, ['a:x', 'b:x']);
      assert.equal((await office.get(`/roles/${name}`)).headers['etag'], made.headers['etag']);
      const change = (body: object, match: unknown) =>
        office.send('PATCH', `/roles/${name}`, body, { headers: { 'If-Match': String(match) } });
      const changed = await change({ description: 'After.' }, made.headers['etag']);
      assert.deepEqual([roleOf(changed).description, roleOf(changed).permissions], ['After.', ['a:x', 'b:x']]);
      assertProblem(await change({ permissions: [] }, made.headers['etag']), 412, 'precondition_failed');
      assertProblem(await office.post('/roles', { name, permissions: [] }), 409, 'conflict');
      assertProblem(await office.post('/roles', { name: 'Bad', permissions: [] }), 422, 'validation_failed');
      assertProblem(await office.post('/roles', { name: 'good', permissions: ['nonsense'] }), 422, 'validation_failed');
      assertProblem(await office.send('PATCH', '/roles/admin', { permissions: [] }), 409, 'conflict');
      assertProblem(await office.send('DELETE', '/roles/user'), 409, 'conflict');
      assert.ok((await office.pages<Role>('/roles?limit=1')).some((role) => role.name === name));
      const { items } = itemsOf<{ name: string; roles: string[] }>(await office.get('/permissions'));
      assert.deepEqual(items.find((one) => one.name === 'a:x')?.roles, [name]);
      assert.ok(items.some((one) => one.name === 'audit:read'));
      receiptOf(await office.send('DELETE', `/roles/${name}`));
      assertProblem(await office.get(`/roles/${name}`), 404, 'not_found');
    });

    test('one thing is created for an idempotency key, however often and at once it is asked for', async () => {
      const headers = { 'Idempotency-Key': randomUUID() };
      const body = { email: newEmail() };
      const answers = await Promise.all(Array.from({ length: 16 }, () => office.post('/users', body, headers)));
      const made = answers.filter(({ status }) => status === 201);
      assert.ok(made.length > 0);
      for (const answer of answers) if (answer.status !== 201) assertProblem(answer, 409, 'conflict');
      const again = await office.post('/users', body, headers);
      assert.deepEqual(new Set([...made, again].map(({ text }) => text)).size, 1);
      assert.equal(again.headers['idempotency-replayed'], 'true');
      for (const name of ['etag', 'location']) assert.equal(again.headers[name], made[0]?.headers[name]);
      assert.equal(made.filter((answer) => answer.headers['idempotency-replayed'] === undefined).length, 1);
      assertProblem(await office.post('/users', { email: newEmail() }, headers), 422, 'validation_failed');
      assertProblem(await office.post('/users', body), 409, 'email_taken');
      // Of another route, or another caller, it is another key.
      roleOf(await office.post('/roles', { name: `r-${randomUUID()}`, permissions: [] }, headers), 201);
      const other = await withRights(service(), adminTokens.access_token, ['users:write']);
      const theirs = createOffice(service, () => other.tokens.access_token);
      assertProblem(await theirs.post('/users', body, headers), 409, 'email_taken');
      for (const key of ['', 'x'.repeat(256), 'a b']) {
        const answer = await office.post('/users', { email: newEmail() }, { 'Idempotency-Key': key });
        assertProblem(answer, 422, 'validation_failed');
      }
    });

    test('a refusal is not remembered: the same key succeeds when the cause is gone', async () => {
      const headers = { 'Idempotency-Key': randomUUID() };
      const role = `r-${randomUUID()}`;
      const body = { email: newEmail(), roles: [role] };
      assertProblem(await office.post('/users', body, headers), 422, 'validation_failed');
      roleOf(await office.post('/roles', { name: role, permissions: ['a:b'] }), 201);
      assert.deepEqual(userOf(await office.post('/users', body, headers), 201).permissions, ['a:b']);
    });

    test('DOS-06 INP-06 limits, cursors and filters that are not what they should be are refused', async () => {
      for (const limit of ['0', '-1', '201', '1e9', 'NaN', '1.5', '', '99999999999999999999']) {
        for (const list of ['/users', '/roles', '/sessions', '/audit-events']) {
          assertProblem(await office.get(`${list}?limit=${limit}`), 422, 'validation_failed');
        }
      }
      assertProblem(await office.get('/users?limit=1&limit=2'), 422, 'validation_failed');
      await office.post('/users', { email: newEmail() });
      const { next_cursor: good } = itemsOf<AdminUser>(await office.get('/users?limit=1'));
      assert.ok(good !== null);
      const forged = [
        '1',
        'null',
        'AAAA',
        "' or 1=1 --",
        '%00',
        '../..',
        good.slice(1),
        `${good}=`,
        `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`,
        Buffer.from(JSON.stringify([0, '', randomUUID()])).toString('base64url'),
        'x'.repeat(4_000),
      ];
      for (const cursor of forged) {
        for (const list of ['/users', '/roles', '/sessions', '/audit-events']) {
          const answer = await office.get(`${list}?cursor=${encodeURIComponent(cursor)}`);
          assertProblem(answer, 422, 'validation_failed');
        }
      }
      // A good one, in another place than it was told for.
      for (const path of ['/users?search=a', '/users?status=active', '/users?role=user', '/roles?', '/sessions?']) {
        const answer = await office.get(`${path}&cursor=${good}`.replace('?&', '?'));
        assertProblem(answer, 422, 'validation_failed');
      }
      for (const filter of [
        'status=gone',
        'role=A%20B',
        'role=%27',
        'search=',
        `search=${'x'.repeat(300)}`,
        'search=%00',
      ]) {
        assertProblem(await office.get(`/users?${filter}`), 422, 'validation_failed');
      }
      for (const search of ["'", '%', '_', '\\', '%25', '"; drop table users; --', '🙂', '@', '@@', 'İ', '\u2028']) {
        itemsOf<AdminUser>(await office.get(`/users?search=${encodeURIComponent(search)}`));
      }
      for (const filter of [
        'since=yesterday',
        'until=2026-13-45T99:99:99Z',
        'type=%00',
        'since=2026-02-30T25:61:61Z',
      ]) {
        assertProblem(await office.get(`/audit-events?${filter}`), 422, 'validation_failed');
      }
    });

    test('every account that stays is listed exactly once, while others come and go', async () => {
      const stay = new Set<string>();
      const go: string[] = [];
      for (let at = 0; at < 12; at += 1) {
        const { id } = userOf(await office.post('/users', { email: newEmail('page') }), 201);
        if (at % 3 === 0) go.push(id);
        else stay.add(id);
      }
      for (const path of ['/users?limit=2', '/users?limit=3&search=page-', '/users?limit=2&search=@example.org']) {
        const seen: string[] = [];
        for (let cursor: string | null = ''; cursor !== null; ) {
          const answer: Answer = await office.get(cursor === '' ? path : `${path}&cursor=${cursor}`);
          const page: Page<AdminUser> = itemsOf<AdminUser>(answer);
          seen.push(...page.items.map(({ id }) => id));
          cursor = page.next_cursor;
          userOf(await office.post('/users', { email: newEmail('page') }), 201);
          const gone = go.pop();
          if (gone !== undefined) receiptOf(await office.send('DELETE', `/users/${gone}`));
        }
        assert.equal(new Set(seen).size, seen.length, path);
        for (const id of stay) assert.ok(seen.includes(id), path);
      }
    });

    test('a search finds addresses, names and domains that begin with it, whatever their case', async () => {
      const mark = `q${randomUUID().slice(0, 8)}`;
      const make = async (local: string, first: string, last: string, domain = 'example.org') =>
        userOf(await office.post('/users', { email: `${local}@${domain}`, first_name: first, last_name: last }), 201)
          .id;
      const byEmail = await make(`${mark}.ada`, 'Ada', 'Byron');
      const byLast = await make(newEmail().split('@', 1)[0] ?? '', 'Grace', `${mark.toUpperCase()}son`);
      const byFirst = await make(newEmail().split('@', 1)[0] ?? '', `${mark}a`, 'Hopper');
      const byAll = await make(`${mark}.all`, `${mark}a`, `${mark}b`);
      await make(`not.${mark}`, 'No', `No ${mark}`);
      const domain = `${mark}.example`;
      const byDomain = await make('someone', 'Some', 'One', domain);
      const found = async (query: string): Promise<string[]> =>
        (await office.pages<AdminUser>(`/users?limit=1&${query}`)).map(({ id }) => id);
      assert.deepEqual(await found(`search=${mark}`), [byEmail, byAll, byLast, byFirst]);
      assert.deepEqual(await found(`search=${mark.toUpperCase()}.ADA`), [byEmail]);
      assert.deepEqual(await found(`search=@${mark}`), [byDomain]);
      receiptOf(await office.post(`/users/${byLast}/disable`));
      assert.deepEqual(await found(`search=${mark}&status=disabled`), [byLast]);
      assert.deepEqual(await found(`search=${mark}&status=active`), [byEmail, byAll, byFirst]);
      const role = `r-${randomUUID()}`;
      roleOf(await office.post('/roles', { name: role, permissions: [] }), 201);
      userOf(await office.send('PUT', `/users/${byFirst}/roles`, { roles: ['user', role] }));
      for (const query of [`role=${role}`, `role=${role}&search=${mark}`, `role=${role}&status=active`]) {
        assert.deepEqual(await found(query), [byFirst], query);
      }
      assert.deepEqual(await found(`role=${role}&status=disabled`), []);
      assert.ok((await found('status=disabled')).includes(byLast));
    });

    test('AZ-09 REV-02 disabling, ending sessions and deleting end all that lives, and say so in a receipt', async () => {
      const act = async (account: Account, method: string, path: string): Promise<void> => {
        const other = tokensOf(await login(service(), account));
        const receipt = receiptOf(await office.send(method, `/users/${account.tokens.user.id}${path}`, {}));
        assert.equal(receipt.effective_everywhere, true);
        for (const tokens of [account.tokens, other]) {
          assert.equal(await worth(service(), tokens.access_token), 'revoked');
          assertProblem(await refresh(service(), tokens.refresh_token), 401, 'invalid_refresh_token');
        }
      };
      const disabled = await register(service());
      await act(disabled, 'POST', '/disable');
      assertProblem(await login(service(), disabled), 403, 'account_disabled');
      // Again: it is so already, and the receipt says how far that is known.
      receiptOf(await office.post(`/users/${disabled.tokens.user.id}/disable`));
      assert.equal(userOf(await office.post(`/users/${disabled.tokens.user.id}/enable`)).status, 'active');
      assert.equal(await worth(service(), disabled.tokens.access_token), 'revoked');
      tokensOf(await login(service(), disabled));
      const ended = await register(service());
      await act(ended, 'POST', '/revoke-sessions');
      tokensOf(await login(service(), ended));
      const deleted = await register(service());
      await act(deleted, 'DELETE', '');
      assertProblem(await login(service(), deleted), 401, 'invalid_credentials');
      assertProblem(await office.get(`/users/${deleted.tokens.user.id}`), 404, 'not_found');
    });

    test('AZ-04 roles act at once: the old access token is refused, the refresh token brings the new set', async () => {
      const { account, role, tokens } = await withRights(service(), adminTokens.access_token, ['users:read']);
      const theirs = createOffice(service, () => tokens.access_token);
      itemsOf(await theirs.get('/users?limit=1'));
      const path = `/users/${account.tokens.user.id}/roles`;
      assert.deepEqual(userOf(await office.send('PUT', path, { roles: ['user'] })).permissions, []);
      assertProblem(await theirs.get('/users?limit=1'), 401, 'token_revoked');
      const next = tokensOf(await refresh(service(), tokens.refresh_token));
      const after = createOffice(service, () => next.access_token);
      assertProblem(await after.get('/users?limit=1'), 403, 'insufficient_permissions');
      userOf(await office.send('PUT', path, { roles: ['user', role] }));
      const again = tokensOf(await refresh(service(), next.refresh_token));
      roleOf(await office.send('PATCH', `/roles/${role}`, { permissions: ['users:write'] }));
      assert.equal(await worth(service(), again.access_token), 'revoked');
      const last = tokensOf(await refresh(service(), again.refresh_token));
      assert.deepEqual(last.user.permissions, ['users:write']);
      receiptOf(await office.send('DELETE', `/roles/${role}`));
      assert.deepEqual(tokensOf(await refresh(service(), last.refresh_token)).user.roles, ['user']);
      assertProblem(await office.send('PUT', path, { roles: ['nothing'] }), 422, 'validation_failed');
    });

    test('AZ-05 who administers by delegation grants nothing, and touches nobody, beyond what they hold', async () => {
      const rights = ['users:*', 'roles:*', 'sessions:*', 'articles:read'];
      const delegate = await withRights(service(), adminTokens.access_token, rights);
      const theirs = createOffice(service, () => delegate.tokens.access_token);
      const denied = async (answer: Promise<Answer>): Promise<void> =>
        assertProblem(await answer, 403, 'insufficient_permissions');
      const higher = await withRights(service(), adminTokens.access_token, ['articles:read', 'articles:write']);
      const victim = higher.account.tokens.user.id;
      const own = delegate.account.tokens.user.id;
      await denied(theirs.post('/users', { email: newEmail(), roles: ['admin'] }));
      await denied(theirs.post('/users', { email: newEmail(), roles: [higher.role] }));
      await denied(theirs.post('/roles', { name: `r-${randomUUID()}`, permissions: ['*:*'] }));
      await denied(theirs.post('/roles', { name: `r-${randomUUID()}`, permissions: ['articles:*'] }));
      await denied(theirs.send('PATCH', `/roles/${higher.role}`, { permissions: [] }));
      await denied(theirs.send('PATCH', `/roles/${delegate.role}`, { permissions: [...rights, 'keys:read'] }));
      await denied(theirs.send('DELETE', `/roles/${higher.role}`));
      for (const id of [own, victim, adminTokens.user.id]) {
        await denied(theirs.send('PUT', `/users/${id}/roles`, { roles: ['user', 'admin'] }));
      }
      for (const id of [victim, adminTokens.user.id]) {
        await denied(theirs.send('PUT', `/users/${id}/roles`, { roles: ['user'] }));
        await denied(theirs.send('PATCH', `/users/${id}`, { email_verified: true }));
        await denied(theirs.send('DELETE', `/users/${id}`));
        for (const act of ['disable', 'enable', 'unlock', 'revoke-sessions', 'reset-mfa']) {
          await denied(theirs.post(`/users/${id}/${act}`));
        }
        const { items } = itemsOf<{ id: string }>(await theirs.get(`/users/${id}/sessions`));
        assert.ok(items.length > 0);
        for (const session of items) await denied(theirs.send('DELETE', `/sessions/${session.id}`));
      }
      assert.equal((await me(service(), higher.tokens.access_token)).status, 200);
      // What they hold they may give.
      const role = `r-${randomUUID()}`;
      roleOf(await theirs.post('/roles', { name: role, permissions: ['articles:read', 'users:read'] }), 201);
      const made = userOf(await theirs.post('/users', { email: newEmail(), roles: [role] }), 201);
      assert.equal(userOf(await theirs.send('PATCH', `/users/${made.id}`, { first_name: 'A' })).first_name, 'A');
      receiptOf(await theirs.send('DELETE', `/users/${made.id}`));
      // Granting is a right of its own.
      const clerk = await withRights(service(), adminTokens.access_token, [
        'users:write',
        'users:read',
        'articles:read',
      ]);
      const clerks = createOffice(service, () => clerk.tokens.access_token);
      await denied(clerks.post('/users', { email: newEmail(), roles: [role] }));
      userOf(await clerks.post('/users', { email: newEmail() }), 201);
      const { items } = itemsOf<{ type: string; outcome: string }>(
        await office.get(`/audit-events?actor=${own}&limit=200`),
      );
      assert.ok(items.filter(({ outcome }) => outcome === 'denied').length >= 20);
    });

    test('the last administrator can be neither removed, nor disabled, nor demoted', async () => {
      const { id } = adminTokens.user;
      assertProblem(await office.send('DELETE', `/users/${id}`), 409, 'conflict');
      assertProblem(await office.post(`/users/${id}/disable`), 409, 'conflict');
      assertProblem(await office.send('PUT', `/users/${id}/roles`, { roles: ['user'] }), 409, 'conflict');
      assert.deepEqual(userOf(await office.get(`/users/${id}`)).roles, ['admin', 'user']);
    });

    test('AZ-02 SES-03 sessions of everybody are listed, and ended one by one', async () => {
      const account = await register(service());
      const other = tokensOf(await login(service(), account));
      const { id } = account.tokens.user;
      const own = await office.pages<{ id: string; user_id: string }>(`/users/${id}/sessions?limit=1`);
      assert.deepEqual(
        own.map((session) => session.id),
        [other.session_id, account.tokens.session_id],
      );
      const all = await office.pages<{ id: string; user_id: string; current: boolean }>('/sessions?limit=3');
      const ids = all.map((session) => session.id);
      assert.deepEqual(ids, [...new Set(ids)].toSorted().toReversed());
      assert.equal(all.find((session) => session.id === other.session_id)?.user_id, id);
      assert.equal(all.filter((session) => session.current).length, 1);
      assert.equal(receiptOf(await office.send('DELETE', `/sessions/${other.session_id}`)).effective_everywhere, true);
      assert.equal(await worth(service(), other.access_token), 'revoked');
      assert.equal(await worth(service(), account.tokens.access_token), 'valid');
      assertProblem(await office.send('DELETE', `/sessions/${other.session_id}`), 404, 'not_found');
      for (const hostile of ['me', '..%2fme', '%00', 'x'.repeat(4_000)]) {
        assertProblem(await office.send('DELETE', `/sessions/${hostile}`), 404, 'not_found');
      }
    });

    test('LCK-05 an account that is locked is unlocked by an administrator', async () => {
      const account = await register(service());
      for (let wrong = 0; wrong < 5; wrong += 1) await login(service(), { ...account, password: newPassword() });
      assertProblem(await login(service(), account), 429, 'account_locked');
      userOf(await office.post(`/users/${account.tokens.user.id}/unlock`));
      tokensOf(await login(service(), account));
      userOf(await office.post(`/users/${account.tokens.user.id}/unlock`));
    });

    test('REV-02 who has lost every second factor gets in by the password alone again, and nothing of before lives', async () => {
      const account = await register(service());
      const { access_token: token, user } = account.tokens;
      const offered = await service().api.post('/api/auth/mfa/totp', undefined, { token });
      const { otpauth_uri: uri, secret } = offered.body as { otpauth_uri: string; secret: string };
      service().secrets.add(secret);
      const code = scan(uri).code(Date.now());
      const confirmed = await service().api.post('/api/auth/mfa/totp/confirm', { code }, { token });
      assert.equal(confirmed.status, 200, confirmed.text);
      assertProblem(await login(service(), account), 401, 'mfa_required');
      assert.equal(userOf(await office.get(`/users/${user.id}`)).mfa_enabled, true);
      const receipt = receiptOf(await office.post(`/users/${user.id}/reset-mfa`));
      assert.deepEqual([receipt.effective_everywhere, receipt.revoked_sessions], [true, 1]);
      assert.equal(await worth(service(), token), 'revoked');
      assertProblem(await refresh(service(), account.tokens.refresh_token), 401, 'invalid_refresh_token');
      const again = tokensOf(await login(service(), account));
      assert.equal(again.user.mfa_enabled, false);
      // There is nothing left to take away, so nothing ends.
      assert.equal(receiptOf(await office.post(`/users/${user.id}/reset-mfa`)).revoked_sessions, 0);
      assert.equal(await worth(service(), again.access_token), 'valid');
    });

    test('LOG-02 LOG-04 what was done is in the audit log, by filters and pages, and the log proves whole', async () => {
      const { id } = userOf(await office.post('/users', { email: newEmail() }), 201);
      await office.send('PATCH', `/users/${id}`, { first_name: 'Ada' });
      await office.post(`/users/${id}/disable`);
      const events = await office.pages<Record<string, unknown>>(`/audit-events?target=${id}&limit=1`);
      assert.deepEqual(
        events.map(({ type, outcome }) => `${String(type)} ${String(outcome)}`),
        ['user.disabled success', 'user.updated success', 'user.created success'],
      );
      const members = 'id time type actor target ip user_agent outcome request_id prev_hash hash'.split(' ');
      for (const event of events) {
        assert.deepEqual(Object.keys(event), members);
        assert.deepEqual([event['actor'], event['target'], event['ip']], [adminTokens.user.id, id, '127.0.0.1']);
      }
      const typed = itemsOf<{ type: string }>(await office.get(`/audit-events?type=user.disabled&target=${id}`));
      assert.equal(typed.items.length, 1);
      const middle = String(events[1]?.['time']);
      const typesOf = async (filter: string): Promise<string[]> =>
        itemsOf<{ type: string }>(await office.get(`/audit-events?target=${id}&${filter}`)).items.map(
          ({ type }) => type,
        );
      assert.ok((await typesOf(`since=${middle}`)).includes('user.updated'));
      assert.ok(!(await typesOf(`until=${middle}`)).includes('user.updated'));
      assert.deepEqual(await typesOf('since=2100-01-01T00:00:00Z'), []);
      assert.deepEqual(await typesOf('until=2000-01-01T00:00:00Z'), []);
      const verified = (await office.get('/audit-events/verify')).body as { valid: boolean; checked: number };
      assert.ok(verified.valid && verified.checked >= 3);
    });

    test('keys are listed without their private part, rotated, and revoked for good', async () => {
      const before = itemsOf<{ kid: string; state: string }>(await office.get('/keys')).items;
      assert.ok(before.some(({ state }) => state === 'active'));
      const answer = await office.post('/keys/rotate', {});
      assert.equal(answer.status, 201, answer.text);
      const { key } = answer.body as { key: { kid: string; state: string } };
      assert.equal(key.state, 'pending');
      assert.equal(itemsOf(await office.get('/keys')).items.length, before.length + 1);
      receiptOf(await office.post(`/keys/${key.kid}/revoke`));
      assertProblem(await office.post(`/keys/${key.kid}/revoke`), 404, 'not_found');
      assertProblem(await office.post('/keys/rotate', { kid: 'x' }), 422, 'unknown_field');
    });

    test('an administrator of the command line and one of the API do the same things', async () => {
      const email = newEmail();
      const made = await service().cli(['users', 'create', email, '--generate', '--json']);
      const { user, password } = JSON.parse(made.stdout) as { user: { id: string }; password: string };
      service().secrets.add(password);
      assert.equal(userOf(await office.get(`/users/${user.id}`)).email, email);
      assert.equal((await service().cli(['users', 'disable', email])).code, 0);
      assert.equal(userOf(await office.get(`/users/${user.id}`)).status, 'disabled');
      const listed = await service().cli(['users', 'list', '--search', email, '--json']);
      assert.equal((JSON.parse(listed.stdout) as { users: unknown[] }).users.length, 1);
      assert.equal(problemCode(await office.get('/users/nothing')), 'not_found');
    });
  },
  { env },
);
