/** The cookies of a session: their names, how they are read, and how they are set. RFC 6265bis; `__Host-` keeps siblings out. */

export const accessCookie = '__Host-auth_access';
export const refreshCookie = '__Host-auth_refresh';

/** A token that is longer than one cookie may be goes on in the next; one of 8 KiB, which is the longest that is valid, takes three. */
const accessCookies = [accessCookie, `${accessCookie}.1`, `${accessCookie}.2`] as const;

/** Name and value together, RFC 6265bis section 5.6; browsers drop what is longer, without a word. */
export const cookieBytesMax = 4_096;

export type SameSite = 'lax' | 'strict';

/** What tokens are made of; anything else is no cookie of ours. */
const value = /^[A-Za-z0-9._~+/=-]+$/;

/** `null` where it comes twice: of two, one reader takes the first and another the last. */
export function readCookie(header: string | undefined, name: string): string | null | undefined {
  if (header === undefined) return undefined;
  let found: string | undefined;
  for (const part of header.split(';')) {
    const text = part.trim();
    if (!text.startsWith(`${name}=`)) continue;
    if (found !== undefined) return null;
    found = text.slice(name.length + 1);
  }
  return found !== undefined && value.test(found) ? found : undefined;
}

/** The access token, put together again. A piece that is left of an older one makes a token that is worth nothing, until the next. */
export function readAccess(header: string | undefined): string | null | undefined {
  let whole: string | undefined;
  for (const name of accessCookies) {
    const piece = readCookie(header, name);
    if (piece === null) return null;
    if (piece === undefined) break;
    whole = (whole ?? '') + piece;
  }
  return whole;
}

/** `had`: what the request carried, of which pieces may be left that are not needed any more. */
export function setAccess(
  token: string,
  maxAgeSeconds: number,
  sameSite: SameSite,
  had: string | undefined,
): readonly string[] {
  const cookies: string[] = [];
  let rest = token;
  for (const name of accessCookies) {
    const room = cookieBytesMax - name.length - 1;
    if (rest !== '') cookies.push(setCookie(name, rest.slice(0, room), maxAgeSeconds, sameSite));
    else if (readCookie(had, name) !== undefined) cookies.push(setCookie(name, '', 0, sameSite));
    rest = rest.slice(room);
  }
  if (rest !== '') throw new Error('a token of more than 8 KiB is not valid, so none is issued');
  return cookies;
}

export function setCookie(name: string, text: string, maxAgeSeconds: number, sameSite: SameSite): string {
  if (name.length + 1 + text.length > cookieBytesMax) throw new Error(`${name} is longer than browsers keep`);
  return `${name}=${text}; Path=/; Max-Age=${maxAgeSeconds}; Secure; HttpOnly; SameSite=${sameSite === 'lax' ? 'Lax' : 'Strict'}`;
}

/** Both, and what else of ours the request carried. */
export function endCookies(sameSite: SameSite, had: string | undefined): readonly string[] {
  const carried = accessCookies.slice(1).filter((name) => readCookie(had, name) !== undefined);
  return [accessCookie, refreshCookie, ...carried].map((name) => setCookie(name, '', 0, sameSite));
}
