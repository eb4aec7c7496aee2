/** Passkeys over HTTP, with an authenticator in software: what works, and every way in which a ceremony may be wrong. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Passkey } from '../../packages/protocol/src/index.ts';
import {
  type Authenticator,
  type AuthenticatorOptions,
  type Change,
  type CreationOptions,
  createAuthenticator,
  encodeCbor,
  flag,
  type RequestOptions,
  type SentCredential,
} from '../support/authenticator.ts';
import { type Answer, assertProblem, receiptOf, tokensOf } from '../support/http.ts';
import { type RunningService, sharedPostgres } from '../support/service.ts';
import {
  type Account,
  claimsOf,
  login,
  me,
  metricsOf,
  onEachStore,
  refresh,
  register,
  validate,
  worth,
} from './support/suite.ts';

const path = '/api/auth/webauthn';
const originOf = (service: RunningService): string => `http://localhost:${service.port}`;
const authenticatorFor = (service: RunningService, more: Partial<AuthenticatorOptions> = {}): Authenticator =>
  createAuthenticator({ origin: originOf(service), ...more });

const creationOptions = async (service: RunningService, token: string): Promise<CreationOptions> => {
  const answer = await service.api.post(`${path}/registration/options`, undefined, { token });
  assert.equal(answer.status, 200, answer.text);
  return (answer.body as { options: CreationOptions }).options;
};
const requestOptions = async (service: RunningService): Promise<RequestOptions> => {
  const answer = await service.api.post(`${path}/login/options`);
  assert.equal(answer.status, 200, answer.text);
  return (answer.body as { options: RequestOptions }).options;
};
const sendNew = (service: RunningService, token: string, response: unknown, name?: string): Promise<Answer> =>
  service.api.post(`${path}/registration/verify`, { response, ...(name === undefined ? {} : { name }) }, { token });
const sendLogin = (service: RunningService, response: unknown): Promise<Answer> =>
  service.api.post(`${path}/login/verify`, { response });

async function addPasskey(
  service: RunningService,
  token: string,
  authenticator: Authenticator,
  change: Change = {},
): Promise<Passkey> {
  const options = await creationOptions(service, token);
  const answer = await sendNew(service, token, authenticator.create(options, change));
  assert.equal(answer.status, 201, answer.text);
  return (answer.body as { credential: Passkey }).credential;
}

const passkeyLogin = async (
  service: RunningService,
  authenticator: Authenticator,
  change: Change = {},
): Promise<Answer> => sendLogin(service, authenticator.get(await requestOptions(service), change));

const listOf = async (service: RunningService, token: string): Promise<readonly Passkey[]> => {
  const answer = await service.api.get(`${path}/credentials`, { token });
  assert.equal(answer.status, 200, answer.text);
  return (answer.body as { credentials: Passkey[] }).credentials;
};

interface Holder {
  readonly account: Account;
  readonly authenticator: Authenticator;
  readonly passkey: Passkey;
}

async function holder(service: RunningService, more: Partial<AuthenticatorOptions> = {}): Promise<Holder> {
  const account = await register(service);
  const authenticator = authenticatorFor(service, more);
  const passkey = await addPasskey(service, account.tokens.access_token, authenticator);
  return { account, authenticator, passkey };
}

const changed = (text: string): string => {
  const bytes = Buffer.from(text, 'base64url');
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return bytes.toString('base64url');
};
const inResponse = (member: string, make: (value: string) => unknown) => (credential: SentCredential) => ({
  ...credential,
  response: { ...credential.response, [member]: make(String(credential.response[member])) },
});
const someId = (): string => randomBytes(32).toString('base64url');

/** One thing wrong each, in both kinds of ceremony. */
const wrongEverywhere: Readonly<Record<string, (service: RunningService) => Change>> = {
  'another origin': () => ({ clientData: { origin: 'https://evil.example' } }),
  'a sub-domain': ({ port }) => ({ clientData: { origin: `http://login.localhost:${port}` } }),
  'another scheme': ({ port }) => ({ clientData: { origin: `https://localhost:${port}` } }),
  'another port': ({ port }) => ({ clientData: { origin: `http://localhost:${port - 1}` } }),
  'no port': () => ({ clientData: { origin: 'http://localhost' } }),
  'a slash behind the origin': ({ port }) => ({ clientData: { origin: `http://localhost:${port}/` } }),
  'the null origin': () => ({ clientData: { origin: 'null' } }),
  'no origin': () => ({ clientData: { origin: undefined } }),
  'origins in a list': ({ port }) => ({ clientData: { origin: [`http://localhost:${port}`] } }),
  'another relying party': () => ({ rpId: 'evil.example' }),
  'a relying party above ours': () => ({ rpId: 'host' }),
  'nobody present': () => ({ flags: flag.userVerified }),
  'nobody verified': () => ({ flags: flag.userPresent }),
  'no flag at all': () => ({ flags: 0 }),
  'a backup of what cannot be backed up': () => ({
    flags: flag.userPresent | flag.userVerified | flag.backedUp,
  }),
  'extensions announced and missing': () => ({ flags: flag.userPresent | flag.userVerified | flag.extended }),
  'an unknown challenge': () => ({ clientData: { challenge: someId() } }),
  'no challenge': () => ({ clientData: { challenge: undefined } }),
  'a challenge with padding': () => ({ clientData: { challenge: `${someId()}=` } }),
  'a page in a frame of others': () => ({ clientData: { crossOrigin: true } }),
  'a frame that says so in words': () => ({ clientData: { crossOrigin: 'yes' } }),
  'an origin above': () => ({ clientData: { topOrigin: 'https://evil.example' } }),
  'junk for a token binding': () => ({ clientData: { tokenBinding: { status: 'junk' } } }),
  'a token binding that is no object': () => ({ clientData: { tokenBinding: 'present' } }),
  'another type of ceremony': () => ({ clientData: { type: 'payment.get' } }),
  'another raw id': () => ({ sent: (credential) => ({ ...credential, rawId: someId() }) }),
  'another id, twice': () => {
    const id = someId();
    return { sent: (credential) => ({ ...credential, id, rawId: id }) };
  },
  'client data that is no JSON': () => ({ sent: inResponse('clientDataJSON', () => 'e30x') }),
  'client data that is null': () => ({ sent: inResponse('clientDataJSON', () => 'bnVsbA') }),
  'client data that is no UTF-8': () => ({ sent: inResponse('clientDataJSON', () => '__79') }),
  'bytes behind the authenticator data': () => ({
    authenticatorData: (data) => Buffer.concat([data, Buffer.from([0])]),
  }),
  'authenticator data cut short': () => ({ authenticatorData: (data) => data.subarray(0, 36) }),
};

