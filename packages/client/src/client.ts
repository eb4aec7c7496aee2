/**
 * A client of the service's HTTP API, for browsers and Node, on the platform's `fetch` alone.
 *
 * Every method rejects with an `AuthError` that carries the service's code, or with the reason of the caller's `AbortSignal`.
 * How the session is kept stands in `keeper.ts`, how a call is made in `transport.ts`.
 */
import type { EmailProven, Passkey, Receipt, Session, User } from '@auth-service/protocol';
import { AuthError } from './errors.ts';
import { type AuthState, createKeeper, type Keeper } from './keeper.ts';
import { type AuthStorage, memoryStorage, type StoredSession } from './storage.ts';
import { type Call, createTransport, type Send, sleep } from './transport.ts';

/** Where the service is, and what the client may use of the platform. */
export interface ClientOptions {
  /** The service's URL, e.g. `https://auth.example.org`. */
  readonly baseUrl: string;
  /** Where the session is kept; in memory by default. */
  readonly storage?: AuthStorage;
  /**
   * `cookie`: tokens stay in `HttpOnly` cookies that no script sees. For pages of the service's own site, where the service has
   * `COOKIE_MODE` on and, on another origin, lists the page's in `CORS_ORIGINS`.
   */
  readonly mode?: 'bearer' | 'cookie';
  /** Origins beside the service's own that `client.fetch` may send the access token to. */
  readonly apiOrigins?: readonly string[];
  readonly fetch?: typeof fetch;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** How often a call that may be said twice is tried again; 2 by default. */
  readonly retries?: number;
  /** How long one answer may take, milliseconds; 15,000 by default. */
  readonly timeoutMs?: number;
}

/** Of every call. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** A proof of a second factor: one of them. */
export type FactorProof =
  /** Six digits of an authenticator app. */
  | { readonly code: string }
  | { readonly recoveryCode: string }
  /** What `./passkeys` or `credential.toJSON()` gives. */
  | { readonly webauthn: object };

/** A login that succeeded, or one that waits for a second factor. */
export type LoginResult =
  | { readonly kind: 'signed_in'; readonly user: User }
  | {
      readonly kind: 'mfa_required';
      readonly methods: readonly string[];
      /** Until `verifyMfa` must have been called, seconds. */
      readonly expiresIn: number;
      /** Only where the page is left meanwhile: the client remembers it. */
      readonly mfaToken: string;
    };

/** What `./passkeys` and applications with calls of their own build on. */
export interface RawClient {
  /** A call without credential, below `/api/auth`. */
  send(call: Omit<Call, 'token'>): Promise<unknown>;
  /** A call as whoever is signed in; again, once, where the token had ended. */
  call(call: Omit<Call, 'token'>): Promise<unknown>;
  /** Keeps the session that an answer begins, or tells that a second factor is wanted. */
  signIn(attempt: Promise<unknown>): Promise<LoginResult>;
  /** The `mfa_token` of the login that waits for a second factor. */
  pendingMfa(): string | undefined;
}

/** What `createClient` gives. Every method rejects with an `AuthError`, or with the reason of its `signal`. */
export type AuthClient = ReturnType<typeof createClient>;

const loginWaits = 'there is no login that waits for a second factor';
/** The service says so of a token that the session may renew. */
const endedTokenCodes: ReadonlySet<string> = new Set(['token_expired', 'token_revoked', 'invalid_token']);

/** A client of one service. It asks for nothing before its first call. Throws `TypeError` for a `baseUrl` that is no URL. */
export function createClient(options: ClientOptions) {
  const cookies = options.mode === 'cookie';
  const http = options.fetch ?? ((input, init) => fetch(input, init));
  const now = options.now ?? Date.now;
  const send = createTransport({
    baseUrl: options.baseUrl,
    fetch: http,
    now,
    sleep: options.sleep ?? sleep,
    cookies,
    retriesMax: options.retries ?? 2,
    timeoutMs: options.timeoutMs ?? 15_000,
  });
  const keeper = createKeeper({
    storage: options.storage ?? memoryStorage(),
    send,
    now,
    cookies,
    baseUrl: options.baseUrl,
  });
  const raw = createRaw(send, keeper, cookies);
  const origins = new Set([options.baseUrl, ...(options.apiOrigins ?? [])].map((url) => new URL(url).origin));
  return {
    raw,
    ...signing(raw, keeper, { send, cookies }),
    ...account(raw, keeper),
    ...factors(raw),
    /**
     * `fetch` for your own API, with the access token, and again once where it is answered 401 with a body that can be sent
     * twice. Only the service's origin, the page's own and `apiOrigins` get it: any other is refused, and so is a redirect. Not
     * for cookie mode, where no script has a token.
     */
    fetch: (input: string | URL, init: RequestInit = {}) => fetchWith(input, init, { keeper, http, origins, cookies }),
    /** A good access token, renewed where it is due; `null` where nobody is signed in, and in cookie mode. */
    accessToken: async ({ signal }: CallOptions = {}): Promise<string | null> =>
      (await keeper.session(signal))?.access_token ?? null,
    state: (): Promise<AuthState> => keeper.state(),
    /** Called with each change of the session, in other tabs of the same storage too; answers how to stop it. */
    onChange: (listener: (state: AuthState) => void): (() => void) => keeper.onChange(listener),
    /** Ends what listens to other tabs; the session stays. */
    close: (): void => keeper.close(),
  };
}

