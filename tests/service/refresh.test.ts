/** Refresh tokens: rotation, the retry window, parallel use, reuse, and what ends them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertProblem, receiptOf, sessionsOf, tokensOf } from '../support/http.ts';
import { type RunningService, sessionStoreKinds, until } from '../support/service.ts';
import { claimsOf, login, logout, me, metricsOf, onEachStore, refresh, register, worth } from './support/suite.ts';

const parallel = (service: RunningService, token: string, times: number) =>
  Promise.all(Array.from({ length: times }, () => refresh(service, token)));

async function reuseOf(service: RunningService, token: string): Promise<void> {
  assertProblem(await refresh(service, token), 401, 'refresh_token_reused');
}

onEachStore(
  'refresh',
  (service) => {
    test('REF-03 each refresh gives a new token, and the session goes on as the same one', async () => {
      const { tokens } = await register(service());
      const next = tokensOf(await refresh(service(), tokens.refresh_token));
      assert.notEqual(next.refresh_token, tokens.refresh_token);
      assert.notEqual(next.access_token, tokens.access_token);
      assert.equal(next.session_id, tokens.session_id);
      assert.equal(await worth(service(), next.access_token), 'valid');
      assert.equal(await worth(service(), tokens.access_token), 'valid');
      for (const name of ['sub', 'sid', 'auth_time', 'amr', 'acr', 'epoch']) {
        assert.deepEqual(claimsOf(next.access_token)[name], claimsOf(tokens.access_token)[name], name);
      }
    });

    test('REF-03 a retry gets the same successor, until that was used itself', async () => {
      const { tokens } = await register(service());
      const first = tokensOf(await refresh(service(), tokens.refresh_token));
      const again = tokensOf(await refresh(service(), tokens.refresh_token));
      assert.equal(again.refresh_token, first.refresh_token);
      const second = tokensOf(await refresh(service(), first.refresh_token));
      await reuseOf(service(), tokens.refresh_token);
      assertProblem(await refresh(service(), second.refresh_token), 401, 'invalid_refresh_token');
    });

    test('REF-05 reuse ends the whole session at once, and only that session', async () => {
      const account = await register(service());
      const other = tokensOf(await login(service(), account));
      const before = await metricsOf(service());
      const first = tokensOf(await refresh(service(), account.tokens.refresh_token));
      const second = tokensOf(await refresh(service(), first.refresh_token));
      await reuseOf(service(), account.tokens.refresh_token);
      for (const tokens of [account.tokens, first, second]) {
        assert.equal(await worth(service(), tokens.access_token), 'revoked');
        assertProblem(await me(service(), tokens.access_token), 401, 'token_revoked');
        assertProblem(await refresh(service(), tokens.refresh_token), 401, 'invalid_refresh_token');
      }
      tokensOf(await refresh(service(), other.refresh_token));
      assert.equal(await worth(service(), other.access_token), 'valid');
      const after = await metricsOf(service());
      const ended = (metrics: typeof after) => metrics.sum('auth_sessions_ended_total', { reason: 'reuse' });
      assert.equal(ended(after) - ended(before), 1);
    });

    for (const times of [2, 16, 64]) {
      test(`REF-04 ${times} refreshes of one token at once have one successor, no fork and no logout`, async () => {
        const { tokens } = await register(service());
        let token = tokens.refresh_token;
        for (let round = 0; round < 3; round += 1) {
          const answers = (await parallel(service(), token, times)).map((answer) => tokensOf(answer));
          const successors = new Set(answers.map((answer) => answer.refresh_token));
          assert.equal(successors.size, 1);
          [token = ''] = successors;
          for (const answer of answers) assert.equal(answer.session_id, tokens.session_id);
        }
        tokensOf(await refresh(service(), token));
      });
    }

    test('REF-02 whatever is not exactly a live refresh token is invalid, and changes nothing', async () => {
      const { tokens } = await register(service());
      const token = tokens.refresh_token;
      const variants = new Set<string>([
        '',
        ' ',
        'rt_',
        'x',
        tokens.access_token,
        `${token}=`,
        ` ${token}`,
        `${token}\n`,
        `${token}${token}`,
      ]);
      for (let at = 1; at < token.length; at += 5) {
        variants.add(token.slice(0, at));
        const letter = token[at] ?? '';
        const swapped = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
        variants.add(token.slice(0, at) + (swapped === letter ? 'A' : swapped) + token.slice(at + 1));
        variants.add(`${token.slice(0, at)}A${token.slice(at)}`);
      }
      variants.add(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`);
      variants.add('rt_'.padEnd(51, 'A'));
      variants.add('a'.repeat(60_000));
      variants.add(`rt_${'\u0000'.repeat(48)}`);
      variants.add(token.replaceAll('_', '/').replaceAll('-', '+'));
      variants.delete(token);
      for (const variant of variants) assertProblem(await refresh(service(), variant), 401, 'invalid_refresh_token');
      tokensOf(await refresh(service(), token));
    });

    test('422 is for a token that is missing or no string; the words beside it are not looked at', async () => {
      const { api } = service();
      for (const body of [
        {},
        { refresh_token: null },
        { refresh_token: 7 },
        { refresh_token: ['a'] },
        [],
        'text',
        null,
      ]) {
        assertProblem(await api.post('/api/auth/refresh-token', body), 422, 'validation_failed');
      }
      const { tokens } = await register(service());
      const body = { refresh_token: tokens.refresh_token, scope: 'admin', roles: ['admin'], acr: 'aal2' };
      const next = tokensOf(await api.post('/api/auth/refresh-token', body));
      assert.deepEqual(next.user.roles, ['user']);
      assert.equal(claimsOf(next.access_token)['acr'], 'aal1');
    });

    test('REF-11 an access token never refreshes, on any method, and no other method answers', async () => {
      const { tokens } = await register(service());
      assertProblem(await refresh(service(), tokens.access_token), 401, 'invalid_refresh_token');
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
        const answer = await service().api.send(method, '/api/auth/refresh-token', undefined, {
          token: tokens.access_token,
        });
        assertProblem(answer, 405, 'method_not_allowed');
      }
    });

    test('REF-09 a session that was ended refreshes no more: logout, revoke-all, deletion', async () => {
      const { api } = service();
      const ends: readonly ((tokens: { access_token: string; session_id: string }) => Promise<unknown>)[] = [
        ({ access_token }) => logout(service(), access_token),
        ({ access_token: token }) => api.post('/api/auth/revoke-all-tokens', {}, { token }),
        ({ access_token: token, session_id: id }) => api.delete(`/api/auth/sessions/${id}`, { token }),
      ];
      for (const end of ends) {
        const { tokens } = await register(service());
        const next = tokensOf(await refresh(service(), tokens.refresh_token));
        await end(next);
        for (const token of [tokens.refresh_token, next.refresh_token]) {
          assertProblem(await refresh(service(), token), 401, 'invalid_refresh_token');
        }
      }
    });

    test('REV-05 no refresh that races a logout brings the session back', async () => {
      for (let round = 0; round < 10; round += 1) {
        const { tokens } = await register(service());
        const racing = Array.from({ length: 4 }, () => refresh(service(), tokens.refresh_token));
        const ended = logout(service(), tokens.access_token);
        const answers = await Promise.all(racing);
        receiptOf(await ended);
        for (const answer of answers) {
          if (answer.status !== 200) {
            assertProblem(answer, 401, 'invalid_refresh_token');
            continue;
          }
          const late = tokensOf(answer);
          assert.equal(await worth(service(), late.access_token), 'revoked');
          assertProblem(await refresh(service(), late.refresh_token), 401, 'invalid_refresh_token');
        }
      }
    });

    test('REF-04 random histories of use, retry and reuse end as the model says', async () => {
      const step = fc.constantFrom('use', 'retry', 'parallel', 'old');
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
          const { tokens } = await register(service());
          /** All tokens of the session in their order; the last is unused. */
          const issued = [tokens.refresh_token];
          for (const what of steps) {
            const current = issued.at(-1) ?? '';
            const previous = issued.at(-2);
            if (what === 'use' || (what !== 'parallel' && previous === undefined)) {
              issued.push(tokensOf(await refresh(service(), current)).refresh_token);
            } else if (what === 'parallel') {
              const answers = await parallel(service(), current, 4);
              const successors = new Set(answers.map((answer) => tokensOf(answer).refresh_token));
              assert.equal(successors.size, 1);
              issued.push(...successors);
            } else if (what === 'retry') {
              assert.equal(tokensOf(await refresh(service(), previous)).refresh_token, current);
            } else if (issued.length >= 3) {
              await reuseOf(service(), issued[0] ?? '');
              for (const token of issued) assertProblem(await refresh(service(), token), 401, 'invalid_refresh_token');
              return;
            }
          }
          assert.equal(new Set(issued).size, issued.length);
          tokensOf(await refresh(service(), issued.at(-1)));
        }),
        { numRuns: service().store === 'postgres' ? 100 : 30 },
      );
    });
  },
  { stores: sessionStoreKinds },
);

