/** Second factors and step-up over HTTP: enrolment, the second step of a login, and that there is no way around it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import jsQR from 'jsqr';
import type { MfaAnswer, TokenAnswer } from '../../packages/protocol/src/index.ts';
import {
  type Authenticator,
  type CreationOptions,
  createAuthenticator,
  type RequestOptions,
} from '../support/authenticator.ts';
import { type Answer, assertProblem, meOf, problemCode, receiptOf, sessionsOf, tokensOf } from '../support/http.ts';
import { type RunningService, randomSecret, sharedPostgres, startService } from '../support/service.ts';
import { earlyInStep, scan, type TotpApp } from '../support/totp-app.ts';
import {
  type Account,
  assertQuiet,
  claimsOf,
  login,
  logout,
  me,
  metricsOf,
  newPassword,
  onEachStore,
  refresh,
  register,
  validate,
  worth,
} from './support/suite.ts';

const path = '/api/auth';

interface Enrolled extends Account {
  readonly app: TotpApp;
  readonly codes: readonly string[];
  /** Of the clock when the step was young; its code of the step before has confirmed the app. */
  readonly nowMs: number;
}

interface Pending {
  readonly mfa_token: string;
  readonly methods: readonly string[];
  readonly expires_in: number;
}

const codesOf = (answer: Answer): readonly string[] => {
  assert.equal(answer.status, 200, answer.text);
  return (answer.body as { recovery_codes: string[] }).recovery_codes;
};

async function beginTotp(service: RunningService, token: string) {
  const answer = await service.api.post(`${path}/mfa/totp`, undefined, { token });
  assert.equal(answer.status, 200, answer.text);
  return answer.body as { secret: string; otpauth_uri: string; qr_svg: string };
}

async function enrol(service: RunningService): Promise<Enrolled> {
  const account = await register(service);
  const token = account.tokens.access_token;
  const app = scan((await beginTotp(service, token)).otpauth_uri);
  const nowMs = await earlyInStep();
  const codes = codesOf(await service.api.post(`${path}/mfa/totp/confirm`, { code: app.code(nowMs, -1) }, { token }));
  return { ...account, app, codes, nowMs };
}

const pendingOf = (answer: Answer): Pending => {
  assertProblem(answer, 401, 'mfa_required');
  return answer.body as Pending;
};
const firstStep = async (service: RunningService, account: Pick<Account, 'email' | 'password'>): Promise<string> =>
  pendingOf(await login(service, account)).mfa_token;
const verify = (service: RunningService, token: string, proof: Readonly<Record<string, unknown>>): Promise<Answer> =>
  service.api.post(`${path}/mfa/verify`, { mfa_token: token, ...proof });
const reauthenticate = (service: RunningService, token: string, proof: Readonly<Record<string, unknown>>) =>
  service.api.post(`${path}/reauthenticate`, proof, { token });
const fullLogin = async (service: RunningService, account: Enrolled, steps = 0): Promise<TokenAnswer> =>
  tokensOf(await verify(service, await firstStep(service, account), { code: account.app.code(account.nowMs, steps) }));

/** How somebody was authenticated, as a token tells it. */
const strengthOf = (token: string): readonly unknown[] => [claimsOf(token)['acr'], claimsOf(token)['amr']];
const withTotp = ['aal2', ['pwd', 'otp', 'mfa']];

async function addPasskey(service: RunningService, token: string): Promise<Authenticator> {
  const authenticator = createAuthenticator({ origin: `http://localhost:${service.port}` });
  const options = await service.api.post(`${path}/webauthn/registration/options`, undefined, { token });
  const response = authenticator.create((options.body as { options: CreationOptions }).options);
  const added = await service.api.post(`${path}/webauthn/registration/verify`, { response }, { token });
  assert.equal(added.status, 201, added.text);
  return authenticator;
}

const optionsOf = (answer: Answer): RequestOptions => {
  assert.equal(answer.status, 200, answer.text);
  return (answer.body as { options: RequestOptions }).options;
};

