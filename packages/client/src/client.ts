/**
 * A client for the service's HTTP API, for Node and browsers, on the platform's `fetch` alone.
 *
 * - Refreshing happens once at a time however many requests need it, and before the token expires.
 * - A 503 is tried again after its `Retry-After`, a bounded number of times; it never logs anybody out.
 * - Only the service's own word (`invalid_refresh_token`, `refresh_token_reused`) ends what is stored.
 */
import type { ErrorCode, Receipt, Session, TokenAnswer, User } from '@auth-service/protocol';

/** What is kept between calls. `expires_at` is milliseconds since 1970 on this machine's clock. */
export interface StoredTokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_at: number;
  readonly device_token?: string;
}

/** Where tokens are kept; in memory by default. */
export interface TokenStorage {
  load(): StoredTokens | null | Promise<StoredTokens | null>;
  save(tokens: StoredTokens | null): void | Promise<void>;
}

export interface ClientOptions {
  /** The service's URL, e.g. `https://auth.example.org`. */
  readonly baseUrl: string;
  readonly storage?: TokenStorage;
  readonly fetch?: typeof fetch;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
  /** How often a 503 is tried again; 2 by default. */
  readonly retries?: number;
}

/** A problem answer (RFC 9457) of the service. */
export class AuthError extends Error {
  override readonly name = 'AuthError';
  readonly code: ErrorCode | 'unknown';
  readonly status: number;
  readonly requestId: string | null;
  /** Which fields were wrong, with status 422. */
  readonly errors: readonly { readonly pointer: string; readonly code: string; readonly detail: string }[];
  constructor(status: number, body: Readonly<Record<string, unknown>>) {
    super(typeof body['detail'] === 'string' ? body['detail'] : `the service answered ${status}`);
    this.status = status;
    this.code = typeof body['code'] === 'string' ? (body['code'] as ErrorCode) : 'unknown';
    this.requestId = typeof body['request_id'] === 'string' ? body['request_id'] : null;
    this.errors = Array.isArray(body['errors']) ? body['errors'] : [];
  }
}

export interface AuthClient {
  register(user: { email: string; password: string; first_name?: string; last_name?: string }): Promise<User | null>;
  login(credentials: { email: string; password: string }): Promise<User>;
  /** Ends this session at the service; what is stored is forgotten even when the service cannot be reached. */
  logout(): Promise<Receipt | null>;
  revokeAll(options?: { exceptCurrent?: boolean }): Promise<Receipt & { revoked_sessions: number }>;
  me(): Promise<{ user: User; session: Session }>;
  sessions(): Promise<readonly Session[]>;
  revokeSession(id: string): Promise<Receipt>;
  /** A valid access token, refreshed when it is about to expire; `null` when nobody is logged in. */
  accessToken(): Promise<string | null>;
}

/** A token is renewed so long before it expires. */
const renewAheadMs = 30_000;
const retryAfterMsMax = 10_000;