function createRaw(send: Send, keeper: Keeper, cookies: boolean): RawClient {
  let mfaToken: string | undefined;
  const tokenOf = (session: StoredSession | null): Pick<Call, 'token'> => ({ token: session?.access_token });

  return {
    send,
    async call(call) {
      const session = await keeper.session(call.signal);
      if (session === null && !cookies) throw new AuthError('signed_out', 'nobody is signed in');
      try {
        return await send({ ...call, ...tokenOf(session) });
      } catch (error) {
        if (!(error instanceof AuthError) || !isOver(error, cookies)) throw error;
        const next = await keeper.renewed(session, call.signal);
        if (next === null) throw error;
        return send({ ...call, ...tokenOf(next) });
      }
    },
    async signIn(attempt) {
      try {
        const user = await keeper.keep(await attempt);
        mfaToken = undefined;
        return { kind: 'signed_in', user };
      } catch (error) {
        if (!(error instanceof AuthError) || error.code !== 'mfa_required') throw error;
        const { mfa_token: token, methods, expires_in: expiresIn } = error.body;
        if (typeof token !== 'string' || !Array.isArray(methods)) throw error;
        mfaToken = token;
        return { kind: 'mfa_required', methods, expiresIn: Number(expiresIn), mfaToken: token };
      }
    },
    pendingMfa: () => mfaToken,
  };
}

const isOver = (error: AuthError, cookies: boolean): boolean =>
  endedTokenCodes.has(error.code) || (cookies && error.code === 'missing_token');

/** In and out. */
function signing(raw: RawClient, keeper: Keeper, { send, cookies }: { send: Send; cookies: boolean }) {
  // An answer of whatever kind has taken the cookies away, so there is nothing to say again.
  const repeatable = cookies ? 'unanswered' : true;
  return {
    /** `null` where the address must be verified first; the answer is the same for an address that is known. */
    async register(
      user: { email: string; password: string; first_name?: string | null; last_name?: string | null },
      { signal }: CallOptions = {},
    ): Promise<User | null> {
      const answer = await send({ method: 'POST', path: '/register', body: { user }, signal });
      return (answer as { status?: string }).status === 'verification_sent' ? null : keeper.keep(answer);
    },
    async login(
      { email, password }: { email: string; password: string },
      { signal }: CallOptions = {},
    ): Promise<LoginResult> {
      const device = await keeper.deviceToken();
      const body = { email, password, ...(device === undefined ? {} : { device_token: device }) };
      return raw.signIn(send({ method: 'POST', path: '/login', body, signal }));
    },
    /** The second step of a login, or of `reauthenticate`. */
    async verifyMfa(proof: FactorProof & { mfaToken?: string }, { signal }: CallOptions = {}): Promise<User> {
      const token = proof.mfaToken ?? raw.pendingMfa();
      if (token === undefined) throw new AuthError('mfa_token_invalid', loginWaits);
      const body = { mfa_token: token, ...bodyOf(proof) };
      const result = await raw.signIn(send({ method: 'POST', path: '/mfa/verify', body, signal }));
      if (result.kind === 'signed_in') return result.user;
      throw new AuthError('mfa_token_invalid', loginWaits);
    },
    /**
     * Proves again who is there, for calls that answer `reauthentication_required`; with a second factor on the account, a
     * password leads to `mfa_required`.
     */
    reauthenticate: (
      proof: { readonly password: string } | Exclude<FactorProof, { recoveryCode: string }>,
      { signal }: CallOptions = {},
    ): Promise<LoginResult> =>
      raw.signIn(raw.call({ method: 'POST', path: '/reauthenticate', body: bodyOf(proof), signal })),
    /**
     * Ends this session. What is kept here is forgotten even when the service cannot be reached; that is then told: the session
     * lives on there, and in cookie mode without any answer (`status` 0) so do the cookies.
     */
    async logout({
      signal,
      forgetDevice = false,
    }: CallOptions & { forgetDevice?: boolean } = {}): Promise<Receipt | null> {
      try {
        return (await raw.call({ method: 'POST', path: '/logout', signal, repeatable })) as Receipt;
      } catch (error) {
        // Over already: that is what was wanted.
        if (error instanceof AuthError && (error.status === 401 || error.code === 'signed_out')) return null;
        throw error;
      } finally {
        await keeper.forget('logged_out', forgetDevice);
      }
    },
    /** Ends every session of the account, or all but this one. */
    async revokeAll({ signal, exceptCurrent = false }: CallOptions & { exceptCurrent?: boolean } = {}) {
      const body = { except_current: exceptCurrent };
      const receipt = await raw.call({ method: 'POST', path: '/revoke-all-tokens', body, signal });
      if (!exceptCurrent) await keeper.forget('logged_out');
      return receipt as Receipt & { revoked_sessions: number };
    },
  };
}

