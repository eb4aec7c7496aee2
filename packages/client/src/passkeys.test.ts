import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AuthError, createClient } from './index.ts';
import {
  addPasskey,
  canAutofillPasskeys,
  canUsePasskeys,
  loginWithPasskey,
  reauthenticateWithPasskey,
  verifyMfaWithPasskey,
} from './passkeys.ts';
import { fakeService, refused, sessionOf, storageWith, tokens, user } from './testing.ts';

const buffer = (...bytes: number[]): ArrayBuffer => new Uint8Array(bytes).buffer;
const requestOptions = {
  rpId: 'auth.test',
  challenge: '-_8',
  timeout: 1,
  allowCredentials: [{ id: 'AQI', type: 'public-key', transports: [] }],
  userVerification: 'required',
};
const creationOptions = {
  rp: { id: 'auth.test', name: 'AuthService' },
  user: { id: 'BwgJ', name: 'ada', displayName: 'Ada' },
  challenge: '-_8',
  excludeCredentials: [{ id: 'AQI', type: 'public-key', transports: [] }],
};

function browserWithoutHelpers(given: unknown) {
  const asked: Record<string, unknown>[] = [];
  const take = async (options: object): Promise<unknown> => {
    asked.push(options as Record<string, unknown>);
    return given;
  };
  return { asked, credentials: { create: take, get: take } };
}

const assertion = {
  id: 'AQI',
  type: 'public-key',
  response: {
    clientDataJSON: buffer(1),
    authenticatorData: buffer(250, 255, 191),
    signature: buffer(2, 3),
    userHandle: null,
  },
};
const assertionJson = {
  id: 'AQI',
  rawId: 'AQI',
  type: 'public-key',
  response: { clientDataJSON: 'AQ', authenticatorData: '-v-_', signature: 'AgM' },
  clientExtensionResults: {},
};

function clientOf() {
  const service = fakeService(({ path }) => {
    if (path === '/webauthn/registration/options') return { status: 200, body: { options: creationOptions } };
    if (path.endsWith('/options')) return { status: 200, body: { options: requestOptions } };
    if (path === '/webauthn/registration/verify')
      return { status: 201, body: { credential: { id: 'p1', name: 'key' } } };
    if (path === '/login') {
      return { status: 401, body: { code: 'mfa_required', mfa_token: 'mfa_1', methods: ['webauthn'], expires_in: 1 } };
    }
    return { status: 200, body: tokens(1) };
  });
  const storage = storageWith(sessionOf(0, 3_600_000));
  return {
    service,
    client: createClient({ baseUrl: 'http://auth.test', fetch: service.fetch, now: () => 0, storage }),
  };
}

describe('the ceremonies in a browser without JSON helpers', () => {
  test('a login turns options into bytes and the credential into base64url', async () => {
    const { client, service } = clientOf();
    const { asked, credentials } = browserWithoutHelpers(assertion);
    assert.deepEqual(await loginWithPasskey(client, { credentials, mediation: 'conditional' }), user);
    assert.deepEqual(asked[0], {
      publicKey: {
        ...requestOptions,
        challenge: new Uint8Array([251, 255]),
        allowCredentials: [{ ...requestOptions.allowCredentials[0], id: new Uint8Array([1, 2]) }],
      },
      mediation: 'conditional',
    });
    assert.deepEqual(service.asked('/webauthn/login/verify')[0]?.body, { response: assertionJson });
    assert.equal(await client.accessToken(), 'access-1');
  });

  test('a passkey is added with its name and transports, as whoever is signed in', async () => {
    const { client, service } = clientOf();
    const { asked, credentials } = browserWithoutHelpers({
      id: 'AQI',
      type: 'public-key',
      response: {
        clientDataJSON: buffer(1),
        attestationObject: buffer(9),
        getTransports: () => ['internal'],
      },
    });
    assert.equal((await addPasskey(client, { credentials, name: 'key' })).id, 'p1');
    const { publicKey } = asked[0] as { publicKey: typeof creationOptions };
    assert.deepEqual(publicKey.user, {
      ...creationOptions.user,
      id: new Uint8Array([7, 8, 9]),
    });
    const [sent] = service.asked('/webauthn/registration/verify');
    assert.equal(sent?.token, 'access-0');
    assert.deepEqual(sent?.body, {
      name: 'key',
      response: {
        id: 'AQI',
        rawId: 'AQI',
        type: 'public-key',
        response: { clientDataJSON: 'AQ', attestationObject: 'CQ', transports: ['internal'] },
        clientExtensionResults: {},
      },
    });
  });

  test('the second step and the step-up send what the browser gave, with their own options', async () => {
    const { client, service } = clientOf();
    const { credentials } = browserWithoutHelpers({ ...assertion, toJSON: () => assertionJson });
    await client.login({ email: 'a', password: 'b' });
    await verifyMfaWithPasskey(client, { credentials });
    assert.deepEqual(service.asked('/mfa/webauthn/options')[0]?.body, { mfa_token: 'mfa_1' });
    assert.deepEqual(service.asked('/mfa/verify')[0]?.body, { mfa_token: 'mfa_1', webauthn: assertionJson });
    await reauthenticateWithPasskey(client, { credentials });
    assert.deepEqual(service.asked('/reauthenticate')[0]?.body, { webauthn: assertionJson });
    assert.equal(service.asked('/reauthenticate')[0]?.token, 'access-1');
    await assert.rejects(
      verifyMfaWithPasskey(client, { credentials }),
      (error: unknown) => error instanceof AuthError && error.code === 'mfa_token_invalid',
    );
  });

  test('what the user cancels and what the service refuses are told apart', async () => {
    const { client } = clientOf();
    const cancels = { create: () => Promise.reject(new DOMException('no', 'NotAllowedError')), get: async () => null };
    await assert.rejects(addPasskey(client, { credentials: cancels }), { name: 'NotAllowedError' });
    await assert.rejects(loginWithPasskey(client, { credentials: cancels }), TypeError);
    const refusing = createClient({
      baseUrl: 'http://auth.test',
      fetch: fakeService(({ path }) =>
        path.endsWith('/options')
          ? { status: 200, body: { options: requestOptions } }
          : refused(401, 'webauthn_failed'),
      ).fetch,
    });
    await assert.rejects(
      loginWithPasskey(refusing, { credentials: browserWithoutHelpers(assertion).credentials }),
      (error: unknown) => error instanceof AuthError && error.code === 'webauthn_failed',
    );
  });

  test('a platform without passkeys says so', async () => {
    assert.equal(canUsePasskeys(), false);
    assert.equal(await canAutofillPasskeys(), false);
    await assert.rejects(loginWithPasskey(clientOf().client), TypeError);
  });
});