onEachStore('second factors', (service) => {
  const { post, get, remove } = {
    post: (where: string, token: string, body?: unknown) => service().api.post(`${path}${where}`, body, { token }),
    get: (where: string, token: string) => service().api.get(`${path}${where}`, { token }),
    remove: (where: string, token: string) => service().api.delete(`${path}${where}`, { token }),
  };
  const factorsOf = async (token: string): Promise<MfaAnswer> => (await get('/mfa', token)).body as MfaAnswer;

  test('MFA-07 the secret is shown once, as text, address and QR code, and counts after a right code', async () => {
    const account = await register(service());
    const token = account.tokens.access_token;
    assert.deepEqual(await factorsOf(token), { enabled: false, methods: [], totp: null, recovery_codes_left: 0 });
    const shown = await beginTotp(service(), token);
    const uri = new URL(shown.otpauth_uri);
    assert.deepEqual(
      ['secret', 'algorithm', 'digits', 'period'].map((name) => uri.searchParams.get(name)),
      [shown.secret, 'SHA1', '6', '30'],
    );
    assert.match(shown.secret, /^[A-Z2-7]{32}$/);
    assert.ok(decodeURIComponent(uri.pathname).endsWith(account.email));
    assert.equal(readQr(shown.qr_svg), shown.otpauth_uri);

    const app = scan(shown.otpauth_uri);
    const nowMs = await earlyInStep();
    assertProblem(await post('/mfa/totp/confirm', token, { code: app.wrong(nowMs) }), 401, 'mfa_invalid');
    tokensOf(await login(service(), account));
    const codes = codesOf(await post('/mfa/totp/confirm', token, { code: app.code(nowMs) }));
    assert.equal(new Set(codes).size, 10);
    const factors = await factorsOf(token);
    assert.deepEqual(
      [factors.enabled, factors.methods, factors.recovery_codes_left],
      [true, ['totp', 'recovery_code'], 10],
    );
    assert.ok(!JSON.stringify(factors).includes(shown.secret));
    assert.equal(meOf(await me(service(), token)).user.mfa_enabled, true);
    assertProblem(
      await post('/mfa/totp/confirm', token, { code: app.code(nowMs, 1) }),
      401,
      'reauthentication_required',
    );
  });

  test('CLM-10 REF-10 with an app the password gets a challenge, and the code a session that tells so', async () => {
    const account = await enrol(service());
    const pending = pendingOf(await login(service(), account));
    assert.deepEqual([pending.methods, pending.expires_in], [['totp', 'recovery_code'], 300]);
    assertProblem(
      await verify(service(), pending.mfa_token, { code: account.app.wrong(account.nowMs) }),
      401,
      'mfa_invalid',
    );
    const answer = await verify(service(), pending.mfa_token, { code: account.app.code(account.nowMs) });
    const tokens = tokensOf(answer);
    assert.deepEqual(strengthOf(tokens.access_token), withTotp);
    assert.match(tokens.device_token ?? '', /^dt_/);
    const { verdict, next } = {
      verdict: await validate(service(), tokens.access_token, { required_acr: 'aal2', max_age: 60 }),
      next: tokensOf(await refresh(service(), tokens.refresh_token)),
    };
    assert.equal(verdict.valid, true);
    assert.deepEqual(strengthOf(next.access_token), withTotp);
    assert.equal(claimsOf(next.access_token)['auth_time'], claimsOf(tokens.access_token)['auth_time']);
    assertProblem(
      await verify(service(), pending.mfa_token, { code: account.app.code(account.nowMs, 1) }),
      401,
      'mfa_token_invalid',
    );
    // What was begun before there was a factor goes on as weak as it was.
    const old = tokensOf(await refresh(service(), account.tokens.refresh_token));
    assert.deepEqual(strengthOf(old.access_token), ['aal1', ['pwd']]);
    assert.equal(
      (await validate(service(), old.access_token, { required_acr: 'aal2' })).reason,
      'insufficient_authentication',
    );
  });

  test('MFA-11 ENU-01 a wrong password tells nothing of factors', async () => {
    const account = await enrol(service());
    const plain = await register(service());
    const wrong = await Promise.all(
      [account, plain].map(({ email }) => login(service(), { email, password: newPassword() })),
    );
    for (const answer of wrong) assertProblem(answer, 401, 'invalid_credentials');
    const [first, second] = wrong.map(({ body }) => ({ ...(body as object), request_id: '' }));
    assert.deepEqual(first, second);
  });

  test('a body wants exactly one proof', async () => {
    const account = await enrol(service());
    const token = await firstStep(service(), account);
    const code = account.app.code(account.nowMs);
    for (const proof of [{}, { code, recovery_code: 'x' }, { code, webauthn: {} }]) {
      assertProblem(await verify(service(), token, proof), 422, 'validation_failed');
    }
    assertProblem(await verify(service(), token, { password: account.password }), 422, 'unknown_field');
    for (const proof of [{}, { password: 'x', code }]) {
      assertProblem(await reauthenticate(service(), account.tokens.access_token, proof), 422, 'validation_failed');
    }
    tokensOf(await verify(service(), token, { code }));
  });

  test('CLM-02 MFA-05 MFA-06 the token of a challenge opens nothing but its second step', async () => {
    const account = await enrol(service());
    const token = await firstStep(service(), account);
    for (const [method, where] of [
      ['GET', '/me'],
      ['GET', '/mfa'],
      ['POST', '/mfa/totp'],
      ['DELETE', '/mfa/totp'],
      ['POST', '/mfa/recovery-codes'],
      ['POST', '/webauthn/registration/options'],
      ['POST', '/reauthenticate/options'],
      ['POST', '/logout'],
    ] as const) {
      assertProblem(await service().api.send(method, `${path}${where}`, undefined, { token }), 401, 'invalid_token');
    }
    assertProblem(await refresh(service(), token), 401, 'invalid_refresh_token');
    assert.equal(await worth(service(), token), 'invalid');
    const { device_token: device = '' } = tokensOf(await login(service(), await register(service())));
    for (const other of [
      account.tokens.access_token,
      account.tokens.refresh_token,
      device,
      'mfa_',
      '',
      'x'.repeat(5_000),
    ]) {
      assertProblem(
        await verify(service(), other, { code: account.app.code(account.nowMs) }),
        401,
        'mfa_token_invalid',
      );
    }
  });

  test('MFA-05 the challenge of one account takes no code of another, and stands after a code that is no code', async () => {
    const [mine, other] = [await enrol(service()), await enrol(service())];
    const token = await firstStep(service(), mine);
    const proofs = [
      { code: other.app.code(other.nowMs) },
      { recovery_code: other.codes[0] },
      { code: '' },
      { webauthn: {} },
    ];
    for (const proof of proofs) assertProblem(await verify(service(), token, proof), 401, 'mfa_invalid');
    tokensOf(await verify(service(), token, { code: mine.app.code(mine.nowMs) }));
    // Of the other nothing was used up.
    tokensOf(await verify(service(), await firstStep(service(), other), { recovery_code: other.codes[0] }));
  });

  for (const kind of ['an app', 'a passkey'] as const) {
    test(`MFA-04 with ${kind} no way in gives a session without it`, async () => {
      const account = kind === 'an app' ? await enrol(service()) : await register(service());
      if (kind === 'a passkey') await addPasskey(service(), account.tokens.access_token);
      const { access_token: token } = account.tokens;
      const sessions = async (): Promise<number> => sessionsOf(await get('/sessions', token)).length;
      const before = await sessions();
      const device = account.tokens.device_token;
      const pending = pendingOf(await login(service(), account));
      assert.deepEqual(pending.methods, kind === 'an app' ? ['totp', 'recovery_code'] : ['webauthn']);
      assertProblem(
        await login(service(), account, device === undefined ? {} : { device_token: device }),
        401,
        'mfa_required',
      );
      assertProblem(await reauthenticate(service(), token, { password: account.password }), 401, 'mfa_required');
      // Another password is proof of the password alone.
      const next = newPassword();
      const change = { current_password: account.password, new_password: next };
      const changed = await post('/change-password', token, change);
      assert.equal(changed.status, 200, changed.text);
      assertProblem(await login(service(), { ...account, password: next }), 401, 'mfa_required');
      const renewed = tokensOf(await refresh(service(), account.tokens.refresh_token));
      assert.equal(claimsOf(renewed.access_token)['acr'], 'aal1');
      assert.equal(await sessions(), before);
    });
  }

  test('MFA-06 SES-07 a session without the factor changes none of them', async () => {
    const account = await enrol(service());
    const token = account.tokens.access_token;
    const tries: (() => Promise<Answer>)[] = [
      () => post('/mfa/totp', token),
      () => post('/mfa/totp/confirm', token, { code: account.app.code(account.nowMs) }),
      () => remove('/mfa/totp', token),
      () => post('/mfa/recovery-codes', token),
      () => post('/webauthn/registration/options', token),
    ];
    for (const attempt of tries) {
      const answer = await attempt();
      assertProblem(answer, 401, 'reauthentication_required');
      assert.match(
        answer.headers['www-authenticate'] ?? '',
        /insufficient_user_authentication.*acr_values="aal2".*max_age=600/,
      );
    }
    const stepped = tokensOf(await reauthenticate(service(), token, { code: account.app.code(account.nowMs) }));
    assert.equal(codesOf(await post('/mfa/recovery-codes', stepped.access_token)).length, 10);
  });

  test('SES-07 without the password an account with a factor is deleted by a session with the factor alone', async () => {
    const account = await enrol(service());
    const refused = await remove('/me', account.tokens.access_token);
    assertProblem(refused, 401, 'reauthentication_required');
    assert.match(refused.headers['www-authenticate'] ?? '', /acr_values="aal2"/);
    const acting = await fullLogin(service(), account);
    assert.equal(receiptOf(await remove('/me', acting.access_token)).revoked_sessions, 2);
    assertProblem(await login(service(), account), 401, 'invalid_credentials');
  });

  test('SES-01 CLM-10 a step-up with a code begins a session in the place of the acting one', async () => {
    const account = await enrol(service());
    const other = await fullLogin(service(), account);
    const { access_token: token, refresh_token: renewal } = account.tokens;
    assertProblem(
      await reauthenticate(service(), token, { code: account.app.code(account.nowMs) }),
      401,
      'mfa_invalid',
    );
    const stepped = tokensOf(await reauthenticate(service(), token, { code: account.app.code(account.nowMs, 1) }));
    assert.deepEqual(strengthOf(stepped.access_token), withTotp);
    assert.notEqual(stepped.session_id, account.tokens.session_id);
    assert.equal(await worth(service(), token), 'revoked');
    assertProblem(await refresh(service(), renewal), 401, 'invalid_refresh_token');
    assert.equal(await worth(service(), other.access_token), 'valid');
    assert.equal((await validate(service(), stepped.access_token, { required_acr: 'aal2', max_age: 30 })).valid, true);
  });

  test('a step-up of an account without a factor wants the password, and tells no more than that', async () => {
    const account = await register(service());
    const token = account.tokens.access_token;
    assertProblem(await reauthenticate(service(), token, { code: '123456' }), 401, 'mfa_invalid');
    assertProblem(await reauthenticate(service(), token, { webauthn: {} }), 401, 'mfa_invalid');
    assertProblem(await reauthenticate(service(), token, { password: newPassword() }), 401, 'invalid_credentials');
    assertProblem(await post('/reauthenticate/options', token), 409, 'conflict');
    const stepped = tokensOf(await reauthenticate(service(), token, { password: account.password }));
    assert.deepEqual(strengthOf(stepped.access_token), ['aal1', ['pwd']]);
    assert.equal(await worth(service(), token), 'revoked');
    assert.equal(sessionsOf(await get('/sessions', stepped.access_token)).length, 1);
  });

  test('LCK-05 wrong passwords of a step-up count as failed logins', async () => {
    const account = await register(service());
    for (let wrong = 0; wrong < 5; wrong += 1) {
      const answer = await reauthenticate(service(), account.tokens.access_token, { password: newPassword() });
      assertProblem(answer, 401, 'invalid_credentials');
    }
    assertProblem(await login(service(), account), 429, 'account_locked');
    const { password } = account;
    assertProblem(await reauthenticate(service(), account.tokens.access_token, { password }), 429, 'account_locked');
  });

  test('the password of a step-up leads to the second step, which replaces the acting session', async () => {
    const account = await enrol(service());
    const token = account.tokens.access_token;
    const pending = pendingOf(await reauthenticate(service(), token, { password: account.password }));
    assert.equal(await worth(service(), token), 'valid');
    const stepped = tokensOf(await verify(service(), pending.mfa_token, { code: account.app.code(account.nowMs) }));
    assert.deepEqual(strengthOf(stepped.access_token), withTotp);
    assert.equal(await worth(service(), token), 'revoked');
    assert.equal(sessionsOf(await get('/sessions', stepped.access_token)).length, 1);
  });

  test('a step-up of a session that has ended begins none', async () => {
    const account = await enrol(service());
    const pending = pendingOf(
      await reauthenticate(service(), account.tokens.access_token, { password: account.password }),
    );
    assert.equal((await logout(service(), account.tokens.access_token)).status, 200);
    const late = await verify(service(), pending.mfa_token, { code: account.app.code(account.nowMs) });
    assertProblem(late, 401, 'mfa_token_invalid');
  });

  test('MFA-08 REV-02 a recovery code works once, and ends every other session, token and device', async () => {
    const account = await enrol(service());
    const other = await fullLogin(service(), account);
    const code = account.codes[4] ?? '';
    const tokens = tokensOf(await verify(service(), await firstStep(service(), account), { recovery_code: code }));
    assert.deepEqual(strengthOf(tokens.access_token), withTotp);
    for (const before of [account.tokens, other]) {
      assert.equal(await worth(service(), before.access_token), 'revoked');
      assertProblem(await refresh(service(), before.refresh_token), 401, 'invalid_refresh_token');
    }
    assert.equal(await worth(service(), tokens.access_token), 'valid');
    tokensOf(await refresh(service(), tokens.refresh_token));
    assertProblem(
      await verify(service(), await firstStep(service(), account), { recovery_code: code }),
      401,
      'mfa_invalid',
    );
    assert.equal((await factorsOf(tokens.access_token)).recovery_codes_left, 9);
  });

  test('REV-02 adding an app ends nothing; removing it ends every session but the acting one, and the codes', async () => {
    const account = await enrol(service());
    assert.equal(await worth(service(), account.tokens.access_token), 'valid');
    const acting = await fullLogin(service(), account);
    const pending = await firstStep(service(), account);
    const answer = await remove('/mfa/totp', acting.access_token);
    assert.deepEqual([receiptOf(answer).effective_everywhere, receiptOf(answer).revoked_sessions], [true, 1]);
    assert.equal(await worth(service(), account.tokens.access_token), 'revoked');
    assertProblem(await refresh(service(), account.tokens.refresh_token), 401, 'invalid_refresh_token');
    assert.equal(await worth(service(), acting.access_token), 'valid');
    for (const proof of [{ code: account.app.code(account.nowMs, 1) }, { recovery_code: account.codes[0] }]) {
      assertProblem(await verify(service(), pending, proof), 401, 'mfa_token_invalid');
    }
    const factors = await factorsOf(acting.access_token);
    assert.deepEqual([factors.enabled, factors.methods, factors.recovery_codes_left], [false, [], 0]);
    assertProblem(await remove('/mfa/totp', acting.access_token), 404, 'not_found');
    assertProblem(await post('/mfa/recovery-codes', acting.access_token), 409, 'conflict');
    tokensOf(await login(service(), account));
  });

  test('an app is replaced by another at its first right code, and not before', async () => {
    const account = await enrol(service());
    const acting = await fullLogin(service(), account);
    const next = scan((await beginTotp(service(), acting.access_token)).otpauth_uri);
    const still = await firstStep(service(), account);
    assertProblem(await verify(service(), still, { code: next.code(account.nowMs) }), 401, 'mfa_invalid');
    tokensOf(await verify(service(), still, { code: account.app.code(account.nowMs, 1) }));
    codesOf(await post('/mfa/totp/confirm', acting.access_token, { code: next.code(account.nowMs) }));
    assert.equal(sessionsOf(await get('/sessions', acting.access_token)).length, 1);
    const token = await firstStep(service(), account);
    assertProblem(await verify(service(), token, { recovery_code: account.codes[0] }), 401, 'mfa_invalid');
    tokensOf(await verify(service(), token, { code: next.code(account.nowMs, 1) }));
  });

  test('CLM-10 a passkey is a second factor, and a step-up by itself', async () => {
    const account = await register(service());
    const authenticator = await addPasskey(service(), account.tokens.access_token);
    const pending = pendingOf(await login(service(), account));
    const options = optionsOf(
      await service().api.post(`${path}/mfa/webauthn/options`, { mfa_token: pending.mfa_token }),
    );
    assert.deepEqual(
      options.allowCredentials.map(({ id }) => id),
      [authenticator.credentialId],
    );
    const tokens = tokensOf(await verify(service(), pending.mfa_token, { webauthn: authenticator.get(options) }));
    assert.deepEqual(strengthOf(tokens.access_token), ['aal2', ['pwd', 'hwk', 'user', 'mfa']]);

    const asked = optionsOf(await post('/reauthenticate/options', tokens.access_token));
    const stepped = tokensOf(
      await reauthenticate(service(), tokens.access_token, { webauthn: authenticator.get(asked) }),
    );
    assert.deepEqual(strengthOf(stepped.access_token), ['aal2', ['hwk', 'user', 'mfa']]);
    assert.equal(await worth(service(), tokens.access_token), 'revoked');
    assert.equal(codesOf(await post('/mfa/recovery-codes', stepped.access_token)).length, 10);
  });

  test('WAK-01 an assertion for one purpose serves no other, and five wrong ones end the challenge', async () => {
    const account = await register(service());
    const authenticator = await addPasskey(service(), account.tokens.access_token);
    const other = await register(service());
    const thief = await addPasskey(service(), other.tokens.access_token);
    const { mfa_token: token } = pendingOf(await login(service(), account));
    const options = async (): Promise<RequestOptions> =>
      optionsOf(await service().api.post(`${path}/mfa/webauthn/options`, { mfa_token: token }));
    const wrong = [
      authenticator.get(optionsOf(await post('/reauthenticate/options', account.tokens.access_token))),
      authenticator.get(optionsOf(await service().api.post(`${path}/webauthn/login/options`))),
      thief.get(await options()),
      authenticator.get(await options(), { flags: 1 }),
      {},
    ];
    const stale = authenticator.get(await options());
    for (const webauthn of wrong) assertProblem(await verify(service(), token, { webauthn }), 401, 'mfa_invalid');
    assertProblem(await verify(service(), token, { webauthn: stale }), 401, 'mfa_token_invalid');
    assertProblem(
      await service().api.post(`${path}/mfa/webauthn/options`, { mfa_token: token }),
      401,
      'mfa_token_invalid',
    );
  });

  test('MFA-03 ten wrong codes lock second factors and leave the password and passkeys as they are', async () => {
    const account = await enrol(service());
    const acting = await fullLogin(service(), account);
    const authenticator = await addPasskey(service(), acting.access_token);
    for (let wrong = 0; wrong < 10; wrong += 1) {
      const token = await firstStep(service(), account);
      assertProblem(await verify(service(), token, { code: account.app.wrong(account.nowMs) }), 401, 'mfa_invalid');
    }
    const token = await firstStep(service(), account);
    for (const proof of [{ code: account.app.code(account.nowMs, 1) }, { recovery_code: account.codes[0] }]) {
      const answer = await verify(service(), token, proof);
      assertProblem(answer, 429, 'account_locked');
      assert.ok(Number(answer.headers['retry-after']) > 800);
    }
    const options = optionsOf(await service().api.post(`${path}/mfa/webauthn/options`, { mfa_token: token }));
    tokensOf(await verify(service(), token, { webauthn: authenticator.get(options) }));
  });

  test('metrics tell second factors, by method and by how they ended, and half a login is none', async () => {
    const earlier = await metricsOf(service());
    const account = await enrol(service());
    const token = await firstStep(service(), account);
    await verify(service(), token, { code: account.app.wrong(account.nowMs) });
    await verify(service(), token, { recovery_code: 'aaaa-aaaa-aaaa-aaaa' });
    tokensOf(await verify(service(), token, { code: account.app.code(account.nowMs) }));
    const later = await metricsOf(service());
    const counted = (name: string, labels: Readonly<Record<string, string>>): number =>
      later.sum(name, labels) - earlier.sum(name, labels);
    const challenges = 'auth_mfa_challenges_total';
    assert.deepEqual(
      [
        counted(challenges, { method: 'totp', result: 'success' }),
        counted(challenges, { method: 'totp', result: 'failure' }),
        counted(challenges, { method: 'recovery_code', result: 'failure' }),
        counted('auth_login_total', { result: 'mfa_required' }),
        counted('auth_login_total', { result: 'success' }),
      ],
      [1, 1, 1, 1, 1],
    );
  });
});