onEachStore(
  'refresh without a retry window',
  (service) => {
    test('REFRESH_REUSE_GRACE=0: of parallel refreshes one wins, and the session ends as reused', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { tokens } = await register(service());
        const answers = await parallel(service(), tokens.refresh_token, 8);
        const won = answers.filter((answer) => answer.status === 200);
        assert.equal(won.length, 1);
        const codes = answers
          .filter((answer) => answer.status !== 200)
          .map((answer) => (answer.body as { code: string }).code);
        assert.ok(codes.includes('refresh_token_reused'), codes.join(' '));
        assert.ok(
          codes.every((code) => ['refresh_token_reused', 'invalid_refresh_token'].includes(code)),
          codes.join(' '),
        );
        const [winner] = won;
        assert.ok(winner !== undefined);
        const late = tokensOf(winner);
        assert.equal(await worth(service(), late.access_token), 'revoked');
        assertProblem(await refresh(service(), late.refresh_token), 401, 'invalid_refresh_token');
      }
    });
  },
  { env: { REFRESH_REUSE_GRACE: '0' }, stores: sessionStoreKinds },
);

onEachStore(
  'refresh with short lives',
  (service) => {
    test('REF-06 the retry window ends by itself, does not slide, and what comes after is reuse', async () => {
      const { tokens } = await register(service());
      const first = tokensOf(await refresh(service(), tokens.refresh_token));
      const started = performance.now();
      const seen: number[] = [];
      const code = await until('the end of the retry window', async () => {
        const answer = await refresh(service(), tokens.refresh_token);
        if (answer.status === 200) {
          assert.equal(tokensOf(answer).refresh_token, first.refresh_token);
          seen.push(performance.now() - started);
          return false;
        }
        return (answer.body as { code: string }).code;
      });
      assert.equal(code, 'refresh_token_reused');
      assert.ok(seen.length > 1, 'the window was open for more than one retry');
      assert.ok((seen.at(-1) ?? 0) <= 2_100, `the last retry was answered after ${seen.at(-1)} ms`);
      assertProblem(await refresh(service(), first.refresh_token), 401, 'invalid_refresh_token');
    });

    test('REF-08 SES-04 a session ends at its absolute age, however busy it is', async () => {
      const account = await register(service());
      let { refresh_token: token } = account.tokens;
      const started = performance.now();
      const end = await until('the end of the session', async () => {
        const answer = await refresh(service(), token);
        if (answer.status === 401) return performance.now() - started;
        const next = tokensOf(answer);
        // No token outlives the session.
        const left = 6_000 - (performance.now() - started);
        assert.ok(next.expires_in * 1_000 <= left + 1_500, `${next.expires_in} s with ${left} ms left`);
        token = next.refresh_token;
        return false;
      });
      assert.ok(end > 5_000, `it ended after ${end} ms`);
      assert.equal(
        sessionsOf(
          await service().api.get('/api/auth/sessions', {
            token: tokensOf(await login(service(), account)).access_token,
          }),
        ).length,
        1,
      );
    });
  },
  { stores: ['postgres'], env: { REFRESH_REUSE_GRACE: '2', SESSION_MAX_AGE: '6' } },
);