/** The account and its sessions. */
function account(raw: RawClient, keeper: Keeper) {
  const call = async <T>(request: Call): Promise<T> => (await raw.call(request)) as T;
  const told = async (request: Call): Promise<User> => {
    const since = keeper.arrivals();
    const { user } = await call<{ user: User }>(request);
    await keeper.learn(user, since);
    return user;
  };
  return {
    async me({ signal }: CallOptions = {}): Promise<{ user: User; session: Session }> {
      const since = keeper.arrivals();
      const answer = await call<{ user: User; session: Session }>({ method: 'GET', path: '/me', signal });
      await keeper.learn(answer.user, since, answer.session.id);
      return answer;
    },
    updateProfile: async (
      change: { first_name?: string | null; last_name?: string | null },
      { signal }: CallOptions = {},
    ): Promise<User> => told({ method: 'PATCH', path: '/me', body: change, signal }),
    /** With the password, or without after a fresh authentication. */
    async deleteAccount({ signal, password }: CallOptions & { password?: string } = {}): Promise<void> {
      await raw.call({
        method: 'DELETE',
        path: '/me',
        body: password === undefined ? {} : { password },
        signal,
        repeatable: false,
      });
      await keeper.forget('logged_out', true);
    },
    /** Ends every other session. */
    changePassword: (change: { current: string; next: string }, { signal }: CallOptions = {}) =>
      call<Receipt & { revoked_sessions: number }>({
        method: 'POST',
        path: '/change-password',
        body: { current_password: change.current, new_password: change.next },
        signal,
      }),
    /** Takes effect when the code in the mail to the new address is proven. */
    changeEmail: async (
      { email, password }: { email: string; password?: string },
      { signal }: CallOptions = {},
    ): Promise<void> => {
      const body = { new_email: email, ...(password === undefined ? {} : { password }) };
      await raw.call({ method: 'POST', path: '/change-email', body, signal });
    },
    /**
     * The code of the mail, of a registration or of another address. Nobody is signed in by it. `password` or
     * `newPassword`: where the code came by a link and not from whoever registered on this page, the password of the registration, or a new one in its place.
     */
    verifyEmail: async (
      token: string,
      { signal, ...proof }: CallOptions & { password?: string; newPassword?: string } = {},
    ) => {
      const body = {
        token,
        ...(proof.password === undefined ? {} : { password: proof.password }),
        ...(proof.newPassword === undefined ? {} : { new_password: proof.newPassword }),
      };
      return (await raw.send({ method: 'POST', path: '/verify-email', body, signal })) as EmailProven;
    },
    /** The same answer for every address. */
    resendVerification: async (email: string, { signal }: CallOptions = {}): Promise<void> => {
      await raw.send({ method: 'POST', path: '/resend-verification', body: { email }, signal });
    },
    /** The same answer for every address. */
    forgotPassword: async (email: string, { signal }: CallOptions = {}): Promise<void> => {
      await raw.send({ method: 'POST', path: '/forgot-password', body: { email }, signal });
    },
    /** With the code of the mail. Ends every session, and signs nobody in. */
    resetPassword: async ({ token, password }: { token: string; password: string }, { signal }: CallOptions = {}) => {
      const body = { token, new_password: password };
      return (await raw.send({ method: 'POST', path: '/reset-password', body, signal })) as Receipt;
    },
    sessions: async ({ signal }: CallOptions = {}): Promise<readonly Session[]> =>
      (await call<{ sessions: Session[] }>({ method: 'GET', path: '/sessions', signal })).sessions,
    endSession: (id: string, { signal }: CallOptions = {}) =>
      call<Receipt>({ method: 'DELETE', path: `/sessions/${encodeURIComponent(id)}`, signal }),
    /** A receipt as it stands now, by its `position`. */
    receipt: (position: string, { signal }: CallOptions = {}) =>
      call<Receipt>({ method: 'GET', path: `/revocations/${encodeURIComponent(position)}`, signal }),
  };
}

