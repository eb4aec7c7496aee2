/** What mails allow, by mails that were really sent: proving an address, a new password, another address; and what owners are told. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createAuthenticator, type RequestOptions } from '../support/authenticator.ts';
import { type Answer, assertProblem, meOf, receiptOf, tokensOf } from '../support/http.ts';
import { type RunningService, until } from '../support/service.ts';
import { codeOf, linkOf, type ReceivedMail, startSmtp } from '../support/smtp.ts';
import { addPasskey, ok, passkeyLogin } from './support/artefacts.ts';
import { login, me, metricsOf, newEmail, newPassword, onEachStore, refresh, register, worth } from './support/suite.ts';

const smtp = await startSmtp();
after(() => smtp.stop());
const publicUrl = 'https://auth.example.org/base';
const env = { SMTP_URL: smtp.url, MAIL_FROM: 'Auth <auth@example.org>', PUBLIC_URL: publicUrl };

const mailsTo = (email: string): readonly ReceivedMail[] =>
  smtp.received.filter(({ to }) => to[0]?.toLowerCase() === email.toLowerCase());

/** The `count`th mail to this address, from 1, and no other than these. */
async function mailTo(service: RunningService, email: string, count = 1): Promise<ReceivedMail> {
  const mail = await until(`mail ${count} to ${email}`, async () => mailsTo(email)[count - 1]);
  const code = /^[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}$/m.exec(mail.text)?.[0];
  if (code !== undefined) service.secrets.add(code);
  return mail;
}

/** Every mail that was written is on its way or gone: only then "none was sent" says something. */
const outboxIsEmpty = (service: RunningService): Promise<unknown> =>
  until('an empty outbox', async () => {
    const before = smtp.received.length;
    const probe = newEmail('probe');
    await register(service, { email: probe });
    await service.api.post('/api/auth/forgot-password', { email: probe });
    await until('the probe', async () => mailsTo(probe).length > 0);
    return smtp.received.length > before;
  });

const posts = (service: () => RunningService) => {
  const post = (path: string, body: object, more = {}): Promise<Answer> =>
    service().api.post(`/api/auth/${path}`, body, more);
  return {
    post,
    forgot: (email: string) => post('forgot-password', { email }),
    resend: (email: string) => post('resend-verification', { email }),
    verify: (token: string) => post('verify-email', { token }),
    reset: (token: string, password: string) => post('reset-password', { token, new_password: password }),
  };
};

const accepted = (answer: Answer): void => assert.equal(answer.status, 202, answer.text);

