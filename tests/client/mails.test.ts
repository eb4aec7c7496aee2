/** What arrives by mail, followed by the client: the files of the embedded store's outbox are all that it is told. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AuthError, createClient } from '../../packages/client/src/index.ts';
import { newEmail, newPassword } from '../service/support/suite.ts';
import { type RunningService, startService, until } from '../support/service.ts';
import { codeOf, parseMail } from '../support/smtp.ts';

let service: RunningService;
before(async () => {
  service = await startService({ store: 'embedded', env: { EMAIL_VERIFICATION: 'required' } });
});
after(() => service?.stop());

const hasCode = (code: string) => (error: unknown) => error instanceof AuthError && error.code === code;
const clientOf = () => createClient({ baseUrl: service.url });
const password = (): string => {
  const made = newPassword();
  service.secrets.add(made);
  return made;
};

/** The code of the one mail to this address with this subject. */
async function codeFor(email: string, subject: string): Promise<string> {
  const folder = join(service.dataDir, 'store', 'outbox');
  return until(`"${subject}" to ${email}`, async () => {
    // The folder comes with the first mail.
    const mails = globSync('*.eml', { cwd: folder }).map((file) =>
      parseMail(readFileSync(join(folder, file), 'latin1')),
    );
    const found = mails.filter((mail) => mail.headers.get('to') === email && mail.subject === subject);
    assert.ok(found.length <= 1, 'each subject comes once in these walks');
    const code = found[0] === undefined ? undefined : codeOf(found[0]);
    if (code !== undefined) service.secrets.add(code);
    return code;
  });
}

test('an account is registered, proven by the mailed code, and signed in to', async () => {
  const who = { email: newEmail(), password: password() };
  const auth = clientOf();
  assert.equal(await auth.register(who), null);
  await assert.rejects(auth.login(who), hasCode('email_not_verified'));
  const code = await codeFor(who.email, 'Confirm your e-mail address');
  assert.deepEqual(await auth.verifyEmail(code), { status: 'verified', email: who.email });
  assert.equal((await auth.state()).status, 'signed_out');
  const result = await auth.login(who);
  assert.ok(result.kind === 'signed_in' && result.user.email_verified);
  await assert.rejects(auth.verifyEmail(code), hasCode('invalid_mail_token'));
});

test('a forgotten password is replaced by the mailed code, and another address is proven by its own', async () => {
  const who = { email: newEmail(), password: password() };
  const auth = clientOf();
  await auth.register(who);
  await auth.verifyEmail(await codeFor(who.email, 'Confirm your e-mail address'));
  await auth.login(who);

  const stranger = clientOf();
  await stranger.forgotPassword(who.email);
  const token = await codeFor(who.email, 'Choose a new password');
  const next = password();
  const receipt = await stranger.resetPassword({ token, password: next });
  assert.deepEqual([receipt.revoked, receipt.effective_everywhere], [true, true]);
  await assert.rejects(auth.me(), hasCode('token_revoked'));
  assert.deepEqual(await auth.state(), { status: 'signed_out', reason: 'ended' });
  await assert.rejects(auth.login(who), hasCode('invalid_credentials'));

  await auth.login({ email: who.email, password: next });
  const email = newEmail('another');
  await auth.changeEmail({ email, password: next });
  assert.equal((await auth.me()).user.email, who.email);
  const code = await codeFor(email, 'Confirm your new e-mail address');
  assert.deepEqual(await stranger.verifyEmail(code), { status: 'email_changed', email });
  assert.equal((await auth.me()).user.email, email);
  assert.equal((await clientOf().login({ email, password: next })).kind, 'signed_in');
});
