/** A service of a few lines for the tests: answers by a function, records what it was asked. */
import type { AuthStorage, Stored, StoredSession } from './index.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly token: string | null;
  readonly body: unknown;
  readonly init: RequestInit | undefined;
}

export interface Answered {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Answer = (asked: Asked, count: number) => Answered | Promise<Answered>;

export function fakeService(answer: Answer) {
  const calls: Asked[] = [];
  const fake: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    const asked: Asked = {
      method: init?.method ?? 'GET',
      path: new URL(String(input)).pathname.replace('/api/auth', ''),
      token: headers.get('authorization')?.replace('Bearer ', '') ?? null,
      body: typeof init?.body === 'string' ? JSON.parse(init.body) : undefined,
      init,
    };
    calls.push(asked);
    await new Promise((resolve) => setImmediate(resolve));
    init?.signal?.throwIfAborted();
    const { status, body, headers: sent = {} } = await answer(asked, calls.length);
    return new Response(body === undefined ? null : JSON.stringify(body), { status, headers: sent });
  };
  return { calls, fetch: fake, asked: (path: string) => calls.filter((call) => call.path === path) };
}

/** Refuses as the service does: every refresh token but the live one, or its predecessor, which gets the same successor. */
export function rotatingService() {
  let live = 0;
  const service = fakeService(({ path, body, token }) => {
    if (path !== '/refresh-token') {
      return token === `access-${live}`
        ? { status: 200, body: { sessions: [], user, session: { id: 's' } } }
        : refused(401, 'token_revoked');
    }
    const { refresh_token: sent } = body as { refresh_token: string };
    if (sent === `refresh-${live}`) live += 1;
    else if (sent !== `refresh-${live - 1}`) return refused(401, 'refresh_token_reused');
    return { status: 200, body: tokens(live) };
  });
  return { ...service, rotations: () => live };
}

export const refused = (status: number, code: string, headers: Readonly<Record<string, string>> = {}): Answered => ({
  status,
  body: { code, detail: 'no', request_id: 'r1' },
  headers,
});

export const user = { id: 'u', email: 'ada@example.org' };

export const tokens = (n: number) => ({
  access_token: `access-${n}`,
  token_type: 'Bearer',
  expires_in: 3_600,
  refresh_token: `refresh-${n}`,
  refresh_expires_in: 604_800,
  session_id: 's',
  user,
});

export const sessionOf = (n: number, expiresAt: number, obtainedAt = 0): StoredSession => ({
  session_id: 's',
  access_token: `access-${n}`,
  refresh_token: `refresh-${n}`,
  expires_at: expiresAt,
  obtained_at: obtainedAt,
});

export function storageWith(session: StoredSession | null, more: Partial<Stored & { shared: string }> = {}) {
  const { shared, ...stored } = more;
  const held: { value: Stored | null } = { value: { session, ...stored } };
  const storage: AuthStorage = {
    load: () => held.value,
    save: (next) => {
      held.value = next;
    },
    ...(shared === undefined ? {} : { shared }),
  };
  return { ...storage, held, session: () => held.value?.session ?? null };
}