onEachStore(
  'fresh authentication',
  (service) => {
    test('SES-07 eleven minutes after the authentication factors are not changed any more, and a step-up makes it young', async () => {
      const account = await enrol(service());
      const old = await fullLogin(service(), account);
      await (await sharedPostgres()).query(
        `update sessions set auth_time = auth_time - interval '660 seconds' where id = '${old.session_id}'`,
        service().databaseUrl,
      );
      const { access_token: token } = tokensOf(await refresh(service(), old.refresh_token));
      const answers = [
        await service().api.post(`${path}/mfa/totp`, undefined, { token }),
        await service().api.post(`${path}/mfa/recovery-codes`, undefined, { token }),
        await service().api.delete(`${path}/mfa/totp`, { token }),
      ];
      for (const answer of answers) assertProblem(answer, 401, 'reauthentication_required');
      assert.equal((await validate(service(), token, { max_age: 600 })).reason, 'insufficient_authentication');
      const stepped = tokensOf(await reauthenticate(service(), token, { code: account.app.code(account.nowMs, 1) }));
      assert.equal(
        (await validate(service(), stepped.access_token, { max_age: 600, required_acr: 'aal2' })).valid,
        true,
      );
      codesOf(await service().api.post(`${path}/mfa/recovery-codes`, undefined, { token: stepped.access_token }));
    });
  },
  { stores: ['postgres'] },
);

