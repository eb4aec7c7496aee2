/**
 * LOG-02: each operation that changes something leaves one event, with outcome and the id of its request. The table is compared with
 * the API's own document, so a new operation is walked here or named among those that other suites prove.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { tokensOf } from '../support/http.ts';
import { login, newEmail, newPassword, onEachStore, register } from './support/suite.ts';

/** Changes nothing, or nothing of security; or wants a factor, a passkey or a mail, whose suites look at their events. */
const elsewhere = [
  'POST /api/auth/validate-token',
  'POST /api/auth/refresh-token',
  'POST /api/auth/mfa/verify',
  'POST /api/auth/mfa/webauthn/options',
  'POST /api/auth/mfa/totp',
  'POST /api/auth/mfa/totp/confirm',
  'DELETE /api/auth/mfa/totp',
  'POST /api/auth/mfa/recovery-codes',
  'POST /api/auth/reauthenticate',
  'POST /api/auth/reauthenticate/options',
  'POST /api/auth/webauthn/login/options',
  'POST /api/auth/webauthn/login/verify',
  'POST /api/auth/webauthn/registration/options',
  'POST /api/auth/webauthn/registration/verify',
  'PATCH /api/auth/webauthn/credentials/{id}',
  'DELETE /api/auth/webauthn/credentials/{id}',
  'POST /api/auth/verify-email',
  'POST /api/auth/reset-password',
  'POST /api/auth/change-email',
  'POST /api/auth/resend-verification',
  'POST /api/admin/users/{id}/reset-mfa',
  'POST /api/admin/users/{id}/unlock',
  'POST /api/admin/keys/{kid}/revoke',
  'POST /api/admin/mails/{id}/retry',
  'POST /api/admin/api-keys',
  'DELETE /api/admin/api-keys/{id}',
  'POST /api/admin/service-accounts',
  'PATCH /api/admin/service-accounts/{id}',
  'DELETE /api/admin/service-accounts/{id}',
];

onEachStore('the audit log, operation by operation', (service) => {
  test('LOG-02 each operation leaves exactly one event, of its request, and every operation is accounted for', async () => {
    const made = { email: newEmail('admin'), password: newPassword() };
    service().secrets.add(made.password);
    const command = ['users', 'create', made.email, '--role', 'admin', '--password-file', '-'];
    assert.equal((await service().cli(command, { input: made.password })).code, 0);
    const { access_token: admin } = tokensOf(await login(service(), made));
    const walked: string[] = [];
    const wrong: string[] = [];

    async function walk(
      operation: string,
      path: string,
      wanted: string,
      body?: object,
      token?: string,
    ): Promise<unknown> {
      walked.push(operation);
      const id = `walk-${walked.length}-${randomUUID().slice(0, 8)}`;
      const [method = ''] = operation.split(' ');
      const headers = { 'X-Request-Id': id };
      const options = token === undefined ? { headers } : { headers, token };
      const answer = await service().api.send(method, path, body, options);
      const listed = await service().api.get('/api/admin/audit-events?limit=50', { token: admin });
      const { items } = listed.body as { items: { request_id: string; type: string; outcome: string }[] };
      const found = items.filter((event) => event.request_id === id).map(({ type, outcome }) => `${type}/${outcome}`);
      if (found.join() !== wanted)
        wrong.push(`${operation} (${answer.status}): ${found.join() || 'nothing'}, not ${wanted}`);
      return answer.body;
    }
    const tokenOf = async (account: { email: string; password: string }): Promise<string> =>
      tokensOf(await login(service(), account)).access_token;

    const ada = { email: newEmail('ada'), password: newPassword() };
    service().secrets.add(ada.password);
    await walk('POST /api/auth/register', '/api/auth/register', 'user.registered/success', { user: ada });
    await walk('POST /api/auth/login', '/api/auth/login', 'authn_login/failure', { ...ada, password: 'wrong' });
    await walk('POST /api/auth/login', '/api/auth/login', 'authn_login/success', ada);
    const logout = 'POST /api/auth/logout';
    await walk(logout, '/api/auth/logout', 'session.logout/success', undefined, await tokenOf(ada));
    const { session_id: session } = tokensOf(await login(service(), ada));
    const own = 'DELETE /api/auth/sessions/{session_id}';
    await walk(own, `/api/auth/sessions/${session}`, 'session.revoked/success', undefined, await tokenOf(ada));
    const all = 'POST /api/auth/revoke-all-tokens';
    await walk(all, '/api/auth/revoke-all-tokens', 'session.revoked_all/success', {}, await tokenOf(ada));
    const token = await tokenOf(ada);
    await walk('PATCH /api/auth/me', '/api/auth/me', 'user.profile_changed/success', { first_name: 'Ada' }, token);
    const next = newPassword();
    const change = { current_password: ada.password, new_password: next };
    await walk(
      'POST /api/auth/change-password',
      '/api/auth/change-password',
      'user.password_changed/success',
      change,
      token,
    );
    const forgot = 'POST /api/auth/forgot-password';
    await walk(forgot, '/api/auth/forgot-password', 'user.password_reset_requested/success', { email: ada.email });
    const last = await tokenOf({ ...ada, password: next });
    await walk('DELETE /api/auth/me', '/api/auth/me', 'user.deleted/success', { password: next }, last);

    const office = (operation: string, path: string, wanted: string, body?: object): Promise<unknown> =>
      walk(operation.replace(' ', ' /api/admin'), `/api/admin${path}`, wanted, body, admin);
    const role = `r-${randomUUID()}`;
    await office('POST /roles', '/roles', 'role.created/success', { name: role, permissions: ['a:b'] });
    await office('PATCH /roles/{name}', `/roles/${role}`, 'role.changed/success', { permissions: ['a:c'] });
    const grace = await register(service());
    const user = `/users/${grace.tokens.user.id}`;
    await office('PUT /users/{id}/roles', `${user}/roles`, 'user.roles_changed/success', { roles: ['user', role] });
    await office('DELETE /roles/{name}', `/roles/${role}`, 'role.deleted/success');
    await office('POST /users', '/users', 'user.created/success', { email: newEmail() });
    await office('PATCH /users/{id}', user, 'user.updated/success', { first_name: 'Grace' });
    await office('POST /users/{id}/revoke-sessions', `${user}/revoke-sessions`, 'session.revoked_all/success');
    const { session_id: theirs } = tokensOf(await login(service(), grace));
    await office('DELETE /sessions/{id}', `/sessions/${theirs}`, 'session.revoked/success');
    await office('POST /users/{id}/disable', `${user}/disable`, 'user.disabled/success');
    await walk('POST /api/auth/login', '/api/auth/login', 'authn_login/denied', {
      email: grace.email,
      password: grace.password,
    });
    await office('POST /users/{id}/enable', `${user}/enable`, 'user.enabled/success');
    await office('DELETE /users/{id}', user, 'user.deleted/success');
    await office('POST /keys/rotate', '/keys/rotate', 'key.rotated/success', {});
    assert.deepEqual(wrong, []);

    const { paths } = await service().api.document();
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const changing = operations.filter((operation) => !operation.startsWith('GET '));
    assert.deepEqual(changing.toSorted(), [...new Set([...walked, ...elsewhere])].toSorted());
  });
});
