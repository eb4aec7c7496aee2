/** The pages that links in mails open, in a real browser: the code leaves the address, the form acts, and nothing of the policy is broken. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { login, newEmail, newPassword, register } from '../service/support/suite.ts';
import { type Browser, startChromium } from '../support/chromium.ts';
import { tokensOf } from '../support/http.ts';
import { type RunningService, startService, until } from '../support/service.ts';
import { codeOf, linkOf, startSmtp, type TestSmtp } from '../support/smtp.ts';

const publicUrl = 'https://auth.example.org';

describe('pages of mails in Chromium', () => {
  let browser: Browser;
  let service: RunningService;
  let smtp: TestSmtp;
  before(async () => {
    smtp = await startSmtp();
    const env = { SMTP_URL: smtp.url, PUBLIC_URL: publicUrl };
    [browser, service] = await Promise.all([startChromium(), startService({ store: 'embedded', env })]);
  });
  after(async () => {
    await browser?.stop();
    await service?.stop();
    await smtp?.stop();
  });
  /** The address behind which a proxy would find this service. */
  const openLink = (mail: { text: string }): string => linkOf(mail).replace(publicUrl, service.url);
  const mailTo = (email: string) =>
    until(`mail to ${email}`, async () => smtp.received.find(({ to }) => to[0] === email));

  test('EML-06 a link shows a form with its code, which leaves the address; a press sets the password', async () => {
    const account = await register(service, { email: newEmail() });
    await service.api.post('/api/auth/forgot-password', { email: account.email });
    const mail = await mailTo(account.email);
    const page = await browser.newPage();
    await page.open(openLink(mail));
    assert.equal(await page.run('document.querySelector("[name=token]").value'), codeOf(mail));
    assert.equal(await page.run('location.hash'), '');
    await page.type('[name=new_password]', 'short');
    await page.click('button');
    await page.until('document.getElementById("said").className === "bad"');
    tokensOf(await login(service, account));
    const next = newPassword();
    await page.run('document.querySelector("[name=new_password]").value = ""');
    await page.type('[name=new_password]', next);
    await page.click('button');
    await page.until('document.getElementById("form").hidden');
    assert.match(await page.text(), /The password is changed/);
    tokensOf(await login(service, { ...account, password: next }));
    // The refused password is an answer of 422, which the console tells; a violation of the policy it would tell, too.
    assert.ok(!page.messages.some((message) => /policy|violat|refused to/i.test(message)), page.messages.join('\n'));
    await page.close();
  });

  test('EML-06, EML-08 the page that confirms an address wants the password of the registration, acts once, and says when a code is over', async () => {
    const account = await register(service, { email: newEmail() });
    await service.api.post('/api/auth/resend-verification', { email: account.email });
    const mail = await mailTo(account.email);
    const page = await browser.newPage();
    for (const [password, said] of [
      ['a wrong one', /not the password that the account was registered with/],
      [account.password, /The address is confirmed/],
      [account.password, /not valid any more/],
    ] as const) {
      await page.open('about:blank');
      await page.open(openLink(mail));
      await page.type('[name=password]', password);
      await page.click('button');
      await page.until(
        'document.getElementById("said").textContent !== "" && !/moment…/.test(document.getElementById("said").textContent)',
      );
      assert.match(await page.text(), said);
    }
    assert.equal(tokensOf(await login(service, account)).user.email_verified, true);
    await page.close();
  });

  test('EML-08 whoever did not register chooses a password on the same page, and the one of before is worth nothing', async () => {
    const stranger = await register(service, { email: newEmail() });
    await service.api.post('/api/auth/resend-verification', { email: stranger.email });
    const page = await browser.newPage();
    await page.open(openLink(await mailTo(stranger.email)));
    await page.click('#other');
    assert.equal(await page.run('document.getElementById("other").hidden'), true);
    const password = newPassword();
    await page.type('[name=new_password]', password);
    await page.click('button');
    await page.until('document.getElementById("form").hidden');
    assert.equal((await login(service, stranger)).status, 401);
    assert.equal(tokensOf(await login(service, { ...stranger, password })).user.email_verified, true);
    assert.ok(!page.messages.some((message) => /policy|violat|refused to/i.test(message)), page.messages.join('\n'));
    await page.close();
  });

  test('EML-06 the page for another address asks for nothing but a press', async () => {
    const account = await register(service, { email: newEmail() });
    const email = newEmail('another');
    const body = { new_email: email, password: account.password };
    await service.api.post('/api/auth/change-email', body, { token: account.tokens.access_token });
    const page = await browser.newPage();
    await page.open(openLink(await mailTo(email)));
    assert.equal(await page.run('document.querySelector("[type=password]")'), null);
    await page.click('button');
    await page.until('document.getElementById("form").hidden');
    tokensOf(await login(service, { ...account, email }));
    await page.close();
  });
});
