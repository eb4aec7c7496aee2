import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AuthError, type AuthState, createClient } from './index.ts';
import { fakeService, refused, rotatingService, sessionOf, storageWith, tokens } from './testing.ts';

const baseUrl = 'http://auth.test';
const hour = 3_600_000;
const sleep = async (): Promise<void> => {};
/** Came an hour ago and is over at `hour`. */
const due = sessionOf(0, hour);

describe('renewing the session', () => {
  test('happens once, however many calls need it at once', async () => {
    const service = rotatingService();
    const storage = storageWith(due);
    const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => hour });
    await Promise.all(Array.from({ length: 16 }, () => client.sessions()));
    assert.equal(service.asked('/refresh-token').length, 1);
    assert.ok(service.asked('/sessions').every((call) => call.token === 'access-1'));
  });

  test('calls that were refused with the same old token renew it once, also when they are refused later', async () => {
    const service = rotatingService();
    const storage = storageWith(sessionOf(0, hour));
    const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => 0 });
    const late = client.raw.call({ method: 'GET', path: '/sessions' });
    await service.fetch(`${baseUrl}/api/auth/refresh-token`, {
      method: 'POST',
      body: JSON.stringify({ refresh_token: 'refresh-0' }),
    });
    await Promise.all([late, client.sessions(), client.me(), client.sessions()]);
    await client.sessions();
    assert.equal(service.rotations(), 1);
    assert.equal(service.calls.filter(({ token }) => token === 'access-1').length, 5);
  });

  test('is asked for before the token ends, and after half of a short life', async () => {
    for (const [left, life, renewed] of [
      [31_000, hour, 0],
      [29_000, hour, 1],
      [6_000, 10_000, 0],
      [4_000, 10_000, 1],
    ] as const) {
      const service = rotatingService();
      const storage = storageWith(sessionOf(0, life));
      const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => life - left });
      await client.accessToken();
      assert.equal(service.rotations(), renewed, `${left} of ${life} left`);
    }
  });

  test('a machine that slept, or whose clock was moved, renews once when it is needed', async () => {
    for (const jumped of [9 * hour, -9 * hour]) {
      const service = rotatingService();
      let now = 10 * hour;
      const storage = storageWith(sessionOf(0, now + hour, now));
      const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => now });
      assert.equal(await client.accessToken(), 'access-0');
      now += jumped;
      await Promise.all([client.accessToken(), client.sessions(), client.accessToken()]);
      assert.equal(await client.accessToken(), 'access-1');
      assert.equal(service.rotations(), 1);
    }
  });

  test('a service that is busy or away ends no session: a good token is used meanwhile, and not asked for again at once', async () => {
    let now = hour - 20_000;
    const service = fakeService(({ path }) =>
      path === '/refresh-token'
        ? refused(503, 'overloaded', { 'retry-after': '60' })
        : { status: 200, body: { sessions: [] } },
    );
    const storage = storageWith(due);
    const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => now, sleep });
    await client.sessions();
    await client.sessions();
    assert.equal(service.asked('/refresh-token').length, 1);
    now = hour + 1;
    await assert.rejects(client.sessions(), (error: unknown) => error instanceof AuthError && error.status === 503);
    assert.equal(storage.session()?.refresh_token, 'refresh-0');
  });

  test('is tried again after no answer, with the same token: the service gives the same successor', async () => {
    const service = rotatingService();
    let lost = 1;
    const loses: typeof fetch = async (input, init) => {
      const answer = await service.fetch(input, init);
      if (lost-- > 0) throw new TypeError('connection reset');
      return answer;
    };
    const storage = storageWith(due);
    const client = createClient({ baseUrl, fetch: loses, storage, now: () => hour, sleep });
    assert.equal(await client.accessToken(), 'access-1');
    assert.equal(service.rotations(), 1);
  });

  test('all attempts of one renewal are begun within the grace of the service, however slowly nothing comes', async () => {
    let now = 0;
    const begun: number[] = [];
    const limits: number[] = [];
    const { timeout } = AbortSignal;
    AbortSignal.timeout = (ms) => {
      limits.push(ms);
      return AbortSignal.abort(new DOMException('too slow', 'TimeoutError'));
    };
    try {
      const slow: typeof fetch = async (_url, init) => {
        begun.push(now);
        now += limits.at(-1) ?? 0;
        throw init?.signal?.reason;
      };
      const client = createClient({
        baseUrl,
        fetch: slow,
        storage: storageWith(due),
        now: () => hour,
        sleep: async (ms) => {
          now += ms;
        },
      });
      await assert.rejects(client.accessToken(), (error: unknown) => (error as AuthError).code === 'timeout');
    } finally {
      AbortSignal.timeout = timeout;
    }
    assert.equal(begun.length, 3);
    assert.ok(now <= 30_000, `the last was given up after ${now} ms`);
  });

  test('a listener that throws takes nothing from a login or from other listeners', async () => {
    const thrown: unknown[] = [];
    const note = (error: unknown): void => void thrown.push(error);
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').once('uncaughtException', note);
    try {
      const service = fakeService(() => ({ status: 200, body: tokens(1) }));
      const client = createClient({ baseUrl, fetch: service.fetch, now: () => 0 });
      const heard: string[] = [];
      client.onChange(() => {
        throw new Error('of the application');
      });
      client.onChange(({ status }) => heard.push(status));
      assert.equal((await client.login({ email: 'a', password: 'b' })).kind, 'signed_in');
      assert.deepEqual(heard, ['signed_in']);
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    assert.match(String(thrown[0]), /of the application/);
  });

  test('a 401 that is not the word of the service on the refresh token logs nobody out', async () => {
    const service = fakeService(() => refused(401, 'proxy_says_no'));
    const storage = storageWith(due);
    const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => hour });
    await assert.rejects(client.accessToken(), AuthError);
    assert.equal(storage.session()?.refresh_token, 'refresh-0');
  });

  test('a refresh token that the service refuses ends the session, and listeners hear why', async () => {
    for (const code of ['refresh_token_reused', 'invalid_refresh_token']) {
      const storage = storageWith(due, { device_token: 'dt_1' });
      const service = fakeService(() => refused(401, code));
      const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => hour });
      const heard: AuthState[] = [];
      client.onChange((state) => heard.push(state));
      assert.equal(await client.accessToken(), null);
      assert.deepEqual(storage.held.value, { session: null, device_token: 'dt_1' });
      assert.deepEqual(heard, [{ status: 'signed_out', reason: 'ended' }]);
    }
  });

  test('one caller who gives up takes the renewal from nobody else', async () => {
    const service = rotatingService();
    const client = createClient({ baseUrl, fetch: service.fetch, storage: storageWith(due), now: () => hour });
    const given = new AbortController();
    const first = client.accessToken({ signal: given.signal });
    const second = client.accessToken();
    given.abort(new Error('left the page'));
    await assert.rejects(first, /left the page/);
    assert.equal(await second, 'access-1');
    assert.equal(service.rotations(), 1);
  });

  test('an answer that comes after a login as somebody else, or after a logout, does not take its place', async () => {
    for (const meanwhile of ['login', 'logout'] as const) {
      const late = Promise.withResolvers<void>();
      const service = fakeService(async ({ path }) => {
        if (path === '/refresh-token') {
          await late.promise;
          return { status: 200, body: tokens(1) };
        }
        return path === '/login' ? { status: 200, body: tokens(7) } : { status: 200, body: { revoked: true } };
      });
      // Due, and good for the logout meanwhile.
      const storage = storageWith(sessionOf(0, hour));
      const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => hour - 10_000 });
      const renewing = client.accessToken();
      const changed =
        meanwhile === 'login'
          ? client.login({ email: 'grace@example.org', password: 'correct horse battery' })
          : client.raw.signIn(Promise.resolve(tokens(9))).then(() => client.logout());
      if (meanwhile === 'login') await changed;
      else {
        await changed;
        assert.equal(storage.session(), null);
      }
      late.resolve();
      assert.equal(await renewing, meanwhile === 'login' ? 'access-7' : null);
      assert.equal(storage.session()?.refresh_token, meanwhile === 'login' ? 'refresh-7' : undefined);
    }
  });
});