onEachStore('passkeys', (service) => {
  const remove = (token: string, id: string): Promise<Answer> =>
    service().api.delete(`${path}/credentials/${id}`, { token });

  test('CLM-10 a passkey is added, listed, and logs in as aal2 without a user name', async () => {
    const { account, authenticator, passkey } = await holder(service());
    const options = await requestOptions(service());
    assert.deepEqual(options.allowCredentials, []);
    assert.equal(options.userVerification, 'required');
    const tokens = tokensOf(await sendLogin(service(), authenticator.get(options)));
    assert.equal(tokens.user.id, account.tokens.user.id);
    assert.equal(tokens.user.mfa_enabled, true);
    assert.ok((tokens.device_token ?? '') !== '');
    const claims = claimsOf(tokens.access_token);
    assert.deepEqual([claims['acr'], claims['amr']], ['aal2', ['hwk', 'user', 'mfa']]);
    const again = claimsOf(tokensOf(await refresh(service(), tokens.refresh_token)).access_token);
    assert.deepEqual([again['acr'], again['amr'], again['auth_time']], ['aal2', claims['amr'], claims['auth_time']]);
    assert.equal((await validate(service(), tokens.access_token, { required_acr: 'aal2', max_age: 60 })).valid, true);
    const [listed] = await listOf(service(), tokens.access_token);
    assert.equal(listed?.id, passkey.id);
    assert.notEqual(listed?.last_used_at, null);
    assert.equal(passkey.last_used_at, null);
  });

  for (const [name, algorithm] of [
    ['ES256', -7],
    ['EdDSA', -8],
    ['RS256', -257],
  ] as const) {
    test(`a passkey that signs with ${name} works`, async () => {
      const { authenticator } = await holder(service(), { algorithm });
      tokensOf(await passkeyLogin(service(), authenticator));
      tokensOf(await passkeyLogin(service(), authenticator));
    });
  }

  test('CLM-10 a passkey that may be copied is told from one that is bound to its device', async () => {
    const { authenticator, passkey } = await holder(service(), { synced: true, counts: false });
    assert.deepEqual([passkey.backup_eligible, passkey.backed_up], [true, true]);
    const first = tokensOf(await passkeyLogin(service(), authenticator));
    assert.deepEqual(claimsOf(first.access_token)['amr'], ['swk', 'user', 'mfa']);
    const notBackedUp = { flags: flag.userPresent | flag.userVerified | flag.backupEligible };
    const second = tokensOf(await passkeyLogin(service(), authenticator, notBackedUp));
    assert.equal((await listOf(service(), second.access_token))[0]?.backed_up, false);
  });

  test('the options of a registration ask for what is checked, and name what is there already', async () => {
    const { account, authenticator } = await holder(service());
    const strong = tokensOf(await passkeyLogin(service(), authenticator)).access_token;
    const options = await creationOptions(service(), strong);
    assert.equal(options.rp.id, 'localhost');
    assert.equal(options.user.name, account.email);
    assert.equal(Buffer.from(options.user.id, 'base64url').length, 16);
    assert.ok(Buffer.from(options.challenge, 'base64url').length >= 16);
    assert.equal(options.timeout, 300_000);
    assert.equal(options.attestation, 'none');
    assert.deepEqual(
      options.pubKeyCredParams.map(({ alg }) => alg),
      [-8, -7, -257],
    );
    assert.deepEqual(options.authenticatorSelection, {
      residentKey: 'required',
      requireResidentKey: true,
      userVerification: 'required',
    });
    assert.deepEqual(
      options.excludeCredentials.map(({ id }) => id),
      [authenticator.credentialId],
    );
  });

  test('ENU-06 the options of a login tell of nobody: no name is taken, and no passkey is named', async () => {
    const { account } = await holder(service());
    const shape = ({ challenge: _random, ...rest }: RequestOptions): string => JSON.stringify(rest);
    const [first, second] = [await requestOptions(service()), await requestOptions(service())];
    assert.equal(shape(first), shape(second));
    assert.notEqual(first.challenge, second.challenge);
    for (const body of [{ email: account.email }, { user_id: account.tokens.user.id }]) {
      assertProblem(await service().api.post(`${path}/login/options`, body), 422, 'unknown_field');
    }
  });

  for (const [what, changeOf] of Object.entries(wrongEverywhere)) {
    test(`WAK-01 ${what}: no passkey is added and nobody is logged in`, async () => {
      const account = await register(service());
      const token = account.tokens.access_token;
      const refusedKey = authenticatorFor(service());
      const options = await creationOptions(service(), token);
      assertProblem(
        await sendNew(service(), token, refusedKey.create(options, changeOf(service()))),
        401,
        'webauthn_failed',
      );
      // Its challenge is used up, or was not answered.
      assert.deepEqual(await listOf(service(), token), []);

      const authenticator = authenticatorFor(service());
      const passkey = await addPasskey(service(), token, authenticator);
      const sessions = (await service().api.get('/api/auth/sessions', { token })).text;
      assertProblem(await passkeyLogin(service(), authenticator, changeOf(service())), 401, 'webauthn_failed');
      assert.deepEqual(await listOf(service(), token), [passkey]);
      assert.equal(
        (JSON.parse(sessions) as { sessions: unknown[] }).sessions.length,
        ((await service().api.get('/api/auth/sessions', { token })).body as { sessions: unknown[] }).sessions.length,
      );
      tokensOf(await passkeyLogin(service(), authenticator));
    });
  }

  const wrongRegistration: Readonly<Record<string, Change>> = {
    'an algorithm that was not asked for': { algorithm: -35 },
    'an assertion in place of a registration': { clientData: { type: 'webauthn.get' } },
    'an attestation nobody knows': { format: 'fido-u3f' },
    'an attestation that names certificates': {
      format: 'packed',
      statement: [
        ['alg', -7],
        ['sig', Buffer.alloc(70, 1)],
        ['x5c', Buffer.alloc(10)],
      ],
    },
    'a self attestation that is not its own': {
      format: 'packed',
      statement: [
        ['alg', -7],
        ['sig', Buffer.alloc(70, 1)],
      ],
    },
    'an attestation of none with a statement': { statement: [['alg', -7]] },
    'a format that is a telephone': { format: 'android-safetynet', statement: [['ver', '1']] },
    'no attested credential': {
      authenticatorData: (data) => Buffer.concat([data.subarray(0, 32), Buffer.from([5, 0, 0, 0, 1])]),
    },
    'bytes behind the object': { attestationObject: (object) => Buffer.concat([object, Buffer.from([0])]) },
    'the key of a map in place of a key': {
      authenticatorData: (data) => Buffer.concat([data.subarray(0, 87), encodeCbor([[1, 2]])]),
    },
  };
  for (const [what, change] of Object.entries(wrongRegistration)) {
    test(`WAK-01 WAK-03 ${what} makes no passkey`, async () => {
      const account = await register(service());
      const token = account.tokens.access_token;
      const options = await creationOptions(service(), token);
      const answer = await sendNew(service(), token, authenticatorFor(service()).create(options, change));
      assertProblem(answer, 401, 'webauthn_failed');
      assert.deepEqual(await listOf(service(), token), []);
      tokensOf(await login(service(), account));
    });
  }

  const wrongLogin: Readonly<Record<string, Change>> = {
    'a signature with one bit changed': { sent: inResponse('signature', changed) },
    'authenticator data with one bit changed': { sent: inResponse('authenticatorData', changed) },
    'a registration in place of an assertion': { clientData: { type: 'webauthn.create' } },
    'a user handle of somebody else': { userHandle: someId() },
    'no user handle': { userHandle: null },
    'a signature that is empty but for a byte': { sent: inResponse('signature', () => 'AA') },
  };
  for (const [what, change] of Object.entries(wrongLogin)) {
    test(`WAK-01 ${what} logs nobody in`, async () => {
      const { authenticator } = await holder(service());
      assertProblem(await passkeyLogin(service(), authenticator, change), 401, 'webauthn_failed');
      tokensOf(await passkeyLogin(service(), authenticator));
    });
  }

  test('WAK-01 a challenge is worth one try, whoever wins', async () => {
    const { authenticator } = await holder(service(), { counts: false });
    const options = await requestOptions(service());
    const response = authenticator.get(options);
    const answers = await Promise.all(Array.from({ length: 16 }, () => sendLogin(service(), response)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    for (const answer of answers) if (answer.status !== 200) assertProblem(answer, 401, 'webauthn_failed');
    assertProblem(await sendLogin(service(), authenticator.get(options)), 401, 'webauthn_failed');
    const failed = await requestOptions(service());
    assertProblem(
      await sendLogin(service(), authenticator.get(failed, { sent: inResponse('signature', changed) })),
      401,
      'webauthn_failed',
    );
    assertProblem(await sendLogin(service(), authenticator.get(failed)), 401, 'webauthn_failed');
  });

  test('WAK-01 a challenge serves the ceremony and the person that it was given for', async () => {
    const { authenticator } = await holder(service());
    const [one, other] = [await register(service()), await register(service())];
    const forOne = await creationOptions(service(), one.tokens.access_token);
    const made = authenticatorFor(service()).create(forOne);
    assertProblem(await sendNew(service(), other.tokens.access_token, made), 401, 'webauthn_failed');
    assert.deepEqual(await listOf(service(), other.tokens.access_token), []);
    const rpId = forOne.rp.id;
    const asLogin = { challenge: forOne.challenge, rpId, allowCredentials: [], userVerification: '', timeout: 0 };
    assertProblem(await sendLogin(service(), authenticator.get(asLogin)), 401, 'webauthn_failed');
    const { challenge } = await requestOptions(service());
    const asRegistration = authenticatorFor(service()).create({ ...forOne, challenge });
    assertProblem(await sendNew(service(), one.tokens.access_token, asRegistration), 401, 'webauthn_failed');
    // The attempts of others did not use it up.
    assert.equal((await sendNew(service(), one.tokens.access_token, made)).status, 201);
  });

  test('WAK-01 a credential belongs to one account', async () => {
    const { authenticator } = await holder(service());
    const thief = await register(service());
    const token = thief.tokens.access_token;
    const stolen = authenticator.clone();
    const options = await creationOptions(service(), token);
    const made = authenticatorFor(service());
    const id = Buffer.from(authenticator.credentialId, 'base64url');
    const response = made.create(options, {
      authenticatorData: (data) => Buffer.concat([data.subarray(0, 55), id, data.subarray(87)]),
      sent: (credential) => ({ ...credential, id: stolen.credentialId, rawId: stolen.credentialId }),
    });
    assertProblem(await sendNew(service(), token, response), 401, 'webauthn_failed');
    assert.deepEqual(await listOf(service(), token), []);
    tokensOf(await passkeyLogin(service(), authenticator));
  });

  test('WAK-02 a counter that does not grow is a copy: refused, noted, and the session of before goes on', async () => {
    const { authenticator } = await holder(service());
    const thief = authenticator.clone();
    const tokens = tokensOf(await passkeyLogin(service(), authenticator));
    assertProblem(await passkeyLogin(service(), thief), 401, 'webauthn_failed');
    assertProblem(await passkeyLogin(service(), authenticator, { counter: 1 }), 401, 'webauthn_failed');
    assertProblem(await passkeyLogin(service(), authenticator, { counter: 0 }), 401, 'webauthn_failed');
    assert.equal(await worth(service(), tokens.access_token), 'valid');
    const { stdout } = await service().cli(['audit', 'list', '--type', 'authenticator_clone_suspected', '--json']);
    assert.ok(stdout.includes(tokens.user.id), stdout);
    tokensOf(await passkeyLogin(service(), authenticator));
  });

  test('WAK-02 an authenticator that begins to count is believed from then on', async () => {
    const { authenticator } = await holder(service(), { counts: false });
    tokensOf(await passkeyLogin(service(), authenticator));
    tokensOf(await passkeyLogin(service(), authenticator, { counter: 7 }));
    assertProblem(await passkeyLogin(service(), authenticator, { counter: 7 }), 401, 'webauthn_failed');
    assertProblem(await passkeyLogin(service(), authenticator), 401, 'webauthn_failed');
    tokensOf(await passkeyLogin(service(), authenticator, { counter: 8 }));
  });

  test('WAK-02 a passkey that was bound to its device does not become one that may be copied, nor back', async () => {
    const usual = flag.userPresent | flag.userVerified;
    const bound = await holder(service());
    const eligible = { flags: usual | flag.backupEligible };
    assertProblem(await passkeyLogin(service(), bound.authenticator, eligible), 401, 'webauthn_failed');
    tokensOf(await passkeyLogin(service(), bound.authenticator));
    const synced = await holder(service(), { synced: true, counts: false });
    assertProblem(await passkeyLogin(service(), synced.authenticator, { flags: usual }), 401, 'webauthn_failed');
    tokensOf(await passkeyLogin(service(), synced.authenticator));
  });

  test('MFA-06 with a passkey there, a password alone neither logs in nor changes the passkeys', async () => {
    const { account, passkey } = await holder(service());
    const token = account.tokens.access_token;
    const refused = await login(service(), account);
    assertProblem(refused, 401, 'mfa_required');
    assert.ok((refused.body as { methods: string[] }).methods.includes('webauthn'));
    // The session that added it is weaker than what the account has now.
    for (const answer of [
      await remove(token, passkey.id),
      await service().api.post(`${path}/registration/options`, undefined, { token }),
    ]) {
      assertProblem(answer, 401, 'reauthentication_required');
      assert.match(answer.headers['www-authenticate'] ?? '', /acr_values="aal2".*max_age=600/);
    }
    assert.equal((await listOf(service(), token)).length, 1);
  });

  test('MFA-06 a registration that was begun before the account had a factor ends weaker than it', async () => {
    const account = await register(service());
    const token = account.tokens.access_token;
    const begun = await creationOptions(service(), token);
    await addPasskey(service(), token, authenticatorFor(service()));
    const late = await sendNew(service(), token, authenticatorFor(service()).create(begun));
    assertProblem(late, 401, 'reauthentication_required');
    assert.equal((await listOf(service(), token)).length, 1);
  });

  test('REV-02 adding a passkey ends nothing; removing one ends every session but the acting one', async () => {
    const { account, authenticator, passkey } = await holder(service());
    assert.equal(await worth(service(), account.tokens.access_token), 'valid');
    const acting = tokensOf(await passkeyLogin(service(), authenticator));
    const other = tokensOf(await passkeyLogin(service(), authenticator));
    const answer = await remove(acting.access_token, passkey.id);
    assert.equal(receiptOf(answer).effective_everywhere, true);
    assert.equal(receiptOf(answer).revoked_sessions, 2);
    assert.equal(await worth(service(), acting.access_token), 'valid');
    for (const ended of [account.tokens, other]) {
      assert.equal(await worth(service(), ended.access_token), 'revoked');
      assertProblem(await refresh(service(), ended.refresh_token), 401, 'invalid_refresh_token');
    }
    assertProblem(await passkeyLogin(service(), authenticator), 401, 'webauthn_failed');
    const alone = tokensOf(await login(service(), account));
    assert.equal(alone.user.mfa_enabled, false);
    assertProblem(await remove(acting.access_token, passkey.id), 404, 'not_found');
  });

  const secondOptions = async (token: unknown): Promise<RequestOptions> => {
    const answer = await service().api.post('/api/auth/mfa/webauthn/options', { mfa_token: token });
    assert.equal(answer.status, 200, answer.text);
    return (answer.body as { options: RequestOptions }).options;
  };
  const secondStep = (token: unknown, webauthn: unknown): Promise<Answer> =>
    service().api.post('/api/auth/mfa/verify', { mfa_token: token, webauthn });
  const mfaTokenOf = async (account: Account): Promise<string> => {
    const answer = await login(service(), account);
    assertProblem(answer, 401, 'mfa_required');
    return (answer.body as { mfa_token: string }).mfa_token;
  };
  const stepUpOptions = async (token: string): Promise<RequestOptions> => {
    const answer = await service().api.post('/api/auth/reauthenticate/options', undefined, { token });
    assert.equal(answer.status, 200, answer.text);
    return (answer.body as { options: RequestOptions }).options;
  };

  test('MFA-04 CLM-10 after the password a passkey is the second factor, and the session says all of it', async () => {
    const { account, authenticator } = await holder(service());
    const token = await mfaTokenOf(account);
    const options = await secondOptions(token);
    assert.deepEqual(
      options.allowCredentials.map(({ id }) => id),
      [authenticator.credentialId],
    );
    const tokens = tokensOf(await secondStep(token, authenticator.get(options)));
    const claims = claimsOf(tokens.access_token);
    assert.deepEqual([claims['acr'], claims['amr']], ['aal2', ['pwd', 'hwk', 'user', 'mfa']]);
    assertProblem(
      await secondStep(token, authenticator.get(await requestOptions(service()))),
      401,
      'mfa_token_invalid',
    );
  });

  test('WAK-01 MFA-05 a wrong assertion, or one that was made for something else, is no second factor', async () => {
    const { account, authenticator } = await holder(service());
    const other = await holder(service());
    const token = await mfaTokenOf(account);
    const tries: readonly (() => Promise<unknown>)[] = [
      async () => authenticator.get(await requestOptions(service())),
      async () => authenticator.get(await stepUpOptions(account.tokens.access_token)),
      async () => other.authenticator.get(await secondOptions(token)),
      async () => authenticator.get(await secondOptions(token), { flags: flag.userPresent }),
    ];
    for (const make of tries) assertProblem(await secondStep(token, await make()), 401, 'mfa_invalid');
    tokensOf(await secondStep(token, authenticator.get(await secondOptions(token))));
    const next = await mfaTokenOf(account);
    for (const junk of [{}, { id: 1 }, { response: null }]) {
      assertProblem(await secondStep(next, junk), 401, 'mfa_invalid');
    }
    // What was given for a second factor is not a login.
    const forSecond = authenticator.get(await secondOptions(next));
    assertProblem(await sendLogin(service(), forSecond), 401, 'webauthn_failed');
    tokensOf(await secondStep(next, forSecond));
  });

  test('SES-01 SES-07 a step-up by passkey makes a stronger session in place of the acting one', async () => {
    const { account, authenticator, passkey } = await holder(service());
    const weak = account.tokens.access_token;
    assertProblem(await remove(weak, passkey.id), 401, 'reauthentication_required');
    const forLogin = authenticator.get(await requestOptions(service()));
    const wrong = await service().api.post('/api/auth/reauthenticate', { webauthn: forLogin }, { token: weak });
    assertProblem(wrong, 401, 'mfa_invalid');
    const webauthn = authenticator.get(await stepUpOptions(weak));
    const strong = tokensOf(await service().api.post('/api/auth/reauthenticate', { webauthn }, { token: weak }));
    assert.notEqual(strong.session_id, account.tokens.session_id);
    const claims = claimsOf(strong.access_token);
    assert.deepEqual([claims['acr'], claims['amr']], ['aal2', ['hwk', 'user', 'mfa']]);
    assert.equal(await worth(service(), weak), 'revoked');
    assert.equal((await remove(strong.access_token, passkey.id)).status, 200);
    assert.equal(await worth(service(), strong.access_token), 'valid');
  });

  test('metrics tell passkeys as second factors', async () => {
    const { account, authenticator } = await holder(service());
    const before = await metricsOf(service());
    const token = await mfaTokenOf(account);
    await secondStep(token, authenticator.get(await secondOptions(token), { flags: 0 }));
    tokensOf(await secondStep(token, authenticator.get(await secondOptions(token))));
    const after = await metricsOf(service());
    for (const result of ['success', 'failure']) {
      const count = (metrics: typeof after): number =>
        metrics.sum('auth_mfa_challenges_total', { method: 'webauthn', result });
      assert.equal(count(after) - count(before), 1, result);
    }
  });

  test('AZ-03 a passkey of somebody else is not there', async () => {
    const { account, authenticator, passkey } = await holder(service());
    const stranger = await holder(service());
    const token = tokensOf(await passkeyLogin(service(), stranger.authenticator)).access_token;
    assertProblem(await remove(token, passkey.id), 404, 'not_found');
    assertProblem(
      await service().api.send('PATCH', `${path}/credentials/${passkey.id}`, { name: 'mine' }, { token }),
      404,
      'not_found',
    );
    assert.deepEqual(await listOf(service(), account.tokens.access_token), [passkey]);
    tokensOf(await passkeyLogin(service(), authenticator));
  });

  test('a passkey has a name, which its owner changes', async () => {
    const account = await register(service());
    const token = account.tokens.access_token;
    const options = await creationOptions(service(), token);
    const answer = await sendNew(service(), token, authenticatorFor(service()).create(options), ' Ada’s key ');
    assert.equal((answer.body as { credential: Passkey }).credential.name, 'Ada’s key');
    const [{ id } = { id: '' }] = await listOf(service(), token);
    const renamed = await service().api.send('PATCH', `${path}/credentials/${id}`, { name: 'Telephone' }, { token });
    assert.equal((renamed.body as { credential: Passkey }).credential.name, 'Telephone');
    for (const name of ['', 'x'.repeat(101), 'a\u0000b', 7, null]) {
      const refused = await service().api.send('PATCH', `${path}/credentials/${id}`, { name }, { token });
      assertProblem(refused, 422, 'validation_failed');
    }
    const more = { name: 'x', sign_count: 0 };
    assertProblem(
      await service().api.send('PATCH', `${path}/credentials/${id}`, more, { token }),
      422,
      'unknown_field',
    );
    assert.equal((await listOf(service(), token))[0]?.name, 'Telephone');
  });

  test('an account has at most twenty passkeys, however many are added at once', async () => {
    const account = await register(service());
    const token = account.tokens.access_token;
    const first = authenticatorFor(service());
    await addPasskey(service(), token, first);
    const strong = tokensOf(await passkeyLogin(service(), first)).access_token;
    const begun = await Promise.all(
      Array.from({ length: 21 }, async () =>
        authenticatorFor(service()).create(await creationOptions(service(), strong)),
      ),
    );
    const answers = await Promise.all(begun.map((response) => sendNew(service(), strong, response)));
    assert.equal(answers.filter(({ status }) => status === 201).length, 19);
    for (const answer of answers) if (answer.status !== 201) assertProblem(answer, 409, 'conflict');
    assert.equal((await listOf(service(), strong)).length, 20);
    assertProblem(
      await service().api.post(`${path}/registration/options`, undefined, { token: strong }),
      409,
      'conflict',
    );
  });

  test('LCK-02 LCK-03 a passkey logs in while the password is locked', async () => {
    const { account, authenticator } = await holder(service());
    for (let wrong = 0; wrong < 5; wrong += 1) await login(service(), { ...account, password: `${wrong} is wrong` });
    assertProblem(await login(service(), account), 429, 'account_locked');
    tokensOf(await passkeyLogin(service(), authenticator));
  });

  test('what is no credential at all is told as such, and what browsers add is taken no notice of', async () => {
    const { authenticator } = await holder(service());
    const options = await requestOptions(service());
    const good = authenticator.get(options) as SentCredential;
    for (const response of [
      undefined,
      null,
      'x',
      [],
      { ...good, id: undefined },
      { ...good, type: 'password' },
      { ...good, response: null },
      { ...good, id: `${good.id}=` },
      { ...good, id: 'x'.repeat(2_000) },
      { ...good, response: { ...good.response, signature: 'a b' } },
      { ...good, response: { ...good.response, clientDataJSON: 7 } },
    ]) {
      assertProblem(await sendLogin(service(), response), 422, 'validation_failed');
    }
    const more = { ...good, somethingNew: { a: 1 }, response: { ...good.response, more: [1] } };
    tokensOf(await sendLogin(service(), more));
  });

  test('metrics tell logins by passkey, and why they failed', async () => {
    const { authenticator } = await holder(service());
    const before = await metricsOf(service());
    tokensOf(await passkeyLogin(service(), authenticator));
    await passkeyLogin(service(), authenticator, { flags: 0 });
    const after = await metricsOf(service());
    for (const result of ['success', 'webauthn_failed']) {
      const count = (metrics: typeof after): number => metrics.sum('auth_login_total', { result });
      assert.equal(count(after) - count(before), 1, result);
    }
  });

  test('REV-03 a passkey of a deleted account logs nobody in, and its credential may begin anew', async () => {
    const { account, authenticator } = await holder(service());
    const { access_token: token } = tokensOf(await passkeyLogin(service(), authenticator));
    const body = { password: account.password };
    assert.equal((await service().api.send('DELETE', '/api/auth/me', body, { token })).status, 200);
    assertProblem(await passkeyLogin(service(), authenticator), 401, 'webauthn_failed');
    assertProblem(await me(service(), token), 401, 'token_revoked');
  });

  test('a disabled account is told so only after a right signature', async () => {
    const { account, authenticator } = await holder(service());
    assert.equal((await service().cli(['users', 'disable', account.email])).code, 0);
    assertProblem(await passkeyLogin(service(), authenticator, { flags: 0 }), 401, 'webauthn_failed');
    assertProblem(await passkeyLogin(service(), authenticator), 403, 'account_disabled');
  });
});

onEachStore(
  'passkeys, a long time after the login',
  (service) => {
    test('SES-07 MFA-06 passkeys are neither added nor removed, whatever was refreshed since', async () => {
      const { authenticator, passkey } = await holder(service());
      const tokens = tokensOf(await passkeyLogin(service(), authenticator));
      const begun = await creationOptions(service(), tokens.access_token);
      const postgres = await sharedPostgres();
      await postgres.query(
        `update sessions set auth_time = auth_time - interval '601 seconds' where id = '${tokens.session_id}'`,
        service().databaseUrl,
      );
      const { access_token: token } = tokensOf(await refresh(service(), tokens.refresh_token));
      for (const answer of [
        await service().api.post(`${path}/registration/options`, undefined, { token }),
        await sendNew(service(), token, authenticatorFor(service()).create(begun)),
        await service().api.delete(`${path}/credentials/${passkey.id}`, { token }),
      ]) {
        assertProblem(answer, 401, 'reauthentication_required');
      }
      assert.equal((await listOf(service(), token)).length, 1);
    });
  },
  { stores: ['postgres'] },
);

onEachStore(
  'passkeys, limited',
  (service) => {
    test('RAT-01 tries are limited for each client, and options by the general limit', async () => {
      const { authenticator } = await holder(service());
      const wrong = async (): Promise<Answer> => passkeyLogin(service(), authenticator, { flags: 0 });
      for (let at = 0; at < 4; at += 1) assertProblem(await wrong(), 401, 'webauthn_failed');
      const limited = await wrong();
      assertProblem(limited, 429, 'rate_limited');
      assert.match(String(limited.headers['ratelimit-policy']), /"login";q=4/);
      const options = await service().api.post(`${path}/login/options`);
      assert.match(String(options.headers['ratelimit-policy']), /"api"/);
    });
  },
  { stores: ['postgres'], env: { RATE_LIMIT_ENABLED: 'true', RATE_LIMIT_LOGIN: '4/600' } },
);
