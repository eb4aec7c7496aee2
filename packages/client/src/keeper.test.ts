import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AuthError, type AuthState, createClient, type Stored, webStorage } from './index.ts';
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

describe('several tabs', () => {
  /** One `localStorage`, as tabs of a browser have it. */
  function sharedText(stored: Stored) {
    const held = new Map([['auth-service', JSON.stringify(stored)]]);
    return {
      getItem: (key: string) => held.get(key) ?? null,
      setItem: (key: string, value: string) => void held.set(key, value),
      session: () => (JSON.parse(held.get('auth-service') ?? '') as Stored).session,
    };
  }
  const tabsOf = (count: number, make: () => ReturnType<typeof createClient>) => {
    const tabs = Array.from({ length: count }, make);
    const close = (): void => {
      for (const tab of tabs) tab.close();
    };
    return { tabs, close };
  };

  test('eight tabs that wake up together renew once, and all go on with the successor', async () => {
    const service = rotatingService();
    const text = sharedText({ session: due });
    const { tabs, close } = tabsOf(8, () =>
      createClient({ baseUrl, fetch: service.fetch, storage: webStorage(text), now: () => hour }),
    );
    const got = await Promise.all(tabs.map((tab) => tab.accessToken()));
    close();
    assert.deepEqual(new Set(got), new Set(['access-1']));
    assert.equal(service.asked('/refresh-token').length, 1);
  });

  test('without Web Locks the tabs ask side by side, get the same successor, and stay signed in', async () => {
    const service = rotatingService();
    const text = sharedText({ session: due });
    const { navigator } = globalThis;
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
    try {
      const { tabs, close } = tabsOf(8, () =>
        createClient({ baseUrl, fetch: service.fetch, storage: webStorage(text), now: () => hour }),
      );
      const got = await Promise.all(tabs.map((tab) => tab.accessToken()));
      close();
      assert.deepEqual(new Set(got), new Set(['access-1']));
      assert.equal(service.rotations(), 1);
      assert.equal(service.asked('/refresh-token').length, 8);
    } finally {
      Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
    }
  });

  test('a logout and a login are heard in the other tabs, with the user', async () => {
    const service = fakeService(({ path }) => ({
      status: 200,
      body: path === '/login' ? tokens(3) : { revoked: true },
    }));
    const text = sharedText({ session: sessionOf(0, hour) });
    const options = { baseUrl, fetch: service.fetch, now: () => 0 };
    const one = createClient({ ...options, storage: webStorage(text) });
    const other = createClient({ ...options, storage: webStorage(text) });
    const heard = changesOf(other);
    await one.logout();
    await heard.count(1);
    await one.login({ email: 'a', password: 'b' });
    await heard.count(2);
    assert.deepEqual(heard.states, [
      { status: 'signed_out', reason: 'logged_out' },
      { status: 'signed_in', session_id: 's', user: { id: 'u', email: 'ada@example.org' } },
    ]);
    one.close();
    other.close();
  });

  test('a duplicated tab, which has a copy of the tokens, is handed the successor and does not use the old one', async () => {
    const service = rotatingService();
    let now = hour;
    const options = { baseUrl, fetch: service.fetch, now: () => now };
    const copies = [sharedText({ session: due }), sharedText({ session: due })] as const;
    const one = createClient({ ...options, storage: webStorage(copies[0]) });
    const other = createClient({ ...options, storage: webStorage(copies[1]) });
    const heard = changesOf(other);
    for (const [index, n] of [1, 2].entries()) {
      now = hour * (index + 1);
      assert.equal(await one.accessToken(), `access-${n}`);
      await heard.until(() => copies[1].session()?.refresh_token === `refresh-${n}`);
    }
    now = hour * 3;
    assert.equal(await other.accessToken(), 'access-3');
    assert.equal(service.rotations(), 3);
    one.close();
    other.close();
  });

  test('a tab that is signed in as somebody else keeps its own session', async () => {
    const service = rotatingService();
    const mine = sharedText({ session: due });
    const theirs = sharedText({ session: { ...sessionOf(9, 9 * hour), session_id: 'another' } });
    const options = { baseUrl, fetch: service.fetch, now: () => hour };
    const one = createClient({ ...options, storage: webStorage(mine) });
    const other = createClient({ ...options, storage: webStorage(theirs) });
    const bystander = createClient({ ...options, storage: webStorage(mine) });
    const heard = changesOf(bystander);
    await one.accessToken();
    await heard.count(1);
    assert.equal(theirs.session()?.refresh_token, 'refresh-9');
    for (const tab of [one, other, bystander]) tab.close();
  });

  test('a forged message of some script of the origin changes nothing that is kept, and tells nothing untrue', async () => {
    const text = sharedText({ session: sessionOf(0, hour) });
    const client = createClient({ baseUrl, storage: webStorage(text), fetch: rotatingService().fetch, now: () => 0 });
    const heard = changesOf(client);
    const forger = new BroadcastChannel(`auth-service ${baseUrl} auth-service`);
    const theirs = { ...sessionOf(7, hour), session_id: 'theirs' };
    const mine = sessionOf(0, hour);
    for (const message of [
      null,
      7,
      'x',
      {},
      { replaced: null, session: null, state: { status: 'signed_out', reason: 'logged_out' } },
      { replaced: null, session: theirs, state: { status: 'signed_in', session_id: 'theirs', user: { id: 'm' } } },
      { replaced: { ...mine, access_token: 'guessed' }, session: theirs, state: {} },
      { replaced: mine, session: mine, state: { status: 'signed_out', reason: '<b>' } },
    ]) {
      forger.postMessage(message);
    }
    // What is kept was told; the last message is heard, as what is true.
    await heard.count(1);
    assert.deepEqual(heard.states, [{ status: 'signed_in', session_id: 's', user: null }]);
    assert.equal(await client.accessToken(), 'access-0');
    forger.close();
    client.close();
  });

  test('a page that the browser kept aside learns what it has missed when it is shown again', async () => {
    const text = sharedText({ session: sessionOf(0, hour) });
    const page = new EventTarget();
    const globals = globalThis as unknown as Record<string, unknown>;
    globals['addEventListener'] = page.addEventListener.bind(page);
    globals['removeEventListener'] = page.removeEventListener.bind(page);
    try {
      const client = createClient({ baseUrl, storage: webStorage(text), fetch: rotatingService().fetch, now: () => 0 });
      const heard = changesOf(client);
      await client.sessions();
      // A logout in another tab, of which no word came.
      text.setItem('auth-service', '{"session":null}');
      page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: false }));
      page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
      await heard.count(1);
      assert.deepEqual(heard.states, [{ status: 'signed_out', reason: 'ended' }]);
      client.close();
      page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
      assert.equal(heard.states.length, 1);
    } finally {
      delete globals['addEventListener'];
      delete globals['removeEventListener'];
    }
  });

  test('what a full storage does not take is held in memory: the new refresh token above all', async () => {
    const text = sharedText({ session: due });
    const full = {
      getItem: text.getItem,
      setItem() {
        throw new DOMException('full', 'QuotaExceededError');
      },
    };
    const service = rotatingService();
    let now = hour;
    const client = createClient({ baseUrl, storage: webStorage(full), fetch: service.fetch, now: () => now });
    assert.equal(await client.accessToken(), 'access-1');
    now = 3 * hour;
    assert.equal(await client.accessToken(), 'access-2');
    client.close();
  });

  test('what stands in the storage and is not ours counts as nothing', async () => {
    for (const text of [
      '',
      '{',
      '7',
      'null',
      '{"session":7}',
      '{"session":{"session_id":"s"}}',
      '{"session":{"session_id":1}}',
      '{"session":{"session_id":"s","expires_at":9e9,"obtained_at":0,"access_token":{}}}',
    ]) {
      const storage = webStorage({ getItem: () => text, setItem: () => {} });
      const client = createClient({ baseUrl, storage, fetch: rotatingService().fetch, now: () => 0 });
      assert.equal(await client.accessToken(), null, text);
      client.close();
    }
  });
});

/** Waits for what a tab hears; a limit of the runner ends a wait for nothing. */
function changesOf(client: ReturnType<typeof createClient>) {
  const states: AuthState[] = [];
  client.onChange((state) => states.push(state));
  const until = async (condition: () => boolean): Promise<void> => {
    for (let turn = 0; !condition(); turn += 1) {
      if (turn > 2_000) throw new Error(`nothing more was heard after ${JSON.stringify(states)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { states, until, count: (count: number) => until(() => states.length >= count) };
}
