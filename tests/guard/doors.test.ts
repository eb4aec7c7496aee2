/** One suite of behaviours over every door: what is let through, and every way in which it is not. */
import assert from 'node:assert/strict';
import { request as send } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { createDecide, createLocalJudge, type Decider } from '@auth-service/guard';
import { createForge } from '../support/forge.ts';
import { createTestGuard, type TestGuard } from '../support/guard.ts';
import { forgeHostileTokens } from '../support/hostile-tokens.ts';
import { doors, type GuardedService } from './doors.ts';

const forge = createForge({ issuer: 'https://auth.example.org', audience: 'orders' });

/** Fresh, at the forge's time, which tests move by hand. */
function makeGuard(): TestGuard & Decider {
  const guard = createTestGuard(forge, { whenStale: 'serve' });
  const decide = createDecide({
    judge: createLocalJudge(guard),
    now: () => guard.time.wallMs / 1_000,
    newRequestId: () => 'made-here',
    realm: 'orders',
  });
  return { ...guard, decide };
}

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** `headers`: names and values in turn, sent as they are, doubled names too. */
function get(url: string, headers: readonly string[]): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = send(url, { agent: false, headers: ['Host', 'localhost', ...headers] }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        try {
          const body = JSON.parse(text) as Record<string, unknown>;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        } catch (error) {
          reject(new Error(`no JSON: ${text}`, { cause: error }));
        }
      });
    });
    sent.on('error', reject).end();
  });
}

const bearer = (token: string): readonly string[] => ['Authorization', `Bearer ${token}`];

function assertRefused(answer: Answered, status: number, code: string, challenge?: string): void {
  assert.deepEqual([answer.status, answer.body['code'], answer.body['status']], [status, code, status]);
  assert.equal(answer.body['type'], `urn:auth-service:problem:${code}`);
  assert.match(String(answer.headers['content-type']), /^application\/problem\+json; charset=utf-8$/i);
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.equal(answer.headers['x-request-id'], answer.body['request_id']);
  assert.equal(answer.headers['www-authenticate'], challenge);
  const members = ['code', 'detail', 'request_id', 'status', 'title', 'type'];
  assert.deepEqual(Object.keys(answer.body).toSorted(), members);
}

const invalid = 'Bearer realm="orders", error="invalid_token"';
const insufficient = 'Bearer realm="orders", error="insufficient_scope"';

