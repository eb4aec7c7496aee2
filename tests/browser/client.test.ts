/** The client in a real browser: tabs that share a storage, cookies that no script sees, passkeys; nothing in between imitated. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newEmail, newPassword } from '../service/support/suite.ts';
import { type Browser, type Page, startChromium } from '../support/chromium.ts';
import { type RunningService, startService } from '../support/service.ts';
import { startClientPage } from './support/client-page.ts';
import { startPage, type TestPage } from './support/page-server.ts';

describe('the client in a browser', () => {
  let browser: Browser;
  let service: RunningService;
  let site: TestPage;

  before(async () => {
    [browser, site] = await Promise.all([startChromium(), startClientPage()]);
    service = await startService({ store: 'embedded', env: { PUBLIC_URL: site.origin, COOKIE_MODE: 'strict' } });
    site.serve(service.url);
  });
  after(async () => {
    await browser?.stop();
    await site?.stop();
    await service?.stop();
  });

  /** A tab with `client`, whose clock stands `hours` ahead. */
  async function openTab(options: string, beside?: Page): Promise<Page> {
    const page = await browser.newPage(beside);
    await page.open(`${site.origin}/`);
    await page.run(`void (globalThis.hours = 0, globalThis.heard = [],
      globalThis.client = auth.createClient({ baseUrl: location.origin, now: () => Date.now() + hours * 3600000, ${options} }),
      client.onChange((state) => heard.push(state.status)))`);
    return page;
  }
  const stored = 'storage: auth.webStorage(localStorage)';
  const account = () => {
    const made = { email: newEmail(), password: newPassword() };
    service.secrets.add(made.password);
    return JSON.stringify(made);
  };
  const refreshes = () => site.asked.filter((call) => call.endsWith('/refresh-token')).length;

  test('six tabs that wake up together refresh once, and a logout in one is heard in all', async () => {
    const first = await openTab(stored);
    const others = await Promise.all(Array.from({ length: 5 }, () => openTab(stored, first)));
    const tabs = [first, ...others];
    await first.run(`client.register(${account()})`);
    for (const tab of others) await tab.until(`heard.join() === 'signed_in'`);
    const before = refreshes();
    await Promise.all(tabs.map((tab) => tab.run('void (hours = 2)')));
    const tokens = await Promise.all(
      tabs.map((tab) => tab.run<string>('Promise.all([client.accessToken(), client.me()]).then(([token]) => token)')),
    );
    assert.equal(new Set(tokens).size, 1);
    assert.equal(refreshes() - before, 1);
    await first.run('client.logout()');
    for (const tab of others) {
      await tab.until(`heard.at(-1) === 'signed_out'`);
      assert.equal(await tab.run('client.accessToken()'), null);
    }
    for (const tab of tabs.toReversed()) await tab.close();
  });

  test('BRW-03 in cookie mode the browser keeps the cookies, no script sees them, and a reload is still signed in', async () => {
    const page = await openTab(`mode: 'cookie'`);
    await page.run(`client.register(${account()})`);
    assert.equal(await page.run('document.cookie'), '');
    assert.equal(await page.run('JSON.stringify([...Object.entries(localStorage)])'), '[]');
    const { cookies } = (await page.send('Network.getCookies')) as { cookies: readonly Record<string, unknown>[] };
    assert.deepEqual(
      cookies
        .map(({ name, httpOnly, secure, sameSite, path }) => [name, httpOnly, secure, sameSite, path].join(' '))
        .sort(),
      ['__Host-auth_access true true Strict /', '__Host-auth_refresh true true Strict /'],
    );
    const reloaded = await openTab(`mode: 'cookie'`, page);
    const before = refreshes();
    assert.equal(await reloaded.run('client.me().then(({ session }) => session.current)'), true);
    await reloaded.send('Network.deleteCookies', { name: '__Host-auth_access', url: `${site.origin}/` });
    assert.equal(await reloaded.run('client.sessions().then((sessions) => sessions.length)'), 1);
    assert.equal(refreshes() - before, 1);
    await reloaded.run('client.logout()');
    const left = (await reloaded.send('Network.getCookies')) as { cookies: readonly unknown[] };
    assert.deepEqual(left.cookies, []);
    assert.equal(await reloaded.run(`client.me().catch((error) => error.code)`), 'missing_token');
    await reloaded.close();
    await page.close();
  });

  test('BRW-04 a page of a sibling, whose requests bring the cookies, and one of another site change nothing and sign nobody in or out', async (t) => {
    const body = '<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,">';
    const elsewhere = await startPage({ '/': { type: 'text/html', body } });
    t.after(() => elsewhere.stop());
    const page = await openTab(`mode: 'cookie'`);
    const own = account();
    await page.run(`client.register(${own})`);
    // Ports make no difference between sites: localhost is a sibling, 127.0.0.1 another site.
    for (const [host, statuses] of [
      ['localhost', ['403 POST /api/auth/logout', '403 POST /api/auth/logout']],
      ['127.0.0.1', ['401 POST /api/auth/logout', '401 POST /api/auth/logout']],
    ] as const) {
      const hostile = await browser.newPage(page);
      await hostile.open(`http://${host}:${elsewhere.port}/`);
      const before = site.answered.length;
      const call = (path: string, init: string): string =>
        `fetch('${site.origin}/api/auth${path}', { credentials: 'include', ${init} }).then((answer) => answer.type, () => 'refused')`;
      await hostile.run(call('/logout', `method: 'POST', mode: 'no-cors'`));
      // What is not a simple request is asked for first, and the browser is told no.
      const asking = `headers: { 'content-type': 'application/json', 'x-token-transport': 'cookie' }`;
      for (const [path, init] of [
        ['/me', `method: 'PATCH', ${asking}, body: '{"first_name":"Mallory"}'`],
        ['/login', `method: 'POST', ${asking}, body: ${JSON.stringify(account())}`],
        ['/me', `method: 'GET'`],
      ] as const) {
        assert.equal(await hostile.run(call(path, init)), 'refused', path);
      }
      await hostile.run(`void document.body.insertAdjacentHTML('beforeend',
        '<form method=post action="${site.origin}/api/auth/logout" enctype="text/plain"><input name=a></form>')`);
      await hostile.run('void document.forms[0].submit()');
      await hostile.until(`location.pathname === '/api/auth/logout'`);
      const unsafe = site.answered.slice(before).filter((answer) => !/ (GET|OPTIONS) /.test(answer));
      assert.deepEqual(unsafe, statuses);
      await hostile.close();
    }
    const { user } = await page.run<{ user: { email: string; first_name: unknown } }>('client.me()');
    assert.deepEqual([user.email, user.first_name], [(JSON.parse(own) as { email: string }).email, null]);
    await page.run('client.logout()');
    await page.close();
  });

  test('in cookie mode other tabs hear a login and a logout, and a new one learns by me() who is there', async () => {
    const first = await openTab(`mode: 'cookie'`);
    const second = await openTab(`mode: 'cookie'`, first);
    const who = account();
    await first.run(`client.register(${who})`);
    await second.until(`heard.join() === 'signed_in'`);
    const third = await openTab(`mode: 'cookie'`, first);
    assert.equal(await third.run('client.state().then(({ status }) => status)'), 'signed_out');
    await third.run('client.me()');
    assert.equal(await third.run('client.state().then(({ status }) => status)'), 'signed_in');
    await second.run('client.logout()');
    for (const tab of [first, third]) await tab.until(`heard.at(-1) === 'signed_out'`);
    for (const tab of [third, second, first]) await tab.close();
  });

  test('a passkey is added, signs in without a user name, and proves it again', async () => {
    const page = await openTab(stored);
    await page.send('WebAuthn.enable');
    await page.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    const who = account();
    await page.run(`client.register(${who})`);
    assert.equal(
      await page.run(`auth.passkeys.addPasskey(client, { name: 'laptop' }).then(({ name }) => name)`),
      'laptop',
    );
    await page.run('client.logout()');
    const { email } = JSON.parse(who) as { email: string };
    assert.equal(await page.run('auth.passkeys.loginWithPasskey(client).then((user) => user.email)'), email);
    assert.equal(await page.run('auth.passkeys.reauthenticateWithPasskey(client).then((user) => user.email)'), email);
    await page.run('client.logout()');
    assert.equal(await page.run(`client.login(${who}).then(({ kind }) => kind)`), 'mfa_required');
    assert.equal(await page.run('auth.passkeys.verifyMfaWithPasskey(client).then((user) => user.mfa_enabled)'), true);
    assert.equal(
      await page.run(
        'client.passkeys().then(([one]) => client.removePasskey(one.id)).then(() => client.passkeys()).then((left) => left.length)',
      ),
      0,
    );
    await page.close();
  });
});
