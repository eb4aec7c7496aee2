/**
 * Credentials in cookies, for pages that should see no token: between the wire and the routes, which know nothing of it.
 *
 * - `X-Token-Transport: cookie` asks for it: the tokens of an answer become cookies and leave the body, and a refresh takes its
 *   token from the cookie. A request that was let in by a cookie is answered the same way, so no script gets at a token by it.
 * - A route that wants a bearer token takes the access cookie where there is no `Authorization`; both at once are refused.
 * - Whatever uses or sets cookies must come from a page of our own (`origin.rule.ts`), login and logout included.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type Carried, type Carrier, type RouteAnswer, refusal } from '../platform/http/index.ts';
import { accessCookie, endCookies, readCookie, refreshCookie, type SameSite, setCookie } from './cookies.rule.ts';
import { isOfOwnPage } from './origin.rule.ts';

export interface CookieOptions {
  readonly sameSite: SameSite;
  /** Of the service itself. */
  readonly publicUrl: string;
  /** Exact origins of pages that may use cookies across origins, within one site. */
  readonly origins: readonly string[];
}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly refresh_expires_in: number;
  readonly token_type?: string;
}

const refreshEndpoint = 'POST /api/auth/refresh-token';
const revokeAllEndpoint = 'POST /api/auth/revoke-all-tokens';
/** After these nothing of a session is left in the browser. */
const endings: ReadonlySet<string> = new Set(['POST /api/auth/logout', 'DELETE /api/auth/me']);
/** A refresh that is refused so, and a logout whose session is over already, leave cookies that are worth nothing. */
const deadCodes: ReadonlySet<string> = new Set([
  'invalid_refresh_token',
  'refresh_token_reused',
  'token_revoked',
  'missing_token',
]);

export function createCookieCarrier({ sameSite, publicUrl, origins }: CookieOptions): Carrier {
  const allowed = new Set([...origins, new URL(publicUrl).origin]);
  const ended = endCookies(sameSite).flatMap((cookie) => ['Set-Cookie', cookie]);

  function carry(endpoint: string, headers: IncomingHttpHeaders, kept: string | undefined): Carried {
    let ends = endings.has(endpoint);
    return {
      headers,
      body(value) {
        if (endpoint === revokeAllEndpoint) ends = !(isObject(value) && value['except_current'] === true);
        return endpoint === refreshEndpoint ? withRefreshToken(value, kept) : { kind: 'body', value };
      },
      answer(result) {
        if ('kind' in result) {
          const isOver = (ends || endpoint === refreshEndpoint) && deadCodes.has(result.code);
          return { result, headers: isOver ? ended : [] };
        }
        if (isTokens(result.body)) return intoCookies(result, result.body, sameSite);
        return { result, headers: ends ? [...ended, 'Clear-Site-Data', '"cookies"'] : [] };
      },
    };
  }

  return {
    receive(headers, { method, path, access }) {
      const endpoint = `${method} ${path}`;
      const asks = headers['x-token-transport'] === 'cookie';
      const given = access.kind === 'bearer' ? readCookie(headers.cookie, accessCookie) : undefined;
      const kept = asks && endpoint === refreshEndpoint ? readCookie(headers.cookie, refreshCookie) : undefined;
      if (!asks && given === undefined) return undefined;
      if (given === null || kept === null || headers.authorization !== undefined) {
        return refusal('ambiguous_credentials');
      }
      const site = headers['sec-fetch-site'];
      const coming = { method, origin: headers.origin, site: typeof site === 'string' ? site : undefined };
      if (!isOfOwnPage(coming, allowed)) return refusal('csrf');
      const { cookie: _cookie, ...others } = headers;
      return carry(endpoint, given === undefined ? others : { ...others, authorization: `Bearer ${given}` }, kept);
    },
  };
}

function intoCookies(result: RouteAnswer, tokens: Tokens, sameSite: SameSite): ReturnType<Carried['answer']> {
  const { access_token: access, refresh_token: refresh, token_type: _type, ...body } = tokens;
  const cookies = [
    setCookie(accessCookie, access, tokens.expires_in, sameSite),
    setCookie(refreshCookie, refresh, tokens.refresh_expires_in, sameSite),
  ].flatMap((cookie) => (cookie === undefined ? [] : ['Set-Cookie', cookie]));
  if (cookies.length < 4) {
    const detail = 'The permissions of this account do not fit into a cookie.';
    return { result: refusal('conflict', { detail }), headers: [] };
  }
  const text = JSON.stringify(body);
  return { result: { ...result, contentType: 'application/json; charset=utf-8', body: text }, headers: cookies };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTokens = (body: unknown): body is Tokens => isObject(body) && 'access_token' in body && 'refresh_token' in body;

/** A token in the body stays what it is, and is refused beside a cookie. */
function withRefreshToken(value: unknown, kept: string | undefined): ReturnType<Carried['body']> {
  if (!isObject(value)) return { kind: 'body', value };
  if ('refresh_token' in value) return kept === undefined ? { kind: 'body', value } : refusal('ambiguous_credentials');
  // No cookie is answered as a token that is not live.
  return { kind: 'body', value: { ...value, refresh_token: kept ?? '' } };
}
