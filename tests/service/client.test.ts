/** The client against the service itself: what its unit tests imitate is as they say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthError, type AuthState, createClient, webStorage } from '../../packages/client/src/index.ts';
import { earlyInStep, scan } from '../support/totp-app.ts';
import { newEmail, newPassword, onEachStore, worth } from './support/suite.ts';

const hasCode = (code: string) => (error: unknown) => error instanceof AuthError && error.code === code;

onEachStore('client', (service) => {
  const clientOf = (options: Partial<Parameters<typeof createClient>[0]> = {}) => {
    const noting: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      const text = await response.clone().text();
      for (const [token] of text.matchAll(/eyJ[\w.-]+|\brt_[\w.-]+/g)) service().secrets.add(token);
      return response;
    };
    return createClient({ baseUrl: service().url, fetch: noting, ...options });
  };
  const account = () => {
    const made = { email: newEmail(), password: newPassword() };
    service().secrets.add(made.password);
    return made;
  };
  const tokenOf = async (client: ReturnType<typeof createClient>): Promise<string> => {
    const token = await client.accessToken();
    assert.ok(token !== null);
    return token;
  };

  test('an account is used from its first day to its last', async () => {
    const who = account();
    const client = clientOf();
    const heard: AuthState['status'][] = [];
    client.onChange(({ status }) => heard.push(status));
    assert.equal((await client.register(who))?.email, who.email);
    assert.equal((await client.updateProfile({ first_name: 'Ada' })).first_name, 'Ada');
    assert.equal((await client.me()).user.first_name, 'Ada');

    const other = clientOf();
    assert.deepEqual((await other.login(who)).kind, 'signed_in');
    const sessions = await client.sessions();
    assert.deepEqual(
      sessions.map(({ current }) => current),
      [false, true],
    );
    const next = newPassword();
    service().secrets.add(next);
    const receipt = await client.changePassword({ current: who.password, next });
    assert.deepEqual([receipt.effective_everywhere, receipt.revoked_sessions], [true, 1]);
    await assert.rejects(other.me(), hasCode('token_revoked'));
    assert.deepEqual(await other.state(), { status: 'signed_out', reason: 'ended' });

    await assert.rejects(other.login(who), hasCode('invalid_credentials'));
    assert.equal((await other.login({ email: who.email, password: next })).kind, 'signed_in');
    const [third] = await other.sessions();
    assert.ok(third?.current);
    await client.endSession(third.id);
    await assert.rejects(other.sessions(), hasCode('token_revoked'));

    const token = await tokenOf(client);
    assert.equal((await client.logout())?.revoked, true);
    assert.equal(await worth(service(), token), 'revoked');
    await assert.rejects(client.me(), hasCode('signed_out'));
    await client.login({ email: who.email, password: next });
    await client.deleteAccount({ password: next });
    await assert.rejects(client.login({ email: who.email, password: next }), hasCode('invalid_credentials'));
    assert.deepEqual(heard, ['signed_in', 'signed_in', 'signed_out', 'signed_in', 'signed_out']);
  });

  test('REF-04 sixteen copies of one session that renew at once, with nothing between them, go on with one successor', async () => {
    const who = account();
    const texts = Array.from({ length: 16 }, () => new Map<string, string>());
    const storageOf = (text: Map<string, string>) => ({
      getItem: (key: string) => text.get(key) ?? null,
      setItem: (key: string, value: string) => void text.set(key, value),
    });
    const first = clientOf({ storage: webStorage(storageOf(texts[0] ?? new Map())) });
    await first.register(who);
    first.close();
    for (const text of texts.slice(1)) for (const [key, value] of texts[0] ?? []) text.set(key, value);
    // Two hours later, each in a world of its own: other names share neither locks nor channels.
    const now = () => Date.now() + 2 * 3_600_000;
    const tabs = texts.map((text, index) => {
      const storage = { ...webStorage(storageOf(text)), shared: `tab ${index}` };
      return clientOf({ storage, now });
    });
    await Promise.all(tabs.map((tab) => tab.accessToken()));
    const successors = texts.map((text) => {
      const { session } = JSON.parse(text.get('auth-service') ?? '') as { session: { refresh_token: string } };
      return session.refresh_token;
    });
    for (const tab of tabs) tab.close();
    assert.equal(new Set(successors).size, 1);
    assert.equal((await clientOf({ storage: webStorage(storageOf(texts[3] ?? new Map())) }).sessions()).length, 1);
  });

  test('a second factor is enrolled, asked for, proven, proven again, and removed', async () => {
    const who = account();
    const client = clientOf();
    await client.register(who);
    const app = scan((await client.enrolTotp()).otpauth_uri);
    const nowMs = await earlyInStep();
    const codes = await client.confirmTotp(app.code(nowMs, -1));
    assert.equal(codes.length, 10);
    for (const code of codes) service().secrets.add(code);

    const login = await clientLogin(who);
    await assert.rejects(login.verifyMfa({ code: app.wrong(nowMs) }), hasCode('mfa_invalid'));
    assert.equal((await login.verifyMfa({ code: app.code(nowMs) })).mfa_enabled, true);
    assert.equal((await login.mfa()).recovery_codes_left, 10);

    const again = await login.reauthenticate({ code: app.code(nowMs, 1) });
    assert.equal(again.kind, 'signed_in');
    const fresh = await login.renewRecoveryCodes();
    for (const code of fresh) service().secrets.add(code);
    await login.removeTotp();
    assert.equal((await login.mfa()).enabled, false);

    async function clientLogin(credentials: { email: string; password: string }) {
      const made = clientOf();
      const result = await made.login(credentials);
      assert.ok(result.kind === 'mfa_required');
      assert.deepEqual([...result.methods].sort(), ['recovery_code', 'totp']);
      return made;
    }
  });

  test('what the service does not know is told alike: forgotten passwords, links, passkeys', async () => {
    const client = clientOf();
    await client.forgotPassword(newEmail());
    await client.resendVerification(newEmail());
    await assert.rejects(client.verifyEmail('nothing'), hasCode('invalid_mail_token'));
    const password = newPassword();
    service().secrets.add(password);
    await assert.rejects(client.resetPassword({ token: 'nothing', password }), hasCode('invalid_mail_token'));
    await client.register(account());
    assert.deepEqual(await client.passkeys(), []);
    await assert.rejects(client.removePasskey('019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88'), hasCode('not_found'));
  });
});
