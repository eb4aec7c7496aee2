/** Mail as operators have it: files where there is no mail server, two nodes, a mail server that was away, a node that dies. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertProblem, receiptOf, tokensOf } from '../support/http.ts';
import { freePort } from '../support/ports.ts';
import { randomSecret, sharedPostgres, startService, until } from '../support/service.ts';
import { codeOf, parseMail, startSmtp } from '../support/smtp.ts';
import { login, metricsOf, newEmail, newPassword, register } from './support/suite.ts';

const forgot = '/api/auth/forgot-password';

test('without a mail server mails are files beside the embedded store, for its owner alone, and their codes work', async (t) => {
  const service = await startService({ store: 'embedded' });
  t.after(() => service.stop());
  const account = await register(service);
  assert.equal((await service.api.post(forgot, { email: account.email })).status, 202);
  const folder = join(service.dataDir, 'store', 'outbox');
  const name = await until('a file', async () => {
    try {
      return readdirSync(folder).find((file) => file.endsWith('.eml'));
    } catch {
      return undefined;
    }
  });
  assert.deepEqual([statSync(folder).mode & 0o777, statSync(join(folder, name)).mode & 0o777], [0o700, 0o600]);
  const mail = parseMail(readFileSync(join(folder, name), 'latin1'));
  assert.equal(mail.subject, 'Choose a new password');
  const body = { token: codeOf(mail), new_password: newPassword() };
  receiptOf(await service.api.post('/api/auth/reset-password', body));
});

test('without a mail server PostgreSQL has no mails to keep: the log says that none was sent, and not to whom', async (t) => {
  const service = await startService({ store: 'postgres' });
  t.after(() => service.stop());
  const account = await register(service);
  await service.api.post(forgot, { email: account.email });
  await until('the line', async () => service.logs().includes('a mail was not sent: there is no SMTP_URL'));
  assert.ok(!service.logs().includes(account.email));
});

test('two nodes send twenty mails once each; what one had taken when it was killed is sent all the same', async (t) => {
  const smtp = await startSmtp();
  t.after(() => smtp.stop());
  const databaseUrl = await (await sharedPostgres()).createDatabase();
  const env = { JWT_SECRET: randomSecret(), PUBLIC_URL: 'http://auth.example.org', SMTP_URL: smtp.url };
  const [a, b] = await Promise.all(
    ['a', 'b'].map((name) => startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: name } })),
  );
  assert.ok(a !== undefined && b !== undefined);
  t.after(() => Promise.all([a.stop(), b.stop()]));
  const accounts = [];
  for (let n = 0; n < 20; n += 1) accounts.push(await register(n % 2 === 0 ? a : b, { email: newEmail('both') }));
  for (const [n, { email }] of accounts.entries()) {
    assert.equal((await (n % 2 === 0 ? b : a).api.post(forgot, { email })).status, 202);
  }
  await until('twenty mails', async () => smtp.received.length >= 20, 60_000);
  const sent = async (): Promise<number> => {
    const figures = await Promise.all([metricsOf(a), metricsOf(b)]);
    return figures.reduce((sum, one) => sum + one.sum('auth_mails_total', { result: 'sent' }), 0);
  };
  await until('both to have noted it', async () => (await sent()) >= 20);
  assert.equal(await sent(), 20);
  assert.equal(smtp.received.length, 20);
  assert.equal(new Set(smtp.received.map(({ to }) => to[0])).size, 20);

  smtp.answer('hang');
  const last = await register(b);
  await a.halt();
  const before = smtp.attempts();
  await b.api.post(forgot, { email: last.email });
  await until('the hanging try', async () => smtp.attempts() > before);
  await b.kill9();
  smtp.answer('take');
  await a.start();
  // Its lease of two minutes is over when the clock of the database says so: the row is made due by hand.
  const server = await sharedPostgres();
  await server.query(`update mail_outbox set due_at = '-infinity'`, databaseUrl);
  await until(
    'the mail of the one that died',
    async () => smtp.received.some(({ to }) => to[0] === last.email),
    60_000,
  );
});

test('a mail server that was away is found again, and nobody has waited for it', async (t) => {
  const port = await freePort();
  const service = await startService({ store: 'embedded', env: { SMTP_URL: `smtp://127.0.0.1:${port}` } });
  t.after(() => service.stop());
  const account = await register(service);
  assert.equal((await service.api.post(forgot, { email: account.email })).status, 202);
  await until('the first try', async () => service.logs().includes('is tried again later'));
  const smtp = await startSmtp({ port });
  t.after(() => smtp.stop());
  await until('the mail', async () => smtp.received.length === 1, 60_000);
  assert.equal(smtp.received[0]?.to[0], account.email);
});

test('LOG-02 a mail that was given up is shown to administrators, without its address, and tried again by hand, once', async (t) => {
  const smtp = await startSmtp();
  t.after(() => smtp.stop());
  const [email, password] = [newEmail('admin'), newPassword()];
  const first = { BOOTSTRAP_ADMIN_EMAIL: email, BOOTSTRAP_ADMIN_PASSWORD: password };
  const service = await startService({ store: 'postgres', env: { SMTP_URL: smtp.url, ...first } });
  t.after(() => service.stop());
  const { access_token: token } = tokensOf(await login(service, { email, password }));
  const account = await register(service);
  smtp.answer({ code: 550, at: 'rcpt' });
  await service.api.post(forgot, { email: account.email });
  interface Dead {
    readonly id: string;
    readonly kind: string;
  }
  const dead = await until('a dead letter', async () => {
    const answer = await service.api.get('/api/admin/mails', { token });
    assert.ok(!answer.text.includes(account.email));
    return (answer.body as { items: readonly Dead[] }).items[0];
  });
  assert.equal(dead.kind, 'reset_password');
  smtp.answer('take');
  const retry = () => service.api.post(`/api/admin/mails/${dead.id}/retry`, undefined, { token });
  assert.equal((await retry()).status, 202);
  await until('the mail', async () => smtp.received.some(({ to }) => to.includes(account.email)));
  assertProblem(await retry(), 404, 'not_found');
  const events = await service.api.get(`/api/admin/audit-events?target=${dead.id}`, { token });
  const seen = (events.body as { items: readonly { type: string; outcome: string }[] }).items;
  assert.deepEqual(
    seen.map(({ type, outcome }) => [type, outcome]),
    [['mail.retried', 'success']],
  );
});
