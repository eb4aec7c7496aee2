/** API keys and service accounts through HTTP: what they open, what they do not, and their end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, assertProblem, receiptOf, tokensOf } from '../support/http.ts';
import type { RunningService } from '../support/service.ts';
import {
  headerOf,
  login,
  logout,
  me,
  metricsOf,
  newEmail,
  newPassword,
  onEachStore,
  refresh,
  register,
  revokeKey,
  validate,
  worth,
} from './support/suite.ts';

const admin = { email: newEmail('admin'), password: newPassword() };
const env = {
  BOOTSTRAP_ADMIN_EMAIL: admin.email,
  BOOTSTRAP_ADMIN_PASSWORD: admin.password,
  RATE_LIMIT_ENABLED: 'false',
};

type Body = Readonly<Record<string, unknown>>;

interface Made {
  readonly id: string;
  readonly secret: string;
  readonly shown: Body;
}

const bodyOf = (answer: Answer): Body => answer.body as Body;

async function asAdmin(service: RunningService): Promise<string> {
  return tokensOf(await login(service, admin)).access_token;
}

async function makeKey(service: RunningService, token: string, body: Body): Promise<Made> {
  const answer = await service.api.post('/api/admin/api-keys', { name: 'ci', ...body }, { token });
  assert.equal(answer.status, 201, answer.text);
  const { api_key: shown, secret } = bodyOf(answer) as { api_key: Body; secret: string };
  service.secrets.add(secret);
  return { id: String(shown['id']), secret, shown };
}

const listed = async (service: RunningService, token: string, query = ''): Promise<readonly Body[]> => {
  const answer = await service.api.get(`/api/admin/api-keys${query}`, { token });
  assert.equal(answer.status, 200, answer.text);
  return bodyOf(answer)['items'] as readonly Body[];
};

onEachStore(
  'API keys',
  (service) => {
    test('AZ-08 a key is told once, is listed by its prefix, opens what its permissions say, and is dead when it is revoked', async () => {
      const token = await asAdmin(service());
      const key = await makeKey(service(), token, { permissions: ['api-keys:read'] });
      assert.match(key.secret, /^ask_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
      assert.equal(key.secret.slice(0, 16), key.shown['prefix']);
      const [first] = await listed(service(), key.secret);
      assert.equal(first?.['id'], key.id);
      assert.equal(first?.['status'], 'active');
      assertProblem(
        await service().api.post('/api/admin/service-accounts', {}, { token: key.secret }),
        403,
        'insufficient_permissions',
      );
      const receipt = receiptOf(await service().api.delete(`/api/admin/api-keys/${key.id}`, { token }));
      assert.equal(receipt.effective_everywhere, true);
      assertProblem(await service().api.get('/api/admin/api-keys', { token: key.secret }), 401, 'token_revoked');
      assert.equal(await worth(service(), key.secret), 'revoked');
      assertProblem(await service().api.delete(`/api/admin/api-keys/${key.id}`, { token }), 404, 'not_found');
      const [after] = await listed(service(), token);
      assert.deepEqual([after?.['status'], after?.['revoked_reason']], ['revoked', 'revoked']);
    });

    test('CLM-02, AZ-08 a key is no session: what is about a person refuses it, and no other place takes it', async () => {
      const token = await asAdmin(service());
      const { secret } = await makeKey(service(), token, { permissions: ['*:*'] });
      assertProblem(await me(service(), secret), 403, 'insufficient_permissions');
      for (const path of ['/api/auth/logout', '/api/auth/revoke-all-tokens', '/api/auth/change-password']) {
        assertProblem(await service().api.post(path, {}, { token: secret }), 403, 'insufficient_permissions');
      }
      assertProblem(await service().api.delete('/api/auth/me', { token: secret }), 403, 'insufficient_permissions');
      const { id } = bodyOf(await me(service(), token))['user'] as Body;
      const own = `/api/admin/users/${String(id)}`;
      const reset = await service().api.post(`${own}/reset-mfa`, {}, { token: secret });
      assertProblem(reset, 403, 'insufficient_permissions');
      assertProblem(await service().api.delete(own, { token: secret }), 403, 'insufficient_permissions');
      const another = { name: 'child', permissions: ['a:read'] };
      assertProblem(
        await service().api.post('/api/admin/api-keys', another, { token: secret }),
        403,
        'insufficient_permissions',
      );
      assertProblem(
        await service().api.post('/api/auth/refresh-token', { refresh_token: secret }),
        401,
        'invalid_refresh_token',
      );
    });

    test('LOG-02 what a key did is in the audit log with the key, what was refused to it as well', async () => {
      const token = await asAdmin(service());
      const key = await makeKey(service(), token, { permissions: ['roles:write', 'a:read'] });
      const role = { name: `by-key-${key.id}`, permissions: ['a:read'] };
      const made = await service().api.post('/api/admin/roles', role, { token: key.secret });
      assert.equal(made.status, 201, made.text);
      const more = { ...role, name: `more-${key.id}`, permissions: ['b:read'] };
      assertProblem(
        await service().api.post('/api/admin/roles', more, { token: key.secret }),
        403,
        'insufficient_permissions',
      );
      const log = await service().api.get('/api/admin/audit-events/export?type=role.created', { token });
      const events = log.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { target: string; outcome: string; detail: Body })
        .filter(({ target }) => target === role.name || target === more.name);
      assert.deepEqual(
        events.map(({ outcome, detail }) => [outcome, detail['api_key']]),
        [
          ['success', key.id],
          ['denied', key.id],
        ],
      );
    });

    test('validate-token answers for a key: whose it is, what it may do, and nothing of a session', async () => {
      const token = await asAdmin(service());
      const { user } = tokensOf(await login(service(), admin));
      const expiry = new Date(Date.now() + 3_600_000).toISOString();
      const key = await makeKey(service(), token, { permissions: ['a:*', 'b:write'], expires_at: expiry });
      const answer = bodyOf(await service().api.post('/api/auth/validate-token', { token: key.secret }));
      const claims = answer['claims'] as Body;
      assert.deepEqual([answer['valid'], answer['user_id'], answer['session_id']], [true, user.id, null]);
      assert.equal(answer['expires_at'], expiry);
      assert.deepEqual(
        [claims['sub'], claims['client_id'], claims['permissions']],
        [user.id, key.id, ['a:*', 'b:write']],
      );
      assert.equal('sid' in claims, false);
      const wanted = async (more: Body): Promise<unknown> => {
        const verdict = await validate(service(), key.secret, more);
        return verdict.valid ? 'valid' : verdict.reason;
      };
      assert.equal(await wanted({ required_permissions: ['a:write'] }), 'valid');
      assert.equal(await wanted({ required_permissions: ['b:read'] }), 'insufficient_permissions');
      assert.equal(await wanted({ max_age: 1_000_000 }), 'insufficient_authentication');
      assert.equal(await wanted({ required_acr: 'aal1' }), 'insufficient_authentication');
      const forged = `${key.secret.slice(0, -1)}${key.secret.endsWith('A') ? 'B' : 'A'}`;
      assert.equal(await worth(service(), forged), 'invalid');
      assert.equal(await worth(service(), key.secret.slice(0, 20)), 'invalid');
    });

    test('AZ-05 a delegated administrator makes keys of their own rights alone', async () => {
      const account = await register(service());
      const id = account.tokens.user.id;
      const create = await service().cli([
        'roles',
        'create',
        'keymaker',
        '--permission',
        'api-keys:write',
        '--permission',
        'a:read',
      ]);
      assert.equal(create.code, 0, create.stderr);
      const grant = await service().cli(['users', 'grant', id, 'keymaker']);
      assert.equal(grant.code, 0, grant.stderr);
      const token = tokensOf(await login(service(), account)).access_token;
      for (const permissions of [['a:write'], ['*:*'], ['a:read', 'api-keys:read']]) {
        const answer = await service().api.post('/api/admin/api-keys', { name: 'k', permissions }, { token });
        assertProblem(answer, 403, 'insufficient_permissions');
      }
      const key = await makeKey(service(), token, { permissions: ['a:read'] });
      assert.equal(await worth(service(), key.secret), 'valid');
      assertProblem(await service().api.get('/api/admin/api-keys', { token }), 403, 'insufficient_permissions');
    });

    test('REV-02, AZ-04 an owner who logs out everywhere keeps their keys, and a right that they lose is gone with the answer', async () => {
      const account = await register(service());
      const id = account.tokens.user.id;
      const role = `r${newEmail().slice(5, 17)}`;
      for (const words of [
        ['roles', 'create', role, '--permission', 'api-keys:*', '--permission', 'a:read'],
        ['users', 'grant', id, role],
      ]) {
        const done = await service().cli(words);
        assert.equal(done.code, 0, done.stderr);
      }
      const token = tokensOf(await login(service(), account)).access_token;
      const key = await makeKey(service(), token, { permissions: ['api-keys:read', 'a:read'] });
      receiptOf(await service().api.post('/api/auth/revoke-all-tokens', undefined, { token }));
      assert.ok((await listed(service(), key.secret)).length > 0, 'without a refusal in between');
      const admins = await asAdmin(service());
      const change = { permissions: ['a:read'] };
      const changed = await service().api.send('PATCH', `/api/admin/roles/${role}`, change, { token: admins });
      assert.equal(changed.status, 200, changed.text);
      const refused = await service().api.get('/api/admin/api-keys', { token: key.secret });
      assertProblem(refused, 403, 'insufficient_permissions');
      assert.equal(await worth(service(), key.secret), 'valid');
      const off = await service().api.post(`/api/admin/users/${id}/disable`, undefined, { token: admins });
      assert.equal(off.status, 200, off.text);
      assert.equal(await worth(service(), key.secret), 'revoked');
      assertProblem(await service().api.get('/api/admin/api-keys', { token: key.secret }), 401, 'token_revoked');
    });

    test('REV-02 keys outlive what ends sessions: logout, a change of password, reuse of a refresh token, a signing key that is revoked', async () => {
      const account = await register(service());
      const id = account.tokens.user.id;
      const role = `r${newEmail().slice(5, 17)}`;
      for (const words of [
        ['roles', 'create', role, '--permission', 'api-keys:*'],
        ['users', 'grant', id, role],
      ]) {
        const done = await service().cli(words);
        assert.equal(done.code, 0, done.stderr);
      }
      const token = tokensOf(await login(service(), account)).access_token;
      const key = await makeKey(service(), token, { permissions: ['api-keys:read'] });
      const lives = async (after: string): Promise<void> => {
        const answer = await service().api.get('/api/admin/api-keys', { token: key.secret });
        assert.equal(answer.status, 200, `${after}: ${answer.text}`);
        assert.equal(await worth(service(), key.secret), 'valid', after);
      };
      receiptOf(await logout(service(), token));
      await lives('logout');
      const again = tokensOf(await login(service(), account));
      const next = newPassword();
      const passwords = { current_password: account.password, new_password: next };
      const changed = await service().api.post('/api/auth/change-password', passwords, { token: again.access_token });
      assert.equal(changed.status, 200, changed.text);
      await lives('a change of password');
      const second = tokensOf(await refresh(service(), again.refresh_token));
      tokensOf(await refresh(service(), second.refresh_token));
      assertProblem(await refresh(service(), again.refresh_token), 401, 'refresh_token_reused');
      await lives('reuse of a refresh token');
      const last = tokensOf(await login(service(), { ...account, password: next }));
      await revokeKey(service(), String(headerOf(last.access_token)['kid']));
      assert.notEqual(await worth(service(), last.access_token), 'valid');
      await lives('a signing key that is revoked');
    });

    test('a key that is revoked from all sides at once is revoked once', async () => {
      const token = await asAdmin(service());
      const key = await makeKey(service(), token, { permissions: ['a:read'] });
      const ends = Array.from({ length: 16 }, () => service().api.delete(`/api/admin/api-keys/${key.id}`, { token }));
      const statuses = (await Promise.all(ends)).map(({ status }) => status);
      assert.deepEqual(
        [statuses.filter((one) => one === 200).length, statuses.filter((one) => one === 404).length],
        [1, 15],
      );
      assert.equal(await worth(service(), key.secret), 'revoked');
    });

    test('a service account owns keys and is nobody who could log in', async () => {
      const token = await asAdmin(service());
      const body = { name: 'billing', permissions: ['users:read', 'a:*'] };
      const made = await service().api.post('/api/admin/service-accounts', body, { token });
      assert.equal(made.status, 201, made.text);
      const account = bodyOf(made)['service_account'] as Body;
      assertProblem(await service().api.post('/api/admin/service-accounts', body, { token }), 409, 'conflict');
      const key = await makeKey(service(), token, { permissions: ['a:read'], service_account_id: account['id'] });
      const answer = bodyOf(await service().api.post('/api/auth/validate-token', { token: key.secret }));
      assert.deepEqual([answer['valid'], answer['user_id']], [true, null]);
      assert.equal((answer['claims'] as Body)['sub'], account['id']);
      const more = { name: 'k', permissions: ['b:read'], service_account_id: account['id'] };
      assertProblem(await service().api.post('/api/admin/api-keys', more, { token }), 422, 'validation_failed');
      const path = `/api/admin/service-accounts/${String(account['id'])}`;
      const off = await service().api.send('PATCH', path, { status: 'disabled' }, { token });
      assert.equal(off.status, 200, off.text);
      await untilWorth(service(), key.secret, 'revoked');
      receiptOf(await service().api.delete(path, { token }));
      assertProblem(await service().api.delete(path, { token }), 404, 'not_found');
    });

    test('DOS-06 lists come in pages, and a cursor of another list is none of this one', async () => {
      const token = await asAdmin(service());
      for (let at = 0; at < 5; at += 1) await makeKey(service(), token, { permissions: ['a:read'] });
      const ids: string[] = [];
      let cursor = '';
      for (;;) {
        const answer = await service().api.get(`/api/admin/api-keys?limit=2${cursor}`, { token });
        assert.equal(answer.status, 200, answer.text);
        ids.push(...(bodyOf(answer)['items'] as readonly Body[]).map((item) => String(item['id'])));
        const next = bodyOf(answer)['next_cursor'];
        if (next === null) break;
        cursor = `&cursor=${String(next)}`;
      }
      assert.equal(new Set(ids).size, ids.length);
      assert.deepEqual(ids, ids.toSorted((one, other) => (one < other ? -1 : 1)).toReversed());
      assert.deepEqual(
        ids,
        (await listed(service(), token, '?limit=200')).map((item) => item['id']),
      );
      for (const wrong of [`?limit=2${cursor}x`, '?cursor=x', '?limit=0', '?limit=201']) {
        const refused = await service().api.get(`/api/admin/api-keys${wrong}`, { token });
        assertProblem(refused, 422, 'validation_failed');
      }
      const other = await service().api.get(`/api/admin/service-accounts?limit=2${cursor}`, { token });
      assertProblem(other, 422, 'validation_failed');
    });

    test('what is wrong with a new key is told by its place', async () => {
      const token = await asAdmin(service());
      for (const [wrong, pointer] of [
        [{ permissions: ['nonsense'] }, '/permissions/0'],
        [{ permissions: ['a:read'], expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
        [{ permissions: ['a:read'], expires_at: '2999-01-01T00:00:00Z' }, '/expires_at'],
        [{ permissions: [] }, '/permissions'],
        [
          { permissions: ['a:read'], service_account_id: '019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88' },
          '/service_account_id',
        ],
      ] as const) {
        const answer = await service().api.post('/api/admin/api-keys', { name: 'k', ...wrong }, { token });
        const errors = bodyOf(answer)['errors'] as readonly Body[] | undefined;
        assert.deepEqual([answer.status, errors?.map((error) => error['pointer'])], [422, [pointer]], answer.text);
      }
      const unknown = { name: 'k', permissions: ['a:read'], owner: 'me' };
      assertProblem(await service().api.post('/api/admin/api-keys', unknown, { token }), 422, 'unknown_field');
    });

    test('a key expires by itself', async () => {
      const token = await asAdmin(service());
      const expiry = new Date(Date.now() + 2_000).toISOString();
      const key = await makeKey(service(), token, { permissions: ['api-keys:read'], expires_at: expiry });
      assert.equal(await worth(service(), key.secret), 'valid');
      await untilWorth(service(), key.secret, 'expired');
      assertProblem(await service().api.get('/api/admin/api-keys', { token: key.secret }), 401, 'token_expired');
    });

    test('the use of keys is counted, and when a key was used last is shown', async () => {
      const token = await asAdmin(service());
      const before = await metricsOf(service());
      const key = await makeKey(service(), token, { permissions: ['api-keys:read'] });
      await listed(service(), key.secret);
      await worth(service(), 'ask_x');
      const now = await metricsOf(service());
      const grown = (result: string): number =>
        now.sum('auth_api_key_validations_total', { result }) -
        before.sum('auth_api_key_validations_total', { result });
      assert.deepEqual([grown('valid'), grown('malformed')], [1, 1]);
      assert.equal(now.sum('auth_api_keys_held') - before.sum('auth_api_keys_held'), 1);
      for (let round = 0; ; round += 1) {
        const found = (await listed(service(), token)).find((item) => item['id'] === key.id);
        if (found?.['last_used_at'] !== null) break;
        assert.ok(round < 300, 'the use is written');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    });
  },
  { env },
);

async function untilWorth(service: RunningService, secret: string, wanted: string): Promise<void> {
  for (let round = 0; ; round += 1) {
    const answer = await service.api.post('/api/auth/validate-token', { token: secret });
    if (answer.status === 200 && bodyOf(answer)['reason'] === wanted) return;
    assert.ok(round < 300, `${answer.text} and not ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