for (const [name, start] of Object.entries(doors)) {
  describe(`the door of ${name}`, () => {
    const guard = makeGuard();
    let service: GuardedService | undefined;
    const ask = (path: string, headers: readonly string[] = []) => get(`${service?.url}${path}`, headers);
    const askAs = (path: string, claims: Readonly<Record<string, unknown>> = {}) =>
      ask(path, bearer(forge.token({ claims })));
    before(async () => {
      service = await start(guard);
    });
    after(() => service?.close());

    test('who calls is on the request: account, session and permissions', async () => {
      const claims = { sub: 'somebody', sid: 'a-session', permissions: ['orders:read'] };
      const { status, body } = await askAs('/private', claims);
      assert.equal(status, 200);
      assert.deepEqual(body, { user: 'somebody', session: 'a-session', permissions: ['orders:read'], stale: false });
    });

    test('without credentials the answer is a challenge without an error', async () => {
      for (const headers of [[], ['Authorization', '']]) {
        assertRefused(await ask('/private', headers), 401, 'missing_token', 'Bearer realm="orders"');
      }
    });

    test('TOK-14 credentials are taken from the one header, in the one form', async () => {
      const token = forge.token();
      for (const malformed of [
        'Bearer',
        `Basic ${token}`,
        `Bearer ${token} b`,
        `bearer\t${token}`,
        token,
        'Bearer é',
      ]) {
        assertRefused(await ask('/private', ['Authorization', malformed]), 401, 'invalid_token', invalid);
        assertRefused(await ask('/open', ['Authorization', malformed]), 401, 'invalid_token', invalid);
      }
      for (const right of [`bearer ${token}`, `BEARER   ${token}`]) {
        assert.equal((await ask('/private', ['Authorization', right])).status, 200);
      }
      assertRefused(await ask(`/private?access_token=${token}`), 401, 'missing_token', 'Bearer realm="orders"');
      assertRefused(
        await ask('/private', ['Cookie', `access_token=${token}`]),
        401,
        'missing_token',
        'Bearer realm="orders"',
      );
    });

    test('TOK-14 two credentials are ambiguous, whichever of them is right', async () => {
      const [one, other] = [bearer(forge.token()), bearer(forge.token())];
      for (const path of ['/private', '/open']) {
        assertRefused(await ask(path, [...one, ...other]), 400, 'ambiguous_credentials');
        assertRefused(await ask(path, [...one, 'authorization', 'Basic eDp5']), 400, 'ambiguous_credentials');
      }
    });

    test('TOK-15 a stranger is nobody where that is allowed, and bad credentials are refused there all the same', async () => {
      const stranger = await ask('/open');
      assert.deepEqual([stranger.status, stranger.body['user']], [200, null]);
      assert.equal((await askAs('/open', { sub: 'somebody' })).body['user'], 'somebody');
      const expired = forge.token({ claims: { iat: forge.nowSeconds() - 200, exp: forge.nowSeconds() - 100 } });
      assertRefused(await ask('/open', bearer(expired)), 401, 'token_expired', invalid);
      assertRefused(await ask('/open', bearer('nonsense')), 401, 'invalid_token', invalid);
    });

    test('TOK-01, TOK-02, TOK-03, TOK-04, TOK-06, TOK-08, TOK-11, TOK-12 no forged token is let through', async () => {
      const fits = (token: string) => /^[\x21-\x7e]+$/.test(token) && token.length < 12_000;
      const hostile = forgeHostileTokens(forge).filter(({ token }) => fits(token));
      assert.ok(hostile.length > 200, `${hostile.length} forged tokens`);
      for (const { row, name: what, token } of hostile) {
        const { status, body } = await ask('/private', bearer(token));
        assert.deepEqual([status, body['code']], [401, 'invalid_token'], `${row} ${what}`);
      }
    });

    test('a revoked token is refused with the next request, everywhere', async () => {
      const token = forge.token({ claims: { sid: 'to-be-ended' } });
      assert.equal((await ask('/private', bearer(token))).status, 200);
      const expiresAt = forge.nowSeconds() + 3_600;
      guard.replica.apply({ kind: 'session', subject: 'to-be-ended', min_epoch: 0, expires_at: expiresAt });
      for (const path of ['/private', '/open', '/best-effort', '/two-seconds']) {
        assertRefused(await ask(path, bearer(token)), 401, 'token_revoked', invalid);
      }
    });

    test('one of the roles suffices, and none does not', async () => {
      for (const roles of [['clerk'], ['user', 'manager']]) assert.equal((await askAs('/role', { roles })).status, 200);
      for (const roles of [[], ['user'], ['Clerk'], ['clerks']]) {
        assertRefused(await askAs('/role', { roles }), 403, 'insufficient_permissions', insufficient);
      }
      assertRefused(await ask('/role'), 401, 'missing_token', 'Bearer realm="orders"');
    });

    test('every permission must be covered; stars cover their part', async () => {
      for (const permissions of [['orders:read', 'orders:write'], ['orders:*'], ['*:*']]) {
        assert.equal((await askAs('/permission', { permissions })).status, 200);
      }
      for (const permissions of [[], ['orders:read'], ['order:*'], ['*:read'], ['orders']]) {
        assertRefused(await askAs('/permission', { permissions }), 403, 'insufficient_permissions', insufficient);
      }
    });

    test('an authentication that is too old or too weak is told what is wanted (RFC 9470)', async () => {
      const now = forge.nowSeconds();
      const stepUp = 'Bearer realm="orders", error="insufficient_user_authentication"';
      assert.equal((await askAs('/recent', { auth_time: now - 590 })).status, 200);
      const old = await askAs('/recent', { auth_time: now - 660 });
      assertRefused(old, 401, 'reauthentication_required', `${stepUp}, max_age=600`);
      assert.equal((await askAs('/strong', { acr: 'aal2' })).status, 200);
      for (const claims of [{ acr: 'aal1' }, { acr: 'aal2', auth_time: now - 660 }]) {
        const answer = await askAs('/strong', claims);
        assertRefused(answer, 401, 'reauthentication_required', `${stepUp}, acr_values="aal2", max_age=600`);
      }
    });

    test('requirements of one route hold together', async () => {
      const right = { roles: ['clerk'], permissions: ['orders:read'], acr: 'aal2' };
      assert.equal((await askAs('/all', right)).status, 200);
      assert.equal((await askAs('/all', { ...right, roles: ['user'] })).status, 403);
      assert.equal((await askAs('/all', { ...right, permissions: [] })).status, 403);
      assert.equal((await askAs('/all', { ...right, acr: 'aal1' })).status, 401);
    });

    test('the id of a request is kept when it is sane', async () => {
      const kept = await ask('/private', ['X-Request-Id', 'from-outside.1']);
      assert.equal(kept.body['request_id'], 'from-outside.1');
      for (const odd of ['a b', '<script>', 'x'.repeat(200)]) {
        const answer = await ask('/private', ['X-Request-Id', odd]);
        assert.equal(answer.body['request_id'], 'made-here');
      }
    });

    test('REV-07 without proof a route answers 503, each by its own bound, and best effort says so', async () => {
      const claims = { permissions: ['orders:read'] };
      guard.confirm();
      guard.advance(3_000);
      assert.equal((await askAs('/private', claims)).status, 200);
      const late = await askAs('/two-seconds', claims);
      assertRefused(late, 503, 'revocation_state_stale');
      assert.ok(Number(late.headers['retry-after']) >= 1);
      guard.advance(20_000);
      for (const path of ['/private', '/open', '/two-seconds', '/strict']) {
        assertRefused(await askAs(path, claims), 503, 'revocation_state_stale');
      }
      const served = await askAs('/best-effort', claims);
      assert.deepEqual([served.status, served.body['stale']], [200, true]);
      guard.confirm();
      const fresh = await askAs('/best-effort', claims);
      assert.deepEqual([fresh.status, fresh.body['stale']], [200, false]);
      assert.equal((await askAs('/two-seconds', claims)).status, 200);
    });
  });
}
