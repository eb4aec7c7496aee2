/** What each connection of the load generator asks next, from what it was answered before. */
import { Buffer } from 'node:buffer';
import type { Traffic } from './jobs.ts';

export interface Source {
  /** `undefined`: this connection has nothing more to ask. */
  next(connection: number): Buffer | undefined;
  answered(connection: number, status: number, body: () => string): void;
  kinds(): Readonly<Record<string, number>>;
  tokens(): readonly string[];
}

const prefix = '/api/auth';

/** A whole request; `headers` are lines without line ends. */
export function httpRequest(method: string, path: string, body: unknown, headers: readonly string[] = []): string {
  const text = body === undefined ? '' : JSON.stringify(body);
  const entity =
    body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`];
  return `${[`${method} ${path} HTTP/1.1`, 'Host: localhost', ...headers, ...entity].join('\r\n')}\r\n\r\n${text}`;
}

export const requests = {
  validate: (token: string): string => httpRequest('POST', `${prefix}/validate-token`, { token }),
  refresh: (token: string, path = `${prefix}/refresh-token`): string =>
    httpRequest('POST', path, { refresh_token: token }),
  login: (email: string, password: string): string => httpRequest('POST', `${prefix}/login`, { email, password }),
  register: (email: string, password: string): string =>
    httpRequest('POST', `${prefix}/register`, { user: { email, password } }),
  logout: (token: string): string =>
    httpRequest('POST', `${prefix}/logout`, undefined, [`Authorization: Bearer ${token}`, 'Content-Length: 0']),
};

/** A member's text out of a flat search: the generator has no time to parse. */
function member(body: string, name: string): string | undefined {
  const start = body.indexOf(`"${name}":"`);
  if (start === -1) return undefined;
  const from = start + name.length + 4;
  return body.slice(from, body.indexOf('"', from));
}

export function createSource(traffic: Traffic): Source {
  switch (traffic.kind) {
    case 'cycle':
      return list(traffic.requests, true);
    case 'once':
      return list(traffic.requests, false);
    case 'rotate':
      return rotate(traffic.tokens, traffic.path);
    case 'mixed':
      return mixed(traffic);
  }
}

const nothing = { kinds: () => ({}), tokens: () => [] };

function list(texts: readonly string[], again: boolean): Source {
  const bytes = texts.map((text) => Buffer.from(text, 'latin1'));
  let at = 0;
  return {
    ...nothing,
    next: () => {
      if (at === bytes.length && again) at = 0;
      return bytes[at++];
    },
    answered: () => undefined,
  };
}

function rotate(tokens: readonly string[], path: string): Source {
  const current = [...tokens];
  return {
    ...nothing,
    next: (connection) => Buffer.from(requests.refresh(current[connection] ?? '', path), 'latin1'),
    answered: (connection, status, body) => {
      const successor = member(body(), 'refresh_token');
      if (status !== 200 || successor === undefined) throw new Error(`a refresh was answered ${status}: ${body()}`);
      current[connection] = successor;
    },
    tokens: () => current,
  };
}

function mixed({ percent, validates, logins, tokens }: Extract<Traffic, { kind: 'mixed' }>): Source {
  const validateBytes = validates.map((text) => Buffer.from(text, 'latin1'));
  const loginBytes = logins.map((text) => Buffer.from(text, 'latin1'));
  const refreshes = rotate(tokens, `${prefix}/refresh-token`);
  const counts: Record<string, number> = { validate: 0, refresh: 0, login: 0, logout: 0 };
  const asked: string[] = [];
  /** Access tokens of logins that are not logged out yet. */
  const open: string[] = [];
  const draw = sequence();
  let at = 0;

  const choose = (): string => {
    const dice = draw() % 100;
    if (dice < percent.validate) return 'validate';
    if (dice < percent.validate + percent.refresh) return 'refresh';
    if (dice < percent.validate + percent.refresh + percent.login) return 'login';
    return open.length > 0 ? 'logout' : 'validate';
  };
  return {
    ...nothing,
    next: (connection) => {
      const kind = choose();
      asked[connection] = kind;
      at += 1;
      if (kind === 'validate') return validateBytes[at % validateBytes.length];
      if (kind === 'login') return loginBytes[at % loginBytes.length];
      if (kind === 'refresh') return refreshes.next(connection);
      return Buffer.from(requests.logout(open.shift() ?? ''), 'latin1');
    },
    answered: (connection, status, body) => {
      const kind = asked[connection] ?? '';
      counts[kind] = (counts[kind] ?? 0) + 1;
      if (kind === 'refresh') refreshes.answered(connection, status, body);
      if (kind === 'login' && status === 200) open.push(member(body(), 'access_token') ?? '');
    },
    kinds: () => counts,
  };
}

/** The same numbers each time, so that runs are alike. */
function sequence(): () => number {
  let state = 20_261_123;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
}