onEachStore(
  'recovery',
  (service) => {
    const { post, forgot, resend, verify, reset } = posts(service);

    test('PWD-11, REV-02 a reset ends every session, token and device token, logs nobody in, and works once', async () => {
      const account = await register(service());
      const other = tokensOf(await login(service(), account));
      const device = (other as { device_token?: string }).device_token;
      accepted(await forgot(account.email.toUpperCase()));
      const mail = await mailTo(service(), account.email);
      const next = newPassword();
      service().secrets.add(next);
      assertProblem(await reset(codeOf(mail), 'short'), 422, 'validation_failed');
      const done = await reset(codeOf(mail).toLowerCase().replaceAll('-', ' '), next);
      assert.equal(receiptOf(done).revoked_sessions, 2);
      assert.ok(!('access_token' in (done.body as object)));
      for (const token of [account.tokens.access_token, other.access_token]) {
        assert.equal(await worth(service(), token), 'revoked');
      }
      assertProblem(await refresh(service(), other.refresh_token), 401, 'invalid_refresh_token');
      assertProblem(await login(service(), account), 401, 'invalid_credentials');
      const fresh = tokensOf(await login(service(), { ...account, password: next }, { device_token: device }));
      assert.equal(fresh.user.email_verified, true, 'who has read the mailbox has proven it');
      assertProblem(await reset(codeOf(mail), newPassword()), 401, 'invalid_mail_token');
      const told = await mailTo(service(), account.email, 2);
      assert.equal(told.subject, 'Your password was changed');
    });

    test('EML-06 a code works for its purpose alone, ends with a newer one and with every change of credentials', async () => {
      const account = await register(service());
      const codes: string[] = [];
      for (const count of [1, 2]) {
        accepted(await forgot(account.email));
        codes.push(codeOf(await mailTo(service(), account.email, count)));
      }
      const [first = '', second = ''] = codes;
      assertProblem(await reset(first, newPassword()), 401, 'invalid_mail_token');
      assertProblem(await verify(second), 401, 'invalid_mail_token');
      const next = newPassword();
      const change = { current_password: account.password, new_password: next };
      receiptOf(await post('change-password', change, { token: account.tokens.access_token }));
      assertProblem(await reset(second, newPassword()), 401, 'invalid_mail_token');
      for (const wrong of ['', 'ABCD', 'ABCD-EFGH-JKMN-PQRS', 'ABCD-EFGH-JKMN-PQRU', 'x'.repeat(200)]) {
        assertProblem(await reset(wrong, newPassword()), 401, 'invalid_mail_token');
        assertProblem(await verify(wrong), 401, 'invalid_mail_token');
      }
      tokensOf(await login(service(), { ...account, password: next }));
    });

    test('EML-05, EML-06 a link begins with PUBLIC_URL whatever the request says; GET shows, and changes nothing', async () => {
      const account = await register(service());
      const headers = { 'X-Forwarded-Host': 'evil.example', Forwarded: 'host=evil.example', Host: 'evil.example' };
      accepted(await post('forgot-password', { email: account.email }, { headers }));
      const mail = await mailTo(service(), account.email);
      assert.equal(linkOf(mail), `${publicUrl}/reset-password#token=${codeOf(mail)}`);
      assert.ok(!mail.raw.includes('evil'));
      for (const path of ['/reset-password', '/verify-email']) {
        const pages = await Promise.all([1, 2, 3].map(() => service().api.get(path)));
        for (const page of pages) {
          assert.equal(page.status, 200);
          const { headers: sent, text } = page;
          assert.match(String(sent['content-type']), /^text\/html/);
          assert.equal(sent['cache-control'], 'no-store');
          assert.match(String(sent['x-robots-tag']), /noindex/);
          const policy = String(sent['content-security-policy']);
          assert.match(policy, /^default-src 'none'; script-src 'nonce-[A-Za-z0-9+/=]{24}';/);
          assert.doesNotMatch(policy, /unsafe/);
          assert.doesNotMatch(text, /https?:\/\//, 'no outside assets');
          const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? '';
          assert.equal(text.split(`nonce="${nonce}"`).length, 3);
        }
        const nonces = pages.map((page) => String(page.headers['content-security-policy']));
        assert.equal(new Set(nonces).size, 3);
      }
      receiptOf(await reset(codeOf(mail), newPassword()));
    });

    test('EML-06 of sixteen resets with one code at once, one wins', async () => {
      const account = await register(service());
      accepted(await forgot(account.email));
      const code = codeOf(await mailTo(service(), account.email));
      const passwords = Array.from({ length: 16 }, () => newPassword());
      const answers = await Promise.all(passwords.map((password) => reset(code, password)));
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
      for (const answer of answers) if (answer.status !== 200) assertProblem(answer, 401, 'invalid_mail_token');
      const won = passwords[answers.findIndex(({ status }) => status === 200)] ?? '';
      tokensOf(await login(service(), { ...account, password: won }));
    });

    test('PWD-11 EML-08 after a reset a passkey of before is a second factor, and logs in alone once it was one', async () => {
      const account = await register(service());
      const { origin } = new URL(publicUrl);
      const authenticator = createAuthenticator({ origin });
      await addPasskey(service(), account.tokens.access_token, authenticator);
      await passkeyLogin(service(), authenticator);
      accepted(await forgot(account.email));
      const next = newPassword();
      receiptOf(await reset(codeOf(await mailTo(service(), account.email, 2)), next));
      await assert.rejects(passkeyLogin(service(), authenticator), /The password was reset since/);
      const half = await login(service(), { ...account, password: next });
      assertProblem(half, 401, 'mfa_required');
      const { mfa_token: token } = half.body as { mfa_token: string };
      const asked = await ok<{ options: RequestOptions }>(post('mfa/webauthn/options', { mfa_token: token }));
      const webauthn = authenticator.get(asked.options);
      tokensOf(await post('mfa/verify', { mfa_token: token, webauthn }));
      await passkeyLogin(service(), authenticator);
    });

    test('EML-08 a reset of an account that nobody had proven ends what was set before', async () => {
      const account = await register(service());
      accepted(await forgot(account.email));
      const code = codeOf(await mailTo(service(), account.email));
      const next = newPassword();
      receiptOf(await reset(code, next));
      assertProblem(await refresh(service(), account.tokens.refresh_token), 401, 'invalid_refresh_token');
      assertProblem(await login(service(), account), 401, 'invalid_credentials');
      assert.equal(tokensOf(await login(service(), { ...account, password: next })).user.email_verified, true);
    });

    test('an address is proven by the code of a mail that was asked for again, and its sessions go on', async () => {
      const account = await register(service());
      assert.equal(account.tokens.user.email_verified, false);
      accepted(await resend(account.email));
      const mail = await mailTo(service(), account.email);
      assert.equal(linkOf(mail), `${publicUrl}/verify-email#token=${codeOf(mail)}`);
      const proven = await verify(codeOf(mail));
      assert.deepEqual([proven.status, proven.body], [200, { status: 'verified', email: account.email }]);
      assert.equal(meOf(await me(service(), account.tokens.access_token)).user.email_verified, true);
      assertProblem(await verify(codeOf(mail)), 401, 'invalid_mail_token');
      accepted(await resend(account.email));
      await outboxIsEmpty(service());
      assert.equal(mailsTo(account.email).length, 1, 'nothing is left to prove');
    });

    test('ENU-04 unknown, known and malformed addresses: one answer for the first two, and no mail to strangers', async () => {
      const account = await register(service());
      const nobody = newEmail('nobody');
      const shape = ({ status, text, headers }: Answer): string => {
        const { date: _date, 'x-request-id': _id, ...rest } = headers;
        return JSON.stringify([status, text, rest]);
      };
      for (const ask of [forgot, resend]) {
        const [known, unknown] = [await ask(account.email), await ask(nobody)];
        assert.equal(shape(known), shape(unknown));
        assert.equal(known.status, 202);
        assertProblem(await ask('a@b@c'), 422, 'validation_failed');
      }
      await mailTo(service(), account.email, 2);
      await outboxIsEmpty(service());
      assert.equal(mailsTo(nobody).length, 0);
    });

    test('EML-02, EML-03 what is no single address is refused, and nothing is mailed', async () => {
      const before = smtp.received.length;
      for (const email of [
        ['v@example.org', 'a@example.org'],
        { address: 'v@example.org' },
        'v@example.org,a@example.org',
        'v@example.org\r\nBcc: a@example.org',
        '"a@example.org"@example.net',
        'v@example.org＠example.net',
        `${'a'.repeat(65)}@example.org`,
      ]) {
        for (const path of ['forgot-password', 'resend-verification']) {
          assertProblem(await post(path, { email }), 422, 'validation_failed');
        }
      }
      assert.equal(smtp.received.length, before);
      assertProblem(await post('forgot-password', { email: 'a@example.org', extra: 1 }), 422, 'unknown_field');
    });

    test('RAT-07 an address gets five mails an hour, and the last of them still works', async () => {
      const account = await register(service());
      for (let n = 0; n < 20; n += 1) accepted(await forgot(account.email));
      const last = await mailTo(service(), account.email, 5);
      await outboxIsEmpty(service());
      assert.equal(mailsTo(account.email).length, 5);
      const codes = mailsTo(account.email).map(codeOf);
      const answers = [];
      for (const code of codes) answers.push((await reset(code, newPassword())).status);
      assert.equal(answers.filter((status) => status === 200).length, 1, String(answers));
      assert.ok(last !== undefined);
    });

    test('another address takes effect when it is proven: both are told, other sessions end, the acting one goes on', async () => {
      const account = await register(service());
      const other = tokensOf(await login(service(), account));
      const next = newEmail('next');
      const token = account.tokens.access_token;
      accepted(await post('change-email', { new_email: next }, { token }));
      const warning = await mailTo(service(), account.email);
      assert.equal(warning.subject, 'Your e-mail address is to be changed');
      assert.ok(warning.text.includes(next));
      assert.equal(meOf(await me(service(), token)).user.email, account.email);
      const mail = await mailTo(service(), next);
      const proven = await verify(codeOf(mail));
      assert.deepEqual([proven.status, proven.body], [200, { status: 'email_changed', email: next }]);
      const { user } = meOf(await me(service(), token));
      assert.deepEqual([user.email, user.email_verified], [next, true]);
      assert.equal(await worth(service(), other.access_token), 'revoked');
      assertProblem(await refresh(service(), other.refresh_token), 401, 'invalid_refresh_token');
      assertProblem(await login(service(), account), 401, 'invalid_credentials');
      tokensOf(await login(service(), { ...account, email: next }));
      for (const [address, count] of [
        [account.email, 2],
        [next, 2],
      ] as const) {
        assert.equal((await mailTo(service(), address, count)).subject, 'Your e-mail address was changed');
      }
      assertProblem(await verify(codeOf(mail)), 401, 'invalid_mail_token');
    });

    test('SES-07 another address wants the password or a fresh authentication, and counts wrong ones', async () => {
      const account = await register(service());
      const token = account.tokens.access_token;
      const change = (body: object) => post('change-email', body, { token });
      assertProblem(await post('change-email', { new_email: newEmail() }), 401, 'missing_token');
      const wrong = await change({ new_email: newEmail(), password: newPassword() });
      assertProblem(wrong, 401, 'invalid_credentials');
      assertProblem(await change({ new_email: account.email.toUpperCase() }), 409, 'conflict');
      assertProblem(await change({ new_email: 'nonsense' }), 422, 'validation_failed');
      assertProblem(await change({ new_email: newEmail(), email_verified: true }), 422, 'unknown_field');
      accepted(await change({ new_email: newEmail(), password: account.password }));
    });

    test('ENU an address of somebody else is answered like a free one; its owner is told, and nothing changes', async () => {
      const [account, owner] = [await register(service()), await register(service())];
      accepted(await post('change-email', { new_email: owner.email }, { token: account.tokens.access_token }));
      const told = await mailTo(service(), owner.email);
      assert.equal(told.subject, 'This address has an account already');
      assert.throws(() => codeOf(told));
      tokensOf(await login(service(), owner));
    });

    test('an address that was free and is taken when it is proven is told to its owner, and changes nothing', async () => {
      const account = await register(service());
      const next = newEmail('next');
      accepted(await post('change-email', { new_email: next }, { token: account.tokens.access_token }));
      const code = codeOf(await mailTo(service(), next));
      await register(service(), { email: next });
      assertProblem(await verify(code), 409, 'email_taken');
      assert.equal(meOf(await me(service(), account.tokens.access_token)).user.email, account.email);
    });

    test('LCK-08, LOG-06 a lock is told once, and a reset does not lift it', async () => {
      const account = await register(service());
      const attempts = [1, 2, 3, 4, 5, 6, 7];
      for (const _ of attempts) await login(service(), { ...account, password: newPassword() });
      const told = await mailTo(service(), account.email);
      assert.equal(told.subject, 'Your account is locked for a while');
      accepted(await forgot(account.email));
      const code = codeOf(await mailTo(service(), account.email, 2));
      const next = newPassword();
      receiptOf(await reset(code, next));
      assertProblem(await login(service(), { ...account, password: next }), 429, 'account_locked');
      await outboxIsEmpty(service());
      assert.deepEqual(
        mailsTo(account.email).map(({ subject }) => subject),
        ['Your account is locked for a while', 'Choose a new password', 'Your password was changed'],
      );
    });

    test('LOG-06 a login from a new device, a changed password and a reused token are told once each', async () => {
      const account = await register(service());
      const agent = (name: string) => ({ headers: { 'User-Agent': name } });
      const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
      const { email, password } = account;
      for (const _ of [1, 2]) tokensOf(await post('login', { email, password }, agent(firefox)));
      const told = await mailTo(service(), email);
      assert.equal(told.subject, 'A login from a new device');
      assert.match(told.text, /Firefox on Linux, 127\.0\.0\.1/);
      const next = newPassword();
      const change = { current_password: password, new_password: next };
      receiptOf(await post('change-password', change, { token: account.tokens.access_token }));
      assert.equal((await mailTo(service(), email, 2)).subject, 'Your password was changed');
      const { tokens } = account;
      const second = tokensOf(await refresh(service(), tokens.refresh_token));
      tokensOf(await refresh(service(), second.refresh_token));
      for (const _ of [1, 2]) {
        const reused = await refresh(service(), tokens.refresh_token);
        assert.equal(reused.status, 401);
      }
      assert.equal((await mailTo(service(), email, 3)).subject, 'A session of yours was ended');
      await outboxIsEmpty(service());
      assert.equal(mailsTo(email).length, 3);
      assert.ok((await metricsOf(service())).sum('auth_mails_total', { result: 'sent' }) > 3);
    });

    test('PWD-11 a disabled account gets no mail, and its earlier code is worth nothing', async () => {
      const account = await register(service());
      accepted(await forgot(account.email));
      const code = codeOf(await mailTo(service(), account.email));
      assert.equal((await service().cli(['users', 'disable', account.email])).code, 0);
      assertProblem(await reset(code, newPassword()), 401, 'invalid_mail_token');
      accepted(await forgot(account.email));
      await outboxIsEmpty(service());
      assert.equal(mailsTo(account.email).length, 1);
    });
  },
  { env },
);

onEachStore(
  'recovery with EMAIL_VERIFICATION=required',
  (service) => {
    const { post, verify, resend, forgot, reset } = posts(service);
    const begin = (email: string, password: string): Promise<Answer> => {
      service().secrets.add(password);
      return post('register', { user: { email, password } });
    };

    test('EML-06 a new account logs in once its address is proven, and not before', async () => {
      const account = { email: newEmail(), password: newPassword() };
      accepted(await begin(account.email, account.password));
      assertProblem(await login(service(), account), 403, 'email_not_verified');
      const mail = await mailTo(service(), account.email);
      assert.equal((await verify(codeOf(mail))).status, 200);
      assert.equal(tokensOf(await login(service(), account)).user.email_verified, true);
    });

    test('ENU-03 who has the address is told of a registration, with no code in it, and the account stays as it is', async () => {
      const account = { email: newEmail(), password: newPassword() };
      accepted(await begin(account.email, account.password));
      await verify(codeOf(await mailTo(service(), account.email)));
      const attacker = { email: account.email, password: newPassword() };
      accepted(await begin(attacker.email, attacker.password));
      const told = await mailTo(service(), account.email, 2);
      assert.equal(told.subject, 'You have an account already');
      assert.throws(() => codeOf(told));
      assertProblem(await login(service(), attacker), 401, 'invalid_credentials');
      tokensOf(await login(service(), account));
    });

    test('EML-08 who registers an address first without proving it has nothing when its owner registers and proves it', async () => {
      const attacker = { email: newEmail(), password: newPassword() };
      accepted(await begin(attacker.email, attacker.password));
      const first = codeOf(await mailTo(service(), attacker.email));
      const owner = { email: attacker.email, password: newPassword() };
      accepted(await begin(owner.email, owner.password));
      const second = codeOf(await mailTo(service(), attacker.email, 2));
      assertProblem(await verify(first), 401, 'invalid_mail_token');
      assertProblem(await login(service(), owner), 401, 'invalid_credentials');
      assert.equal((await verify(second)).status, 200);
      assertProblem(await login(service(), attacker), 401, 'invalid_credentials');
      tokensOf(await login(service(), owner));
    });

    test('EML-08 the owner of an address that a stranger registered confirms it with a password of their own, and the stranger has nothing', async () => {
      const stranger = { email: newEmail(), password: newPassword() };
      accepted(await begin(stranger.email, stranger.password));
      const token = codeOf(await mailTo(service(), stranger.email));
      assertProblem(await post('verify-email', { token, new_password: 'short' }), 422, 'validation_failed');
      const next = newPassword();
      service().secrets.add(next);
      const proven = await post('verify-email', { token, new_password: next });
      assert.deepEqual(proven.body, { status: 'verified', email: stranger.email });
      assertProblem(await login(service(), stranger), 401, 'invalid_credentials');
      assert.equal(tokensOf(await login(service(), { ...stranger, password: next })).user.email_verified, true);
      assertProblem(await post('verify-email', { token, new_password: newPassword() }), 401, 'invalid_mail_token');
      assert.equal((await mailTo(service(), stranger.email, 2)).subject, 'Your password was changed');
    });

    test('EML-08 a link opens an account with the password of the registration that its mail was about, and a wrong one uses up nothing', async () => {
      const [first, second] = [newPassword(), newPassword()];
      const email = newEmail();
      accepted(await begin(email, first));
      await mailTo(service(), email);
      accepted(await begin(email, second));
      const token = codeOf(await mailTo(service(), email, 2));
      for (const wrong of [first, '', 'x'.repeat(200)]) {
        assertProblem(await post('verify-email', { token, password: wrong }), 401, 'invalid_credentials');
      }
      assertProblem(await login(service(), { email, password: second }), 401, 'invalid_credentials');
      assert.equal((await post('verify-email', { token, password: second })).status, 200);
      assertProblem(await post('verify-email', { token, password: second }), 401, 'invalid_mail_token');
      assertProblem(await login(service(), { email, password: first }), 401, 'invalid_credentials');
      tokensOf(await login(service(), { email, password: second }));
    });

    test('LCK-01 guesses of the password at a link count as those of a login, and leave a new password as a way in', async () => {
      const account = { email: newEmail(), password: newPassword() };
      accepted(await begin(account.email, account.password));
      const token = codeOf(await mailTo(service(), account.email));
      const answers: number[] = [];
      for (let guess = 0; guess < 6; guess += 1) {
        answers.push((await post('verify-email', { token, password: `guess ${guess}` })).status);
      }
      assert.deepEqual(answers, [401, 401, 401, 401, 401, 429]);
      assertProblem(await post('verify-email', { token, password: account.password }), 429, 'account_locked');
      assert.equal((await post('verify-email', { token, new_password: newPassword() })).status, 200);
    });

    test('EML-08 the mail that is asked for again proves the latest registration', async () => {
      const [first, second] = [newPassword(), newPassword()];
      const email = newEmail();
      // Mails that are written at once may arrive in any order.
      accepted(await begin(email, first));
      await mailTo(service(), email);
      accepted(await begin(email, second));
      await mailTo(service(), email, 2);
      accepted(await resend(email));
      assert.equal((await verify(codeOf(await mailTo(service(), email, 3)))).status, 200);
      assertProblem(await login(service(), { email, password: first }), 401, 'invalid_credentials');
      tokensOf(await login(service(), { email, password: second }));
    });

    test('EML-08 a reset proves an address that nobody had proven', async () => {
      const account = { email: newEmail(), password: newPassword() };
      accepted(await begin(account.email, account.password));
      await mailTo(service(), account.email);
      accepted(await forgot(account.email));
      const code = codeOf(await mailTo(service(), account.email, 2));
      const next = newPassword();
      receiptOf(await reset(code, next));
      assertProblem(await login(service(), account), 401, 'invalid_credentials');
      tokensOf(await login(service(), { ...account, password: next }));
    });
  },
  { env: { ...env, EMAIL_VERIFICATION: 'required' } },
);