describe('second factors on two services of one database', () => {
  let nodes: readonly RunningService[] = [];
  before(async () => {
    const databaseUrl = await (await sharedPostgres()).createDatabase();
    const env = { JWT_SECRET: randomSecret(), PUBLIC_URL: 'http://auth.example.org', REVOCATION_MAX_STALENESS: '3' };
    nodes = await Promise.all(
      ['a', 'b'].map((name) => startService({ store: 'postgres', databaseUrl, env: { ...env, NODE_NAME: name } })),
    );
  });
  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  });
  const nodeOf = (at: number): RunningService => nodes[at % nodes.length] ?? assert.fail('there are two');

  async function race(account: Enrolled, proof: Readonly<Record<string, unknown>>): Promise<readonly Answer[]> {
    const tokens: string[] = [];
    for (let at = 0; at < 50; at += 1) tokens.push(await firstStep(nodeOf(at), account));
    return Promise.all(tokens.map((token, at) => verify(nodeOf(at + 1), token, proof)));
  }

  test('MFA-01 MFA-05 a challenge of one is met at the other, and of fifty uses of one code at both one is a login', async () => {
    const account = await enrol(nodeOf(0));
    const nowMs = await earlyInStep();
    const answers = await race(account, { code: account.app.code(nowMs, 1) });
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    const others = new Set(answers.filter(({ status }) => status !== 200).map(problemCode));
    assert.ok([...others].every((code) => ['mfa_invalid', 'account_locked', 'overloaded'].includes(code ?? '')));
  });

  test('MFA-08 of fifty uses of one recovery code at both one is a login, and it ends the sessions of both', async () => {
    const account = await enrol(nodeOf(0));
    const answers = await race(account, { recovery_code: account.codes[0] });
    const [won, ...more] = answers.filter(({ status }) => status === 200);
    assert.ok(won !== undefined && more.length === 0);
    for (const node of nodes) {
      assert.equal(await worth(node, account.tokens.access_token), 'revoked');
      assert.equal(await worth(node, tokensOf(won).access_token), 'valid');
      assertQuiet(node);
    }
  });
});

/** What a camera reads off the picture. */
function readQr(svg: string): string | undefined {
  const size = Number(/viewBox="0 0 (\d+) \d+"/.exec(svg)?.[1]);
  const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  for (const [, x = '', y = '', width = '', height = ''] of svg.matchAll(/M(\d+),(\d+)h(\d+)v(\d+)h-\d+z/g)) {
    for (let row = Number(y); row < Number(y) + Number(height); row += 1) {
      const from = (row * size + Number(x)) * 4;
      for (let at = from; at < from + Number(width) * 4; at += 4) pixels.fill(0, at, at + 3);
    }
  }
  return jsQR.default(pixels, size, size)?.data;
}
