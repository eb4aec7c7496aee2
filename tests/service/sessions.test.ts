/** Sessions and their end: the list, deletion, logout, revoke-all, receipts, the limit, and changes of roles. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, meOf, receiptOf, sessionsOf, tokensOf } from '../support/http.ts';
import { type RunningService, sessionStoreKinds, until } from '../support/service.ts';
import { claimsOf, login, logout, me, onEachStore, refresh, register, validate, worth } from './support/suite.ts';

const list = async (service: RunningService, token: string) =>
  sessionsOf(await service.api.get('/api/auth/sessions', { token }));
const end = (service: RunningService, token: string, id: string) =>
  service.api.delete(`/api/auth/sessions/${id}`, { token });
const revokeAll = (service: RunningService, token: string, body?: unknown) =>
  service.api.post('/api/auth/revoke-all-tokens', body, { token });
const standing = (service: RunningService, token: string, position: string) =>
  service.api.get(`/api/auth/revocations/${encodeURIComponent(position)}`, { token });

onEachStore(
  'sessions',
  (service) => {
    test('SES-02 the list shows the own live sessions, newest first, with the current one marked', async () => {
      const account = await register(service());
      await register(service());
      const agent =
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';
      const body = { email: account.email, password: account.password };
      const second = tokensOf(await service().api.post('/api/auth/login', body, { headers: { 'User-Agent': agent } }));
      const third = tokensOf(await login(service(), account));
      const sessions = await list(service(), second.access_token);
      assert.deepEqual(
        sessions.map(({ id, current }) => [id, current]),
        [
          [third.session_id, false],
          [second.session_id, true],
          [account.tokens.session_id, false],
        ],
      );
      const { device, ip, user_agent: shown, amr } = sessions[1] ?? assert.fail();
      assert.deepEqual(
        [device.browser, device.os, device.type, ip, shown, amr],
        ['Chrome', 'macOS', 'desktop', '127.0.0.1', agent, ['pwd']],
      );
      for (const { id } of sessions) {
        assert.equal(await worth(service(), id), 'invalid');
        assertProblem(await refresh(service(), id), 401, 'invalid_refresh_token');
        assertProblem(await me(service(), id), 401, 'invalid_token');
      }
    });

    test('SES-03 deleting an unknown, a foreign, an ended or a malformed session is answered alike, and touches nobody', async () => {
      const mine = await register(service());
      const theirs = await register(service());
      const token = mine.tokens.access_token;
      const ended = tokensOf(await login(service(), mine));
      receiptOf(await logout(service(), ended.access_token));
      const headers = { 'X-Request-Id': 'one-for-all' };
      const ids = [
        theirs.tokens.session_id,
        ended.session_id,
        '019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88',
        '../me',
        '..%2Fme',
        '%00',
        '%ff',
        'x',
        `${mine.tokens.session_id}%20`,
        `${mine.tokens.session_id}'--`,
        'a'.repeat(7_000),
      ];
      const bodies = new Set<string>();
      for (const id of ids) {
        const answer = await service().api.delete(`/api/auth/sessions/${id}`, { token, headers });
        assert.equal(answer.status, id === '../me' ? answer.status : 404, id.slice(0, 50));
        if (id !== '../me') bodies.add(answer.text);
      }
      assert.equal(bodies.size, 1, [...bodies].join('\n'));
      assert.equal(await worth(service(), theirs.tokens.access_token), 'valid');
      tokensOf(await refresh(service(), theirs.tokens.refresh_token));
      assert.equal(await worth(service(), token), 'valid');
    });

    test('REV-01 a deleted session is dead with the answer, the others live', async () => {
      const account = await register(service());
      const other = tokensOf(await login(service(), account));
      const receipt = receiptOf(await end(service(), account.tokens.access_token, other.session_id.toUpperCase()));
      assert.equal(receipt.effective_everywhere, true);
      assert.equal(await worth(service(), other.access_token), 'revoked');
      assertProblem(await refresh(service(), other.refresh_token), 401, 'invalid_refresh_token');
      assertProblem(await end(service(), account.tokens.access_token, other.session_id), 404, 'not_found');
      assert.equal(await worth(service(), account.tokens.access_token), 'valid');
      assert.equal((await list(service(), account.tokens.access_token)).length, 1);
    });

    test('REV-01 logout ends this session and no other, and its answer is a receipt', async () => {
      const account = await register(service());
      const other = tokensOf(await login(service(), account));
      const refreshed = tokensOf(await refresh(service(), account.tokens.refresh_token));
      const receipt = receiptOf(await logout(service(), account.tokens.access_token));
      assert.deepEqual(
        [receipt.revoked, receipt.effective_everywhere, receipt.acknowledged_nodes, receipt.pending_nodes],
        [true, true, 1, []],
      );
      assert.ok(Math.abs(Date.parse(receipt.effective_by) - Date.now()) < 5_000);
      for (const { access_token: token } of [account.tokens, refreshed]) {
        assert.equal(await worth(service(), token), 'revoked');
        assertProblem(await me(service(), token), 401, 'token_revoked');
        assertProblem(await logout(service(), token), 401, 'token_revoked');
      }
      meOf(await me(service(), other.access_token));
      assert.equal((await list(service(), other.access_token)).length, 1);
    });

    test('logout takes no body, an empty one or {}, and nothing else', async () => {
      const { api } = service();
      for (const options of [{}, { raw: '' }, { raw: '{}' }, { raw: ' { } ' }]) {
        const { tokens } = await register(service());
        receiptOf(await api.post('/api/auth/logout', undefined, { ...options, token: tokens.access_token }));
      }
      const { tokens } = await register(service());
      for (const raw of ['[]', '"all"', '7', 'null']) {
        const answer = await api.post('/api/auth/logout', undefined, { raw, token: tokens.access_token });
        assertProblem(answer, 422, 'validation_failed');
      }
      assert.equal(await worth(service(), tokens.access_token), 'valid');
    });

    test('32 logouts of one session at once: one receipt for each that came in time, refusals after, no failure', async () => {
      const { tokens } = await register(service());
      const answers = await Promise.all(Array.from({ length: 32 }, () => logout(service(), tokens.access_token)));
      assert.ok(answers.some((answer) => answer.status === 200));
      for (const answer of answers) if (answer.status !== 200) assertProblem(answer, 401, 'token_revoked');
    });

    test('GET /revocations/:position tells the own receipt as it stands, and nothing of others', async () => {
      const account = await register(service());
      const stranger = await register(service());
      const gone = tokensOf(await login(service(), account));
      const receipt = receiptOf(await logout(service(), gone.access_token));
      const now = receiptOf(await standing(service(), account.tokens.access_token, receipt.position));
      assert.deepEqual([now.position, now.effective_everywhere, now.revoked], [receipt.position, true, true]);
      const headers = { 'X-Request-Id': 'one-for-all' };
      const bodies = new Set<string>();
      const ask = (token: string, position: string) =>
        service().api.get(`/api/auth/revocations/${encodeURIComponent(position)}`, { token, headers });
      const foreign = await ask(stranger.tokens.access_token, receipt.position);
      bodies.add(foreign.text);
      assert.equal(foreign.status, 404);
      const garbage = [
        'x',
        '0',
        '-1',
        receipt.position.slice(0, -1),
        `${receipt.position}A`,
        '\u0000',
        'é',
        '..',
        'a'.repeat(2_000),
      ];
      for (const position of garbage) {
        const answer = await ask(account.tokens.access_token, position);
        assert.equal(answer.status, 404, position);
        bodies.add(answer.text);
      }
      assert.equal(bodies.size, 1, [...bodies].join('\n'));
      assertProblem(await service().api.get(`/api/auth/revocations/${receipt.position}`), 401, 'missing_token');
    });

    test('REV-02 revoke-all ends every session of the user, and nobody else', async () => {
      const account = await register(service());
      const others = [tokensOf(await login(service(), account)), tokensOf(await login(service(), account))];
      const stranger = await register(service());
      const receipt = receiptOf(await revokeAll(service(), account.tokens.access_token));
      assert.deepEqual([receipt.revoked_sessions, receipt.effective_everywhere], [3, true]);
      for (const tokens of [account.tokens, ...others]) {
        assert.equal(await worth(service(), tokens.access_token), 'revoked');
        assertProblem(await refresh(service(), tokens.refresh_token), 401, 'invalid_refresh_token');
      }
      assert.equal(await worth(service(), stranger.tokens.access_token), 'valid');
      const fresh = tokensOf(await login(service(), account));
      assert.equal(
        await worth(service(), fresh.access_token),
        'valid',
        'CLM-06: a login right after is not swept away',
      );
    });

    test('REV-02 revoke-all with except_current keeps the caller, its access and its refresh token', async () => {
      const account = await register(service());
      const other = tokensOf(await login(service(), account));
      const token = account.tokens.access_token;
      assert.equal(receiptOf(await revokeAll(service(), token, { except_current: true })).revoked_sessions, 1);
      assert.equal(await worth(service(), token), 'valid');
      assert.equal(await worth(service(), other.access_token), 'revoked');
      assert.deepEqual(
        (await list(service(), token)).map(({ id }) => id),
        [account.tokens.session_id],
      );
      const next = tokensOf(await refresh(service(), account.tokens.refresh_token));
      assert.equal(
        receiptOf(await revokeAll(service(), next.access_token, { except_current: true })).revoked_sessions,
        0,
      );
      for (const body of [{ except_current: 'yes' }, { except_current: 1 }, { except_current: null }, [], 'x']) {
        assertProblem(await revokeAll(service(), next.access_token, body), 422, 'validation_failed');
      }
      assert.equal(
        receiptOf(await revokeAll(service(), next.access_token, { except_current: false })).revoked_sessions,
        1,
      );
      assert.equal(await worth(service(), next.access_token), 'revoked');
    });

    test('AZ-04 a role that is granted or taken acts at once; the refresh token goes on and brings the new set', async () => {
      const account = await register(service());
      const created = await service().cli(['roles', 'create', 'editor', '--permission', 'articles:write', '--json']);
      assert.equal(created.code, 0, created.stderr);
      const grant = await service().cli(['users', 'grant', account.email, 'editor', '--json']);
      assert.equal(grant.code, 0, grant.stderr);
      await until(
        'the grant to be in force',
        async () => (await worth(service(), account.tokens.access_token)) === 'revoked',
      );
      const granted = tokensOf(await refresh(service(), account.tokens.refresh_token));
      assert.deepEqual([granted.user.roles, granted.user.permissions], [['editor', 'user'], ['articles:write']]);
      const wanted = { required_permissions: ['articles:write'] };
      assert.equal((await validate(service(), granted.access_token, wanted)).valid, true);

      const taken = await service().cli(['users', 'ungrant', account.email, 'editor']);
      assert.equal(taken.code, 0, taken.stderr);
      await until('the loss to be in force', async () => (await worth(service(), granted.access_token)) === 'revoked');
      const reduced = tokensOf(await refresh(service(), granted.refresh_token));
      assert.deepEqual([reduced.user.roles, reduced.user.permissions], [['user'], []]);
      assert.equal((await validate(service(), reduced.access_token, wanted)).reason, 'insufficient_permissions');
      assert.ok(
        Number(claimsOf(reduced.access_token)['epoch']) > Number(claimsOf(account.tokens.access_token)['epoch']),
      );
    });

    test('AZ-09 REF-09 a disabled account is dead everywhere; enabled again, what had ended stays ended', async () => {
      const account = await register(service());
      const disabled = await service().cli(['users', 'disable', account.email]);
      assert.equal(disabled.code, 0, disabled.stderr);
      await until(
        'the end to be in force',
        async () => (await worth(service(), account.tokens.access_token)) === 'revoked',
      );
      assertProblem(await refresh(service(), account.tokens.refresh_token), 401, 'invalid_refresh_token');
      assertProblem(await login(service(), account), 403, 'account_disabled');
      assertProblem(await login(service(), { ...account, password: 'not the password' }), 401, 'invalid_credentials');
      assert.equal((await service().cli(['users', 'enable', account.email])).code, 0);
      assertProblem(await refresh(service(), account.tokens.refresh_token), 401, 'invalid_refresh_token');
      assert.equal(await worth(service(), account.tokens.access_token), 'revoked');
      const fresh = tokensOf(await login(service(), account));
      assert.equal(await worth(service(), fresh.access_token), 'valid');
    });
  },
  { stores: sessionStoreKinds },
);

onEachStore(
  'session limit',
  (service) => {
    test('SES-05 one session too many ends the one that was used least recently', async () => {
      const account = await register(service());
      const second = tokensOf(await login(service(), account));
      const third = tokensOf(await login(service(), account));
      const refreshed = tokensOf(await refresh(service(), account.tokens.refresh_token));
      const fourth = tokensOf(await login(service(), account));
      assert.equal(await worth(service(), second.access_token), 'revoked');
      assertProblem(await refresh(service(), second.refresh_token), 401, 'invalid_refresh_token');
      for (const tokens of [refreshed, third, fourth])
        assert.equal(await worth(service(), tokens.access_token), 'valid');
      assert.equal((await list(service(), fourth.access_token)).length, 3);
    });

    test('SES-05 the limit holds for logins at the same time', async () => {
      const account = await register(service());
      const logins = await Promise.all(Array.from({ length: 10 }, () => login(service(), account)));
      const tokens = logins.map((answer) => tokensOf(answer));
      const worths = await Promise.all(tokens.map(({ access_token: token }) => worth(service(), token)));
      assert.equal(worths.filter((one) => one === 'valid').length, 3, worths.join(' '));
      const alive = tokens[worths.indexOf('valid')] ?? assert.fail();
      assert.equal((await list(service(), alive.access_token)).length, 3);
    });
  },
  { env: { MAX_SESSIONS_PER_USER: '3', MAX_LOGIN_ATTEMPTS: '20' }, stores: sessionStoreKinds },
);
