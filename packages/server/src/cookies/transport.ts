/**
 * Credentials in cookies, for pages that should see no token: between the wire and the routes, which know nothing of it.
 *
 * - `X-Token-Transport: cookie` asks for it: the tokens of an answer become cookies and leave the body, and a refresh takes its
 *   token from the cookie. A request that was let in by a cookie is answered the same way, so no script gets at a token by it.
 * - A route that wants a bearer token takes the access cookie where there is no `Authorization`; both at once are refused.
 * - A logout takes the cookies out of the browser whatever comes of it, a failure too: what its user sees is what the browser holds.
 *   Only one that can be made again after a renewal, because the access token is over, leaves them for that.
 * - Whatever uses or sets cookies must come from a page of our own (`origin.rule.ts`), login and logout included.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type Carried, type Carrier, type RouteAnswer, refusal } from '../platform/http/index.ts';
import {
  endCookies,
  readAccess,
  readCookie,
  refreshCookie,
  type SameSite,
  setAccess,
  setCookie,
} from './cookies.rule.ts';
import { isOfOwnPage } from './origin.rule.ts';

export interface CookieOptions {
  readonly sameSite: SameSite;
  /** Of the service itself. */
  readonly publicUrl: string;
  /** Exact origins of pages that may use cookies across origins, within one site. */
  readonly origins: readonly string[];
  /** At a logout, all cookies of the registrable domain (`Clear-Site-Data`), or only ours. */
  readonly clears: 'site' | 'own';
}

/** What a request brought. */
interface Brought {
  readonly endpoint: string;
  readonly headers: IncomingHttpHeaders;
  /** The whole `Cookie` header. */
  readonly cookies: string | undefined;
  readonly refreshToken: string | undefined;
}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly refresh_expires_in: number;
  readonly token_type?: string;
}

const refreshEndpoint = 'POST /api/auth/refresh-token';
const logoutEndpoint = 'POST /api/auth/logout';
const revokeAllEndpoint = 'POST /api/auth/revoke-all-tokens';
/** After these nothing of a session is left in the browser. */
const endings: ReadonlySet<string> = new Set([logoutEndpoint, 'DELETE /api/auth/me']);
/** A refresh that is refused so leaves cookies that are worth nothing. */
const deadCodes: ReadonlySet<string> = new Set(['invalid_refresh_token', 'refresh_token_reused']);
/** The session may live on, and another access token is to be had. */
const renewableCodes: ReadonlySet<string> = new Set(['missing_token', 'token_expired', 'invalid_token']);

export function createCookieCarrier({ sameSite, publicUrl, origins, clears }: CookieOptions): Carrier {
  const allowed = new Set([...origins, new URL(publicUrl).origin]);

  function carry({ endpoint, headers, cookies, refreshToken }: Brought): Carried {
    const ended = () => endCookies(sameSite, cookies).flatMap((cookie) => ['Set-Cookie', cookie]);
    const failed = endpoint === logoutEndpoint ? ended() : [];
    let ends = endings.has(endpoint);
    return {
      headers,
      failed,
      body(value) {
        if (endpoint === revokeAllEndpoint) ends = !(isObject(value) && value['except_current'] === true);
        return endpoint === refreshEndpoint ? withRefreshToken(value, refreshToken) : { kind: 'body', value };
      },
      answer(result) {
        if ('kind' in result) {
          const isOver = endpoint === refreshEndpoint && deadCodes.has(result.code);
          const isRevoked = ends && result.code === 'token_revoked';
          const mayRenew = refreshToken !== undefined && renewableCodes.has(result.code);
          return { result, headers: isOver || isRevoked ? ended() : mayRenew ? [] : failed };
        }
        if (isTokens(result.body)) return intoCookies(result, result.body, sameSite, cookies);
        const all = clears === 'site' ? ['Clear-Site-Data', '"cookies"'] : [];
        return { result, headers: ends ? [...ended(), ...all] : [] };
      },
    };
  }

  return {
    receive(headers, { method, path, access }) {
      const endpoint = `${method} ${path}`;
      const asks = headers['x-token-transport'] === 'cookie';
      const { cookie: cookies, ...others } = headers;
      const given = access.kind === 'bearer' ? readAccess(cookies) : undefined;
      const looksForIt = endpoint === logoutEndpoint || (asks && endpoint === refreshEndpoint);
      const kept = looksForIt ? readCookie(cookies, refreshCookie) : undefined;
      if (!asks && given === undefined) return undefined;
      if (given === null || kept === null || headers.authorization !== undefined) {
        return refusal('ambiguous_credentials');
      }
      const site = headers['sec-fetch-site'];
      const coming = { method, origin: headers.origin, site: typeof site === 'string' ? site : undefined };
      if (!isOfOwnPage(coming, allowed)) return refusal('csrf');
      const seen = given === undefined ? others : { ...others, authorization: `Bearer ${given}` };
      return carry({ endpoint, headers: seen, cookies, refreshToken: kept });
    },
  };
}

function intoCookies(
  result: RouteAnswer,
  tokens: Tokens,
  sameSite: SameSite,
  had: string | undefined,
): ReturnType<Carried['answer']> {
  const { access_token: access, refresh_token: refresh, token_type: _type, ...body } = tokens;
  const cookies = [
    ...setAccess(access, tokens.expires_in, sameSite, had),
    setCookie(refreshCookie, refresh, tokens.refresh_expires_in, sameSite),
  ];
  return {
    result: { ...result, contentType: 'application/json; charset=utf-8', body: JSON.stringify(body) },
    headers: cookies.flatMap((cookie) => ['Set-Cookie', cookie]),
  };
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
