import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accessCookie, endCookies, readAccess, readCookie, setAccess, setCookie } from './cookies.rule.ts';
import { isOfOwnPage } from './origin.rule.ts';

const allowed = new Set(['https://app.example.org', 'https://auth.example.org']);
const site = (name: string | undefined, origin?: string, method = 'POST') =>
  isOfOwnPage({ method, origin, site: name }, allowed);

describe('whose page it is', () => {
  test('BRW-04 what changes something needs the same origin by Sec-Fetch-Site, or a listed one by Origin', () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      assert.ok(site('same-origin', undefined, method));
      assert.ok(site('same-site', 'https://app.example.org', method));
      assert.ok(site(undefined, 'https://auth.example.org', method));
      for (const from of [undefined, 'none', 'same-site', 'cross-site', 'SAME-ORIGIN', 'same-origin, cross-site', '']) {
        assert.ok(!site(from, undefined, method), `${method} ${from}`);
      }
      for (const origin of [
        'null',
        'https://evil.example',
        'https://app.example.org.evil.example',
        'https://evilapp.example.org',
        'http://app.example.org',
        'https://app.example.org:8443',
        'https://APP.example.org',
        'https://app.example.org/',
        '',
      ]) {
        assert.ok(!site(undefined, origin, method), origin);
        assert.ok(!site('cross-site', origin, method), origin);
        assert.ok(!site('same-site', origin, method), origin);
      }
      assert.ok(!site('same-origin', 'null', method));
    }
  });

  test('BRW-04 what reads is answered to programs and to our own pages, not to a page of somebody else', () => {
    for (const method of ['GET', 'HEAD']) {
      for (const from of [undefined, 'none', 'same-origin']) assert.ok(site(from, undefined, method), from);
      assert.ok(site('same-site', 'https://app.example.org', method));
      for (const from of ['cross-site', 'same-site']) assert.ok(!site(from, undefined, method), from);
      assert.ok(!site(undefined, 'https://evil.example', method));
      assert.ok(!site('none', 'null', method));
    }
  });
});

describe('cookies', () => {
  test('BRW-03 are bound to this host, hidden from scripts, and never longer than browsers keep', () => {
    const text = setCookie(accessCookie, 'a.b-c_d', 60, 'strict');
    assert.equal(text, '__Host-auth_access=a.b-c_d; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Strict');
    const room = 4_096 - accessCookie.length - 1;
    assert.ok(setCookie(accessCookie, 'x'.repeat(room), 60, 'lax').endsWith('SameSite=Lax'));
    assert.throws(() => setCookie(accessCookie, 'x'.repeat(room + 1), 60, 'lax'), /longer than browsers keep/);
    assert.equal(endCookies('lax', undefined).length, 2);
    for (const cookie of endCookies('lax', `${accessCookie}.1=x; other=y`)) {
      assert.match(cookie, /^__Host-auth_\w+(\.1)?=; Path=\/; Max-Age=0; /);
    }
    assert.equal(endCookies('lax', `${accessCookie}.1=x; other=y`).length, 3);
  });

  test('BRW-03 a long token goes on in further cookies, whole again when it comes back, and nothing is left of a longer one', () => {
    const token = (bytes: number): string => Array.from({ length: bytes }, (_, index) => 'abcdefg'[index % 7]).join('');
    const headerOf = (cookies: readonly string[]): string =>
      cookies.map((cookie) => cookie.split(';', 1)[0] ?? '').join('; ');
    for (const [bytes, count] of [
      [600, 1],
      [4_077, 1],
      [4_078, 2],
      [8_192, 3],
    ] as const) {
      const cookies = setAccess(token(bytes), 60, 'strict', undefined);
      assert.equal(cookies.length, count, `${bytes}`);
      for (const cookie of cookies) assert.ok((cookie.split(';', 1)[0] ?? '').length <= 4_096);
      assert.equal(readAccess(headerOf(cookies)), token(bytes));
      assert.equal(readAccess(headerOf(cookies.toReversed())), token(bytes));
    }
    const long = headerOf(setAccess(token(8_192), 60, 'lax', undefined));
    assert.match(
      setAccess('short', 60, 'lax', long).slice(1).join(),
      /auth_access\.1=; .*Max-Age=0.*auth_access\.2=; .*Max-Age=0/,
    );
    assert.equal(readAccess(`${long}; ${accessCookie}.1=x`), null);
    assert.equal(readAccess(`${accessCookie}.1=x`), undefined);
    assert.throws(() => setAccess(token(13_000), 60, 'lax', undefined), /8 KiB/);
  });

  test('are found among others, whole and once', () => {
    const read = (header: string | undefined) => readCookie(header, accessCookie);
    assert.equal(read(`a=1; ${accessCookie}=tok.en; b=2`), 'tok.en');
    assert.equal(read(`${accessCookie}=tok==`), 'tok==');
    for (const header of [
      undefined,
      '',
      'a=1',
      `x${accessCookie}=1`,
      `${accessCookie}x=1`,
      `${accessCookie}=`,
      `${accessCookie}="quoted"`,
      `${accessCookie}=a b`,
      `${accessCookie.toLowerCase()}=1`,
      `${accessCookie} =1`,
    ]) {
      assert.equal(read(header), undefined, header);
    }
    assert.equal(read(`${accessCookie}=1; ${accessCookie}=2`), null);
    assert.equal(read(`${accessCookie}=1;${accessCookie}=1`), null);
  });
});
