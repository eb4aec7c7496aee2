import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AuthError, type ClientOptions, createClient, withStepUp } from './index.ts';
import { type Answer, fakeService, refused, sessionOf, storageWith, tokens, user } from './testing.ts';

const baseUrl = 'http://auth.test';
const far = 3_600_000;

function clientOf(answer: Answer, options: Partial<ClientOptions> = {}) {
  const service = fakeService(answer);
  const waits: number[] = [];
  const client = createClient({
    baseUrl,
    fetch: service.fetch,
    now: () => 0,
    sleep: async (ms) => void waits.push(ms),
    ...options,
  });
  return { client, service, waits };
}

const hasCode = (code: string) => (error: unknown) => error instanceof AuthError && error.code === code;

describe('the calls of the client', () => {
  test('login keeps the session, sends the device token back, and tells who is there', async () => {
    const storage = storageWith(null, { device_token: 'dt_1' });
    const { client, service } = clientOf(() => ({ status: 200, body: tokens(2) }), { storage });
    const result = await client.login({ email: 'ada@example.org', password: 'x' });
    assert.deepEqual(result, { kind: 'signed_in', user });
    assert.deepEqual(service.calls[0]?.body, { email: 'ada@example.org', password: 'x', device_token: 'dt_1' });
    assert.deepEqual(storage.held.value, {
      session: { ...sessionOf(2, 3_600_000), obtained_at: 0 },
      device_token: 'dt_1',
    });
    assert.deepEqual(await client.state(), { status: 'signed_in', session_id: 's', user });
  });

  test('a login that wants a second factor is a value, and verifyMfa ends it with the token it was given', async () => {
    const { client, service } = clientOf(({ path }) =>
      path === '/login'
        ? { status: 401, body: { code: 'mfa_required', mfa_token: 'mfa_1', methods: ['totp'], expires_in: 300 } }
        : { status: 200, body: tokens(1) },
    );
    assert.deepEqual(await client.login({ email: 'a', password: 'b' }), {
      kind: 'mfa_required',
      methods: ['totp'],
      expiresIn: 300,
      mfaToken: 'mfa_1',
    });
    assert.equal((await client.state()).status, 'signed_out');
    assert.deepEqual(await client.verifyMfa({ recoveryCode: 'abcd' }), user);
    assert.deepEqual(service.asked('/mfa/verify')[0]?.body, { mfa_token: 'mfa_1', recovery_code: 'abcd' });
    assert.equal(await client.accessToken(), 'access-1');
    await assert.rejects(client.verifyMfa({ code: '123456' }), hasCode('mfa_token_invalid'));
  });

  test('registering answers null where the address must be verified first', async () => {
    const pending = clientOf(() => ({ status: 202, body: { status: 'verification_sent' } }));
    assert.equal(await pending.client.register({ email: 'a', password: 'b' }), null);
    assert.equal(await pending.client.accessToken(), null);
    const open = clientOf(() => ({ status: 201, body: tokens(1) }));
    assert.deepEqual(await open.client.register({ email: 'a', password: 'b' }), user);
    assert.equal(await open.client.accessToken(), 'access-1');
  });

  test('logout forgets the session even when the service is away, and says that it was away', async () => {
    const storage = storageWith(sessionOf(0, far), { device_token: 'dt_1' });
    const { client } = clientOf(() => refused(503, 'overloaded'), { storage });
    await assert.rejects(client.logout(), hasCode('overloaded'));
    assert.deepEqual(storage.held.value, { session: null, device_token: 'dt_1' });
    assert.deepEqual(await client.state(), { status: 'signed_out', reason: 'logged_out' });
  });

  test('a session that is over already is logged out without an error, the device too where it was asked', async () => {
    const storage = storageWith(sessionOf(0, far), { device_token: 'dt_1' });
    const { client } = clientOf(
      ({ path }) => refused(401, path === '/refresh-token' ? 'invalid_refresh_token' : 'token_revoked'),
      { storage },
    );
    assert.equal(await client.logout({ forgetDevice: true }), null);
    assert.deepEqual(storage.held.value, { session: null });
  });

  test('what changes something is sent once; what may be said twice is tried again, never before Retry-After', async () => {
    const busy = clientOf(() => refused(503, 'overloaded', { 'retry-after': '2' }), {
      storage: storageWith(sessionOf(0, far)),
    });
    await assert.rejects(busy.client.login({ email: 'a', password: 'b' }), hasCode('overloaded'));
    await assert.rejects(busy.client.changePassword({ current: 'a', next: 'b' }), hasCode('overloaded'));
    assert.equal(busy.service.calls.length, 2);
    await assert.rejects(busy.client.sessions(), hasCode('overloaded'));
    assert.equal(busy.service.asked('/sessions').length, 3);
    assert.deepEqual(busy.waits, [2_000, 2_000]);
  });

  test('who is told to come back much later is told so at once', async () => {
    const { client, service, waits } = clientOf(() => refused(429, 'rate_limited', { 'retry-after': '3600' }), {
      storage: storageWith(sessionOf(0, far)),
    });
    await assert.rejects(client.me(), (error: unknown) => error instanceof AuthError && error.retryAfter === 3_600);
    assert.deepEqual([service.calls.length, waits.length], [1, 0]);
  });

  test('Retry-After may be a date, which is read beside the clock of who sent it', async () => {
    const headers = { 'retry-after': 'Wed, 21 Oct 2015 07:28:03 GMT', date: 'Wed, 21 Oct 2015 07:28:00 GMT' };
    const { client, waits } = clientOf(() => refused(503, 'overloaded', headers), {
      storage: storageWith(sessionOf(0, far)),
      retries: 1,
    });
    await assert.rejects(client.me(), (error: unknown) => error instanceof AuthError && error.retryAfter === 3);
    assert.deepEqual(waits, [3_000]);
  });

  test('a step-up is asked for once, where the service asks for it, and the call is made again', async () => {
    let isFresh = false;
    const { client, service } = clientOf(
      ({ path }) => {
        if (path === '/reauthenticate') isFresh = true;
        if (path === '/reauthenticate') return { status: 200, body: { ...tokens(5), session_id: 'new' } };
        return isFresh
          ? { status: 200, body: { recovery_codes: ['one'] } }
          : refused(401, 'reauthentication_required', { 'www-authenticate': 'Bearer max_age=600' });
      },
      { storage: storageWith(sessionOf(0, far)) },
    );
    const asked: unknown[] = [];
    const prove = async (challenge: unknown): Promise<void> => {
      asked.push(challenge);
      await client.reauthenticate({ password: 'x' });
    };
    assert.deepEqual(await withStepUp(() => client.renewRecoveryCodes(), prove), ['one']);
    assert.deepEqual(asked, [{ maxAge: 600, acr: null }]);
    assert.equal(((await client.state()) as { session_id: string }).session_id, 'new');
    assert.equal(service.asked('/mfa/recovery-codes').at(-1)?.token, 'access-5');
    const cancelled = async (): Promise<never> => Promise.reject(new Error('cancelled'));
    isFresh = false;
    await assert.rejects(
      withStepUp(() => client.renewRecoveryCodes(), cancelled),
      /cancelled/,
    );
    await assert.rejects(
      withStepUp(() => Promise.reject(new Error('mine')), cancelled),
      /mine/,
    );
  });

  test('a fault of the service is not repeated', async () => {
    const { client, service } = clientOf(() => refused(500, 'internal_error'), {
      storage: storageWith(sessionOf(0, far)),
    });
    await assert.rejects(client.me(), hasCode('internal_error'));
    assert.equal(service.calls.length, 1);
  });

  test('an error carries code, status, request id, fields, and what a step-up must prove', async () => {
    const { client } = clientOf(
      ({ path }) =>
        path === '/mfa/totp'
          ? refused(401, 'reauthentication_required', {
              'www-authenticate':
                'Bearer realm="auth-service", error="insufficient_user_authentication", acr_values="aal2", max_age=600',
            })
          : { status: 422, body: { code: 'validation_failed', errors: [{ pointer: '/user/email', code: 'invalid' }] } },
      { storage: storageWith(sessionOf(0, far)) },
    );
    await assert.rejects(client.enrolTotp(), (error: unknown) => {
      assert.ok(error instanceof AuthError);
      assert.deepEqual([error.status, error.requestId, error.challenge], [401, 'r1', { maxAge: 600, acr: 'aal2' }]);
      return true;
    });
    await assert.rejects(client.register({ email: '', password: '' }), (error: unknown) => {
      assert.ok(error instanceof AuthError);
      assert.equal(error.errors[0]?.pointer, '/user/email');
      return true;
    });
  });

  test('an answer that is not of the service is no session, and no word about one', async () => {
    const storage = storageWith(sessionOf(0, 0));
    const portal: typeof fetch = async () => new Response('<html>Please pay</html>', { status: 200 });
    const client = createClient({ baseUrl, fetch: portal, storage, now: () => 10 });
    await assert.rejects(client.login({ email: 'a', password: 'b' }), hasCode('unexpected_answer'));
    await assert.rejects(client.accessToken(), hasCode('unexpected_answer'));
    await assert.rejects(client.forgotPassword('a'), hasCode('unexpected_answer'));
    assert.equal(storage.session()?.refresh_token, 'refresh-0');
  });

  test('no connection, no answer in time and a call that was given up are told apart', async () => {
    const down: typeof fetch = () => Promise.reject(new TypeError('fetch failed'));
    const options = { baseUrl, now: () => 0, sleep: async () => {}, storage: storageWith(sessionOf(0, far)) };
    await assert.rejects(createClient({ ...options, fetch: down }).me(), hasCode('network_error'));
    const hangs: typeof fetch = (_url, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
      });
    const slow = createClient({ ...options, fetch: hangs, timeoutMs: 5, retries: 0 });
    await assert.rejects(keepAlive(slow.me()), hasCode('timeout'));
    const given = new AbortController();
    const call = createClient({ ...options, fetch: hangs }).me({ signal: given.signal });
    given.abort(new Error('left the page'));
    await assert.rejects(call, /left the page/);
  });

  test('no cookie is sent or taken, no redirect followed and nothing cached', async () => {
    const { client, service } = clientOf(() => ({ status: 200, body: { user, session: {} } }), {
      storage: storageWith(sessionOf(0, far)),
    });
    await client.me();
    const init = service.calls[0]?.init;
    assert.deepEqual([init?.credentials, init?.redirect, init?.cache], ['omit', 'error', 'no-store']);
  });

  test('in cookie mode no token is held or sent, the answer makes the state, and a missing cookie is renewed once', async () => {
    const { access_token: _access, refresh_token: _refresh, ...answer } = tokens(1);
    let refreshed = 0;
    const storage = storageWith(null);
    const { client, service } = clientOf(
      ({ path }) => {
        if (path === '/refresh-token') refreshed += 1;
        if (path === '/refresh-token' || path === '/login') return { status: 200, body: answer };
        return refreshed === 0 ? refused(401, 'missing_token') : { status: 200, body: { user, session: {} } };
      },
      { mode: 'cookie', storage },
    );
    await client.me();
    assert.equal(refreshed, 1);
    assert.equal(storage.session()?.access_token, undefined);
    assert.equal(await client.accessToken(), null);
    assert.equal((await client.state()).status, 'signed_in');
    assert.ok(service.calls.every((call) => call.token === null && call.init?.credentials === 'include'));
    assert.ok(service.calls.every((call) => new Headers(call.init?.headers).get('x-token-transport') === 'cookie'));
    assert.deepEqual(service.asked('/refresh-token')[0]?.body, {});
  });
});

