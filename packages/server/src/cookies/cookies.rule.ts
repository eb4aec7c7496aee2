/** The cookies of a session: their names, how they are read, and how they are set. RFC 6265bis; `__Host-` keeps siblings out. */

export const accessCookie = '__Host-auth_access';
export const refreshCookie = '__Host-auth_refresh';

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

/** `undefined` where browsers would drop it. */
export function setCookie(name: string, text: string, maxAgeSeconds: number, sameSite: SameSite): string | undefined {
  if (name.length + 1 + text.length > cookieBytesMax) return undefined;
  return `${name}=${text}; Path=/; Max-Age=${maxAgeSeconds}; Secure; HttpOnly; SameSite=${sameSite === 'lax' ? 'Lax' : 'Strict'}`;
}

export const endCookies = (sameSite: SameSite): readonly string[] =>
  [accessCookie, refreshCookie].flatMap((name) => setCookie(name, '', 0, sameSite) ?? []);