/** Second factors; the ceremonies of passkeys are in `./passkeys`. */
function factors(raw: RawClient) {
  const call = async <T>(request: Call): Promise<T> => (await raw.call(request)) as T;
  const passkey = (id: string): string => `/webauthn/credentials/${encodeURIComponent(id)}`;
  return {
    mfa: ({ signal }: CallOptions = {}) => call<MfaStatus>({ method: 'GET', path: '/mfa', signal }),
    /** A new secret for an authenticator app; in force when `confirmTotp` has seen a code of it. */
    enrolTotp: ({ signal }: CallOptions = {}) =>
      call<{ secret: string; otpauth_uri: string; qr_svg: string }>({ method: 'POST', path: '/mfa/totp', signal }),
    /** The recovery codes, which are shown once. */
    confirmTotp: async (code: string, { signal }: CallOptions = {}): Promise<readonly string[]> =>
      codesOf(await raw.call({ method: 'POST', path: '/mfa/totp/confirm', body: { code }, signal })),
    removeTotp: async ({ signal }: CallOptions = {}): Promise<void> => {
      await raw.call({ method: 'DELETE', path: '/mfa/totp', signal });
    },
    /** New ones; the old ones end. */
    renewRecoveryCodes: async ({ signal }: CallOptions = {}): Promise<readonly string[]> =>
      codesOf(await raw.call({ method: 'POST', path: '/mfa/recovery-codes', signal })),
    passkeys: async ({ signal }: CallOptions = {}): Promise<readonly Passkey[]> =>
      (await call<{ credentials: Passkey[] }>({ method: 'GET', path: '/webauthn/credentials', signal })).credentials,
    renamePasskey: async (id: string, name: string, { signal }: CallOptions = {}): Promise<Passkey> =>
      (await call<{ credential: Passkey }>({ method: 'PATCH', path: passkey(id), body: { name }, signal })).credential,
    removePasskey: async (id: string, { signal }: CallOptions = {}): Promise<void> => {
      await raw.call({ method: 'DELETE', path: passkey(id), signal });
    },
  };
}

/** The second factors of the account that is signed in. */
export interface MfaStatus {
  readonly enabled: boolean;
  readonly methods: readonly string[];
  readonly totp: { readonly confirmed_at: string } | null;
  readonly recovery_codes_left: number;
}

const codesOf = (answer: unknown): readonly string[] => {
  const { recovery_codes: codes } = answer as { recovery_codes?: string[] };
  return codes ?? [];
};

const bodyOf = (proof: object): Readonly<Record<string, unknown>> => {
  const { recoveryCode, mfaToken: _mfaToken, ...rest } = proof as Record<string, unknown>;
  return recoveryCode === undefined ? rest : { ...rest, recovery_code: recoveryCode };
};

interface FetchDeps {
  readonly keeper: Keeper;
  readonly http: typeof fetch;
  readonly origins: ReadonlySet<string>;
  readonly cookies: boolean;
}

async function fetchWith(input: string | URL, init: RequestInit, deps: FetchDeps): Promise<Response> {
  const page = (globalThis as { location?: { href: string } }).location?.href;
  if (!URL.canParse(String(input), page)) throw new TypeError('outside of a page an address is whole, with its origin');
  const url = new URL(input, page);
  // A page of no origin (a file, a sandbox) has none of its own that could be told from another.
  const isListed = deps.origins.has(url.origin) || (page !== undefined && url.origin === new URL(page).origin);
  if (!isListed || url.origin === 'null') {
    throw new TypeError(`${url.origin} is not among the origins that get the access token`);
  }
  if (deps.cookies) throw new TypeError('in cookie mode no script has a token to send');
  const signal = init.signal ?? undefined;
  const attempt = (session: StoredSession): Promise<Response> => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${session.access_token}`);
    return deps.http(url, { ...init, headers, redirect: init.redirect === 'manual' ? 'manual' : 'error' });
  };
  const session = await deps.keeper.session(signal);
  if (session?.access_token === undefined) throw new AuthError('signed_out', 'nobody is signed in');
  const response = await attempt(session);
  const once = typeof init.body === 'object' && init.body !== null && 'getReader' in init.body;
  if (response.status !== 401 || once || !saysTokenEnded(response)) return response;
  const next = await deps.keeper.renewed(session, signal);
  if (next?.access_token === undefined) return response;
  await response.body?.cancel();
  return attempt(next);
}

/** RFC 6750 section 3.1; a 401 without it is another matter. */
const saysTokenEnded = (response: Response): boolean => {
  const challenge = response.headers.get('www-authenticate');
  return challenge === null || /\binvalid_token\b/.test(challenge);
};