export function createClient(options: ClientOptions): AuthClient {
  const http = options.fetch ?? fetch;
  const now = options.now ?? Date.now;
  const sleep = options.sleep ?? ((ms) => new Promise<void>((resolve) => setTimeout(resolve, ms)));
  const storage = options.storage ?? memoryStorage();
  const base = options.baseUrl.replace(/\/+$/, '');
  let refreshing: Promise<string | null> | null = null;

  async function send(method: string, path: string, body?: unknown, token?: string): Promise<unknown> {
    for (let attempt = 0; ; attempt += 1) {
      const response = await http(`${base}/api/auth${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answer = await readJson(response);
      if (response.ok) return answer;
      if (response.status !== 503 || attempt >= (options.retries ?? 2)) throw new AuthError(response.status, answer);
      const seconds = Number(response.headers.get('retry-after') ?? '1');
      await sleep(Math.min(retryAfterMsMax, Math.max(0, Number.isFinite(seconds) ? seconds : 1) * 1_000));
    }
  }

  async function keep(answer: TokenAnswer): Promise<void> {
    const device = answer.device_token ?? (await storage.load())?.device_token;
    await storage.save({
      access_token: answer.access_token,
      refresh_token: answer.refresh_token,
      expires_at: now() + answer.expires_in * 1_000,
      ...(device === undefined ? {} : { device_token: device }),
    });
  }

  async function refresh(stored: StoredTokens): Promise<string | null> {
    let answer: TokenAnswer | null;
    try {
      answer = (await send('POST', '/refresh-token', { refresh_token: stored.refresh_token })) as TokenAnswer;
    } catch (error) {
      if (!(error instanceof AuthError) || !endedSessionCodes.has(error.code)) throw error;
      answer = null;
    }
    // Somebody logged out, or logged in as somebody else, meanwhile: what is stored now counts, not the answer.
    const current = await storage.load();
    if (current?.refresh_token !== stored.refresh_token) return current?.access_token ?? null;
    if (answer === null) await storage.save(null);
    else await keep(answer);
    return answer?.access_token ?? null;
  }

  function refreshOnce(stored: StoredTokens): Promise<string | null> {
    refreshing ??= refresh(stored).finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  async function accessToken(): Promise<string | null> {
    if (refreshing !== null) return refreshing;
    const stored = await storage.load();
    if (stored === null) return null;
    return stored.expires_at - now() > renewAheadMs ? stored.access_token : refreshOnce(stored);
  }

  /** With a token; once more with a new one where the service says that this one has ended. */
  async function call(method: string, path: string, body?: unknown): Promise<unknown> {
    const token = await accessToken();
    if (token === null) throw new AuthError(401, { code: 'missing_token', detail: 'Nobody is logged in.' });
    try {
      return await send(method, path, body, token);
    } catch (error) {
      const stored = await storage.load();
      if (!(error instanceof AuthError) || !endedTokenCodes.has(error.code) || stored === null) throw error;
      const renewed = await refreshOnce(stored);
      if (renewed === null) throw error;
      return send(method, path, body, renewed);
    }
  }

  return {
    accessToken,
    async register(user) {
      const answer = (await send('POST', '/register', { user })) as TokenAnswer | { status: string };
      if (!('access_token' in answer)) return null;
      await keep(answer);
      return answer.user;
    },
    async login(credentials) {
      const device = (await storage.load())?.device_token;
      const body = { ...credentials, ...(device === undefined ? {} : { device_token: device }) };
      const answer = (await send('POST', '/login', body)) as TokenAnswer;
      await keep(answer);
      return answer.user;
    },
    async logout() {
      const token = await accessToken().catch(() => null);
      try {
        return token === null ? null : ((await send('POST', '/logout', undefined, token)) as Receipt);
      } finally {
        await storage.save(null);
      }
    },
    async revokeAll({ exceptCurrent = false } = {}) {
      const receipt = await call('POST', '/revoke-all-tokens', { except_current: exceptCurrent });
      if (!exceptCurrent) await storage.save(null);
      return receipt as Receipt & { revoked_sessions: number };
    },
    me: async () => (await call('GET', '/me')) as { user: User; session: Session },
    sessions: async () => ((await call('GET', '/sessions')) as { sessions: Session[] }).sessions,
    revokeSession: async (id) => (await call('DELETE', `/sessions/${encodeURIComponent(id)}`)) as Receipt,
  };
}

const endedSessionCodes: ReadonlySet<string> = new Set(['invalid_refresh_token', 'refresh_token_reused']);
const endedTokenCodes: ReadonlySet<string> = new Set(['token_expired', 'token_revoked', 'invalid_token']);

function memoryStorage(): TokenStorage {
  let held: StoredTokens | null = null;
  return {
    load: () => held,
    save: (tokens) => {
      held = tokens;
    },
  };
}

async function readJson(response: Response): Promise<Record<string, unknown>> {
  try {
    const value: unknown = await response.json();
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
