import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { type AuthState, createClient, type Stored, webStorage } from './index.ts';
import { fakeService, refused, rotatingService, sessionOf, tokens } from './testing.ts';

const baseUrl = 'http://auth.test';
const hour = 3_600_000;
/** Came an hour ago and is over at `hour`. */
const due = sessionOf(0, hour);

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

  test('a step-up in one tab, which begins another session and ends the first, is what a duplicated tab goes on with', async () => {
    const service = fakeService(({ path, token }) => {
      if (path === '/reauthenticate') return { status: 200, body: { ...tokens(5), session_id: 'after' } };
      if (path === '/refresh-token') return refused(401, 'invalid_refresh_token');
      return token === 'access-5' ? { status: 200, body: { sessions: [] } } : refused(401, 'token_revoked');
    });
    const options = { baseUrl, fetch: service.fetch, now: () => 0 };
    const copies = [sharedText({ session: sessionOf(0, hour) }), sharedText({ session: sessionOf(0, hour) })] as const;
    const one = createClient({ ...options, storage: webStorage(copies[0]) });
    const other = createClient({ ...options, storage: webStorage(copies[1]) });
    const heard = changesOf(other);
    await one.reauthenticate({ password: 'x' });
    await heard.until(() => copies[1].session()?.session_id === 'after');
    await Promise.all([one.sessions(), other.sessions()]);
    assert.equal(service.asked('/refresh-token').length, 0);
    assert.deepEqual(
      heard.states.map((state) => state.status),
      ['signed_in'],
    );
    one.close();
    other.close();
  });

  test('a renewal that is refused because a step-up has ended its session signs nobody out', async () => {
    const late = Promise.withResolvers<void>();
    let now = 0;
    let renewing: Promise<string | null> | undefined;
    const service = fakeService(async ({ path }) => {
      if (path === '/reauthenticate') {
        now = hour - 1_000;
        renewing = client.accessToken();
        return { status: 200, body: { ...tokens(5), session_id: 'after' } };
      }
      await late.promise;
      return refused(401, 'invalid_refresh_token');
    });
    const text = sharedText({ session: sessionOf(0, hour) });
    const client = createClient({ baseUrl, fetch: service.fetch, storage: webStorage(text), now: () => now });
    const heard = changesOf(client);
    await client.reauthenticate({ password: 'x' });
    assert.equal(service.asked('/refresh-token').length, 1);
    late.resolve();
    assert.equal(await renewing, 'access-5');
    assert.deepEqual(
      heard.states.map((state) => state.status),
      ['signed_in'],
    );
    client.close();
  });

  test('with cookies, what `me` was asked before a logout or another login, and answered after it, brings nobody back', async () => {
    const late = Promise.withResolvers<void>();
    const service = fakeService(async ({ path }) => {
      if (path === '/login') return { status: 200, body: { ...tokens(2), session_id: 'another' } };
      if (path !== '/me') return { status: 200, body: { revoked: true } };
      await late.promise;
      return { status: 200, body: { user: { id: 'first' }, session: { id: 's' } } };
    });
    // Of two services, so that neither hears of the other.
    const make = (name: string) =>
      createClient({ baseUrl: `http://${name}.test`, mode: 'cookie', fetch: service.fetch, now: () => 0 });
    const left = make('left');
    const changed = make('changed');
    const asked = [left.me(), changed.me()];
    await left.logout();
    await changed.login({ email: 'a', password: 'b' });
    late.resolve();
    await Promise.all(asked);
    assert.deepEqual(await left.state(), { status: 'signed_out', reason: 'logged_out' });
    const { user } = tokens(2);
    assert.deepEqual(await changed.state(), { status: 'signed_in', session_id: 'another', user });
    left.close();
    changed.close();
  });

  test('a client that is closed tells nobody any more, and goes on', async () => {
    const service = rotatingService();
    const storage = webStorage(sharedText({ session: due }));
    const client = createClient({ baseUrl, fetch: service.fetch, storage, now: () => hour });
    client.close();
    assert.equal(await client.accessToken(), 'access-1');
  });

  test('in Node a client that nobody closes keeps no process', () => {
    const program = `
      import { createClient, webStorage } from ${JSON.stringify(import.meta.resolve('./index.ts'))};
      const held = new Map();
      const storage = webStorage({ getItem: (key) => held.get(key) ?? null, setItem: (key, text) => void held.set(key, text) });
      for (const mode of ['bearer', 'cookie']) {
        const client = createClient({ baseUrl: 'http://127.0.0.1:9', mode, storage, retries: 0 });
        await client.me().catch(({ code }) => console.log(code));
      }`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.deepEqual([status, stdout], [0, 'signed_out\nnetwork_error\n'], stderr);
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