describe('cookie mode', () => {
  const cookieAnswer = (n: number, more = {}) => {
    const { access_token: _access, refresh_token: _refresh, ...answer } = tokens(n);
    return { ...answer, ...more };
  };
  /** One browser: its cookies are known to the service alone, each page has a memory of its own. */
  function pagesOf(count: number) {
    let session: string | null = null;
    let now = 1;
    const service = fakeService(({ path }) => {
      if (path === '/login') {
        session = `s${now}`;
        return { status: 200, body: cookieAnswer(1, { session_id: session }) };
      }
      if (session === null) return refused(401, path === '/refresh-token' ? 'invalid_refresh_token' : 'missing_token');
      if (path === '/logout') {
        session = null;
        return { status: 200, body: { revoked: true } };
      }
      if (path === '/refresh-token') return { status: 200, body: cookieAnswer(2, { session_id: session }) };
      return { status: 200, body: { user, session: { id: session } } };
    });
    const pages = Array.from({ length: count }, () => {
      const client = createClient({ baseUrl, fetch: service.fetch, mode: 'cookie', now: () => now });
      const heard: string[] = [];
      client.onChange((state) => heard.push(state.status === 'signed_in' ? state.session_id : state.reason));
      return { client, heard };
    });
    const heardBy = async (index: number, what: string): Promise<void> => {
      for (let turn = 0; pages[index]?.heard.at(-1) !== what; turn += 1) {
        if (turn > 2_000) throw new Error(`page ${index} heard ${pages[index]?.heard.join()}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const close = (): void => {
      for (const { client } of pages) client.close();
    };
    const heard = (index: number) => pages[index]?.heard;
    return { service, pages: pages.map(({ client }) => client), heard, heardBy, close, pass: () => (now += 1) };
  }

  test('a page that was loaded anew learns by me() that it is signed in, and as whom', async () => {
    const { pages, close, service } = pagesOf(2);
    const [first, second] = pages as [(typeof pages)[0], (typeof pages)[0]];
    await first.login({ email: 'a', password: 'b' });
    first.close();
    assert.equal((await second.me()).user.id, user.id);
    assert.deepEqual(await second.state(), { status: 'signed_in', session_id: 's1', user });
    await second.sessions();
    assert.equal(service.asked('/refresh-token').length, 0);
    close();
  });

  test('a login and a logout in one page are heard in the others, which share its cookies', async () => {
    const { pages, close, heardBy, pass } = pagesOf(3);
    const [first, second, third] = pages as [(typeof pages)[0], (typeof pages)[0], (typeof pages)[0]];
    await first.login({ email: 'a', password: 'b' });
    await heardBy(1, 's1');
    pass();
    await second.login({ email: 'c', password: 'd' });
    await heardBy(0, 's2');
    await heardBy(2, 's2');
    await third.logout();
    await heardBy(0, 'logged_out');
    await heardBy(1, 'logged_out');
    await assert.rejects(first.me(), hasCode('missing_token'));
    close();
  });

  test('a page that has found no session takes none from another that has just signed in', async () => {
    const { pages, heard, close, heardBy, pass } = pagesOf(2);
    const [first, second] = pages as [(typeof pages)[0], (typeof pages)[0]];
    await first.login({ email: 'a', password: 'b' });
    await heardBy(1, 's1');
    const late = new BroadcastChannel(`auth-service ${baseUrl} cookies`);
    late.postMessage({ replaced: null, session: null, state: { status: 'signed_out', reason: 'nobody' } });
    pass();
    await second.login({ email: 'a', password: 'b' });
    await heardBy(0, 's2');
    assert.deepEqual(heard(0), ['s1', 's2']);
    late.close();
    close();
  });

  test('a logout is said once where the service has answered, for the cookies went with the answer', async () => {
    const busy = clientOf(() => refused(503, 'overloaded'), { mode: 'cookie' });
    await assert.rejects(busy.client.logout(), hasCode('overloaded'));
    assert.equal(busy.service.asked('/logout').length, 1);
    busy.client.close();
    let tries = 0;
    const lost: typeof fetch = async () => {
      tries += 1;
      throw new TypeError('connection reset');
    };
    const away = clientOf(() => ({ status: 200 }), { mode: 'cookie', fetch: lost });
    await assert.rejects(away.client.logout(), hasCode('network_error'));
    assert.equal(tries, 3);
    away.client.close();
  });

  test('there is no token to send elsewhere, and that is said', async () => {
    const { client } = clientOf(() => ({ status: 200 }), { mode: 'cookie' });
    await assert.rejects(client.fetch(`${baseUrl}/orders`), /no script has a token/);
    client.close();
  });
});

describe('fetch for an API of your own', () => {
  const session = sessionOf(0, far);

  test('carries the token, and again with a new one where the first had ended', async () => {
    const storage = storageWith(session);
    const { client, service } = clientOf(
      ({ path, token }) => {
        if (path === '/refresh-token') return { status: 200, body: tokens(1) };
        return token === 'access-1'
          ? { status: 200, body: { fine: true } }
          : refused(401, 'token_revoked', { 'www-authenticate': 'Bearer error="invalid_token"' });
      },
      { storage, apiOrigins: ['https://api.test'] },
    );
    const response = await client.fetch('https://api.test/orders', { method: 'POST', body: '{"a":1}' });
    assert.deepEqual(await response.json(), { fine: true });
    assert.deepEqual(
      service.asked('/orders').map((call) => [call.token, call.body]),
      [
        ['access-0', { a: 1 }],
        ['access-1', { a: 1 }],
      ],
    );
  });

  test('sends no token to an origin that is not listed', async () => {
    const { client, service } = clientOf(() => ({ status: 200 }), { storage: storageWith(session) });
    for (const url of ['https://evil.test/', 'http://auth.test.evil/', 'http://auth.test:81/', 'https://auth.test/']) {
      await assert.rejects(client.fetch(url), /not among the origins/);
    }
    assert.equal(service.calls.length, 0);
  });

  test('follows no redirect, whatever the caller says', async () => {
    const { client, service } = clientOf(() => ({ status: 200 }), { storage: storageWith(session) });
    for (const redirect of ['follow', 'error', 'manual'] as const)
      await client.fetch(`${baseUrl}/orders`, { redirect });
    assert.deepEqual(
      service.calls.map(({ init }) => init?.redirect),
      ['error', 'error', 'manual'],
    );
  });

  test('a page without an origin has none of its own, and origins may be listed as addresses', async () => {
    const globals = globalThis as { location?: unknown };
    globals.location = { href: 'data:text/html,x' };
    try {
      const { client, service } = clientOf(() => ({ status: 200 }), {
        storage: storageWith(session),
        apiOrigins: ['https://api.test/v1/'],
      });
      await assert.rejects(client.fetch('data:text/plain,x'), /not among the origins/);
      await assert.rejects(client.fetch('app://elsewhere/'), /not among the origins/);
      await client.fetch('https://api.test/v2/orders');
      assert.equal(service.calls.length, 1);
    } finally {
      delete globals.location;
    }
  });

  test('a 401 that does not speak of the token renews nothing', async () => {
    const { client, service } = clientOf(
      () => refused(401, 'x', { 'www-authenticate': 'Bearer error="insufficient_user_authentication"' }),
      { storage: storageWith(session) },
    );
    assert.equal((await client.fetch(`${baseUrl}/orders`)).status, 401);
    assert.equal(service.calls.length, 1);
  });
});

/** `AbortSignal.timeout` alone keeps no process; a socket would. */
async function keepAlive<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1_000);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}
