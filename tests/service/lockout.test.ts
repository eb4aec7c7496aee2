/** Guessing: what a wrong password costs, whom it locks out, and whom it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, assertProblem, problemCode, tokensOf } from '../support/http.ts';
import { until } from '../support/service.ts';
import { hashesDone, login, metricsOf, newEmail, newPassword, onEachStore, register } from './support/suite.ts';

const sameButIds = (answer: Answer): string => {
  const { 'x-request-id': _id, date: _date, 'retry-after': _wait, ...headers } = answer.headers;
  const { request_id: _request, ...body } = answer.body as Record<string, unknown>;
  return JSON.stringify([answer.status, headers, body]);
};

onEachStore('lockout', (service) => {
  const wrong = (email: string) => login(service(), { email, password: newPassword() });

  test('LCK-01 after 5 wrong passwords the right one is refused too, with the time to wait', async () => {
    const account = await register(service());
    const before = await metricsOf(service());
    for (let at = 0; at < 5; at += 1) assertProblem(await wrong(account.email), 401, 'invalid_credentials');
    for (const password of [account.password, newPassword()]) {
      const answer = await login(service(), { ...account, password });
      assertProblem(answer, 429, 'account_locked');
      const wait = Number(answer.headers['retry-after']);
      assert.ok(wait > 800 && wait <= 900, `${wait}`);
    }
    const after = await metricsOf(service());
    assert.equal(after.sum('auth_lockouts_total') - before.sum('auth_lockouts_total'), 1);
  });

  test('LCK-07 ENU-05 an address that nobody has is counted and locked alike, answer by answer', async () => {
    const account = await register(service());
    const known: string[] = [];
    const unknown: string[] = [];
    const stranger = newEmail();
    for (let at = 0; at < 7; at += 1) {
      known.push(sameButIds(await wrong(account.email)));
      unknown.push(sameButIds(await wrong(stranger)));
    }
    assert.deepEqual(known, unknown);
    assert.ok(known[6]?.includes('account_locked'));
  });

  test('EML-04 every spelling of an address counts for the same account', async () => {
    const account = await register(service());
    const spellings = [
      account.email,
      account.email.toUpperCase(),
      ` ${account.email}`,
      `${account.email} `,
      account.email,
    ];
    for (const email of spellings) assertProblem(await wrong(email), 401, 'invalid_credentials');
    assertProblem(await login(service(), account), 429, 'account_locked');
  });

  test('LCK-06 a good login forgets the failures before it', async () => {
    const account = await register(service());
    for (let round = 0; round < 3; round += 1) {
      for (let at = 0; at < 4; at += 1) assertProblem(await wrong(account.email), 401, 'invalid_credentials');
      tokensOf(await login(service(), account));
    }
  });

  test('LCK-02 a device that logged in before keeps its owner in while strangers are locked out', async () => {
    const account = await register(service());
    const other = await register(service());
    const { device_token: device = '' } = tokensOf(await login(service(), account));
    const { device_token: foreign = '' } = tokensOf(await login(service(), other));
    for (let at = 0; at < 5; at += 1) await wrong(account.email);
    assertProblem(await login(service(), account), 429, 'account_locked');
    const again = tokensOf(await login(service(), account, { device_token: device }));
    for (const forged of [
      foreign,
      `${device}A`,
      device.slice(0, -1),
      device.toLowerCase(),
      'dt_',
      '',
      'x'.repeat(1_000),
    ]) {
      assertProblem(await login(service(), account, { device_token: forged }), 429, 'account_locked');
    }
    tokensOf(await login(service(), account, { device_token: again.device_token }));
    for (let at = 0; at < 5; at += 1) {
      const guess = await login(service(), { ...account, password: newPassword() }, { device_token: device });
      assertProblem(guess, 401, 'invalid_credentials');
    }
    assertProblem(await login(service(), account, { device_token: device }), 429, 'account_locked');
    assertProblem(await login(service(), account, { device_token: 7 }), 422, 'validation_failed');
  });

  test('RAT-02 50 wrong guesses at once get 5 hashes, for a known and for an unknown address', async () => {
    const account = await register(service());
    for (const email of [account.email, newEmail()]) {
      const before = await hashesDone(service());
      const answers = await Promise.all(Array.from({ length: 50 }, () => wrong(email)));
      const codes = answers.map((answer) => problemCode(answer));
      assert.equal(codes.filter((code) => code === 'invalid_credentials').length, 5, codes.join(' '));
      assert.equal(codes.filter((code) => code === 'account_locked').length, 45);
      assert.equal((await hashesDone(service())) - before, 5);
    }
  });

  test('many good logins at once all succeed', async () => {
    const account = await register(service());
    const answers = await Promise.all(Array.from({ length: 40 }, () => login(service(), account)));
    for (const answer of answers) {
      // The hashers may be busy; nobody is told that the password was wrong.
      if (answer.status !== 503) tokensOf(answer);
    }
    assert.ok(answers.filter((answer) => answer.status === 200).length >= 20);
    tokensOf(await login(service(), account));
  });
});

onEachStore(
  'a short lockout',
  (service) => {
    test('LCK-01 a lock ends by itself, and begins again with the next failures', async () => {
      const account = await register(service());
      for (let at = 0; at < 2; at += 1) {
        assertProblem(await login(service(), { ...account, password: newPassword() }), 401, 'invalid_credentials');
      }
      const locked = await login(service(), account);
      assertProblem(locked, 429, 'account_locked');
      assert.ok(Number(locked.headers['retry-after']) <= 2);
      await until('the end of the lock', async () => (await login(service(), account)).status === 200);
      for (let at = 0; at < 2; at += 1) {
        assertProblem(await login(service(), { ...account, password: newPassword() }), 401, 'invalid_credentials');
      }
      assertProblem(await login(service(), account), 429, 'account_locked');
    });

    test('LCK-07 a lock outlives the process', async () => {
      const account = await register(service());
      assert.equal(await service().halt(), 0);
      await service().start({ LOCKOUT_DURATION: '600' });
      for (let at = 0; at < 2; at += 1) await login(service(), { ...account, password: newPassword() });
      assertProblem(await login(service(), account), 429, 'account_locked');
      await service().kill9();
      await service().start();
      assertProblem(await login(service(), account), 429, 'account_locked');
    });
  },
  { stores: ['postgres'], env: { MAX_LOGIN_ATTEMPTS: '2', LOCKOUT_DURATION: '2' } },
);
