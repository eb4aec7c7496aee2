import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AuthError, createClient, type StoredTokens } from './index.ts';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly token: string | null;
  readonly body: unknown;
}

/** A service of a few lines: answers by a table, records what it was asked. */
function fakeService(answer: (call: Call, count: number) => { status: number; body?: unknown; retryAfter?: string }) {
  const calls: Call[] = [];
  const fake: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    const call: Call = {
      method: init?.method ?? 'GET',
      path: new URL(String(input)).pathname,
      token: headers.get('authorization'),
      body: typeof init?.body === 'string' ? JSON.parse(init.body) : undefined,
    };
    calls.push(call);
    await new Promise((resolve) => setImmediate(resolve));
    const { status, body, retryAfter } = answer(call, calls.length);
    const sent = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
    return new Response(body === undefined ? null : JSON.stringify(body), { status, headers: sent });
  };
  return { calls, fetch: fake };
}

const tokens = (n: number) => ({
  access_token: `access-${n}`,
  token_type: 'Bearer',
  expires_in: 3_600,
  refresh_token: `refresh-${n}`,
  refresh_expires_in: 604_800,
  session_id: 's',
  user: { id: 'u', email: 'ada@example.org' },
});

function storageWith(stored: StoredTokens | null) {
  const held = { value: stored };
  return {
    held,
    load: () => held.value,
    save: (next: StoredTokens | null) => {
      held.value = next;
    },
  };
}

const expiring: StoredTokens = { access_token: 'access-0', refresh_token: 'refresh-0', expires_at: 1_000 };

describe('the client', () => {
  test('a refresh that is answered after a login as somebody else does not take their place', async () => {
    const late = Promise.withResolvers<void>();
    const service = fakeService((call) => ({
      status: 200,
      body: call.path.endsWith('/login') ? tokens(7) : tokens(1),
    }));
    const slow: typeof fetch = async (input, init) => {
      const answer = await service.fetch(input, init);
      if (String(input).endsWith('/refresh-token')) await late.promise;
      return answer;
    };
    const storage = storageWith(expiring);
    const client = createClient({ baseUrl: 'http://auth.test', fetch: slow, storage, now: () => 1_000 });
    const refreshing = client.accessToken();
    await client.login({ email: 'grace@example.org', password: 'correct horse battery' });
    late.resolve();
    assert.equal(await refreshing, 'access-7');
    assert.equal(storage.held.value?.refresh_token, 'refresh-7');
  });

  test('a 401 that is not the word of the service on the refresh token logs nobody out', async () => {
    const service = fakeService(() => ({ status: 401, body: { code: 'proxy_says_no' } }));
    const storage = storageWith(expiring);
    const client = createClient({ baseUrl: 'http://auth.test', fetch: service.fetch, storage, now: () => 1_000 });
    await assert.rejects(client.accessToken(), AuthError);
    assert.equal(storage.held.value?.refresh_token, 'refresh-0');
  });

  test('refreshes once, however many calls need it at once', async () => {
    const service = fakeService((call) =>
      call.path.endsWith('/refresh-token') ? { status: 200, body: tokens(1) } : { status: 200, body: { sessions: [] } },
    );
    const client = createClient({
      baseUrl: 'http://x',
      fetch: service.fetch,
      storage: storageWith(expiring),
      now: () => 0,
    });
    await Promise.all(Array.from({ length: 16 }, () => client.sessions()));
    assert.equal(service.calls.filter((call) => call.path.endsWith('/refresh-token')).length, 1);
    assert.ok(
      service.calls.filter((call) => call.path.endsWith('/sessions')).every((call) => call.token === 'Bearer access-1'),
    );
  });

  test('a 503 is tried again after its Retry-After and never forgets the tokens', async () => {
    const waits: number[] = [];
    const storage = storageWith(expiring);
    const service = fakeService((_call, count) =>
      count < 3 ? { status: 503, body: { code: 'overloaded' }, retryAfter: '2' } : { status: 200, body: tokens(1) },
    );
    const sleep = async (ms: number): Promise<void> => void waits.push(ms);
    const client = createClient({ baseUrl: 'http://x/', fetch: service.fetch, storage, now: () => 0, sleep });
    assert.equal(await client.accessToken(), 'access-1');
    assert.deepEqual(waits, [2_000, 2_000]);

    const down = fakeService(() => ({ status: 503, body: { code: 'overloaded' } }));
    const kept = storageWith(expiring);
    const other = createClient({ baseUrl: 'http://x', fetch: down.fetch, storage: kept, now: () => 0, sleep });
    await assert.rejects(other.accessToken(), (error: unknown) => error instanceof AuthError && error.status === 503);
    assert.notEqual(kept.held.value, null);
  });

  test('a refresh token that the service refuses is forgotten', async () => {
    const storage = storageWith(expiring);
    const service = fakeService(() => ({ status: 401, body: { code: 'refresh_token_reused' } }));
    const client = createClient({ baseUrl: 'http://x', fetch: service.fetch, storage, now: () => 0 });
    assert.equal(await client.accessToken(), null);
    assert.equal(storage.held.value, null);
  });

  test('a token that ended early is renewed once and the call made again', async () => {
    const storage = storageWith({ ...expiring, expires_at: 10_000_000 });
    const service = fakeService((call) => {
      if (call.path.endsWith('/refresh-token')) return { status: 200, body: tokens(1) };
      return call.token === 'Bearer access-1'
        ? { status: 200, body: { user: { id: 'u' }, session: {} } }
        : { status: 401, body: { code: 'token_revoked' } };
    });
    const client = createClient({ baseUrl: 'http://x', fetch: service.fetch, storage, now: () => 0 });
    assert.equal((await client.me()).user.id, 'u');
  });

  test('login sends the device token back, logout forgets everything', async () => {
    const storage = storageWith({ ...expiring, device_token: 'dt_1' });
    const service = fakeService((call) =>
      call.path.endsWith('/login') ? { status: 200, body: tokens(2) } : { status: 200, body: { revoked: true } },
    );
    const client = createClient({ baseUrl: 'http://x', fetch: service.fetch, storage, now: () => 0 });
    await client.login({ email: 'ada@example.org', password: 'x' });
    assert.deepEqual(service.calls[0]?.body, { email: 'ada@example.org', password: 'x', device_token: 'dt_1' });
    assert.equal(storage.held.value?.device_token, 'dt_1');
    await client.logout();
    assert.equal(storage.held.value, null);
  });
});
