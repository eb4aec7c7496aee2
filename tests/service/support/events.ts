/** Security events as they happen to an account, by the routes of its owner, of an administrator and of an attacker. */
import assert from 'node:assert/strict';
import { createAuthenticator } from '../../support/authenticator.ts';
import { assertProblem, problemCode, tokensOf } from '../../support/http.ts';
import { until } from '../../support/service.ts';
import { scan } from '../../support/totp-app.ts';
import { addPasskey, type Holder, mailedCode, ok, passkeyLogin, type World } from './artefacts.ts';
import { headerOf, login, newEmail, newPassword, refresh } from './suite.ts';

/** Of the services of the matrix: three sessions of the holder fit, and one more. */
export const sessionsMax = 4;

type Event = (world: World, holder: Holder) => Promise<void>;

const nodeOf = ({ nodes }: World) => {
  const [node] = nodes;
  assert.ok(node !== undefined);
  return node;
};

const byOwner =
  (method: string, path: string, body?: (holder: Holder) => unknown): Event =>
  async (world, holder) => {
    await ok(nodeOf(world).api.send(method, path, body?.(holder), { token: holder.acting.access_token }));
  };

const byAdministrator =
  (method: string, path: (holder: Holder) => string, body?: unknown): Event =>
  async (world, holder) => {
    const token = await world.administrator();
    await ok(nodeOf(world).api.send(method, `/api/admin${path(holder)}`, body, { token }));
  };

async function enrolTotp(world: World, holder: Holder): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { api } = nodeOf(world);
  const token = holder.acting.access_token;
  const { otpauth_uri: uri } = await ok<{ otpauth_uri: string }>(api.post('/api/auth/mfa/totp', undefined, { token }));
  const code = scan(uri).code(Date.now());
  const confirmed = await ok<{ recovery_codes: string[] }>(api.post('/api/auth/mfa/totp/confirm', { code }, { token }));
  return { recoveryCodes: confirmed.recovery_codes };
}

export const events: Readonly<Record<string, Event>> = {
  logout: byOwner('POST', '/api/auth/logout'),

  'all sessions ended by the owner': byOwner('POST', '/api/auth/revoke-all-tokens'),

  'all other sessions ended by the owner': byOwner('POST', '/api/auth/revoke-all-tokens', () => ({
    except_current: true,
  })),

  'one session ended by the owner': async (world, holder) => {
    const token = holder.acting.access_token;
    await ok(nodeOf(world).api.delete(`/api/auth/sessions/${holder.other.session_id}`, { token }));
  },

  'password changed': async (world, holder) => {
    const next = newPassword();
    const body = { current_password: holder.password, new_password: next };
    await ok(nodeOf(world).api.post('/api/auth/change-password', body, { token: holder.acting.access_token }));
    holder.password = next;
  },

  'password reset by mail': async (world, holder) => {
    const { api } = nodeOf(world);
    holder.password = newPassword();
    await ok(api.post('/api/auth/reset-password', { token: holder.mailToken, new_password: holder.password }));
  },

  'e-mail address changed': async (world, holder) => {
    const { api } = nodeOf(world);
    const to = newEmail('moved');
    await ok(api.post('/api/auth/change-email', { new_email: to }, { token: holder.acting.access_token }), 202);
    await ok(api.post('/api/auth/verify-email', { token: await mailedCode(world.smtp, to, /./) }));
    holder.email = to;
  },

  'second factor added': async (world, holder) => {
    await enrolTotp(world, holder);
    const { access_token: token } = holder.acting;
    await addPasskey(nodeOf(world), token, createAuthenticator({ origin: nodeOf(world).env['PUBLIC_URL'] ?? '' }));
  },

  'authenticator app removed': async (world, holder) => {
    await enrolTotp(world, holder);
    await byOwner('DELETE', '/api/auth/mfa/totp')(world, holder);
  },

  'passkey removed': (world, holder) =>
    byOwner('DELETE', `/api/auth/webauthn/credentials/${holder.passkeyId}`)(world, holder),

  'recovery code used': async (world, holder) => {
    const { recoveryCodes } = await enrolTotp(world, holder);
    const { api } = nodeOf(world);
    const half = await login(nodeOf(world), holder);
    assert.equal(problemCode(half), 'mfa_required', half.text);
    const { mfa_token: mfaToken } = half.body as { mfa_token: string };
    const body = { mfa_token: mfaToken, recovery_code: recoveryCodes[0] };
    holder.acting = tokensOf(await api.post('/api/auth/mfa/verify', body));
  },

  'roles or permissions changed': byAdministrator('PUT', ({ userId }) => `/users/${userId}/roles`, {
    roles: ['user'],
  }),

  'user disabled': byAdministrator('POST', ({ userId }) => `/users/${userId}/disable`),

  'user deleted': byAdministrator('DELETE', ({ userId }) => `/users/${userId}`),

  'user deleted by the owner': byOwner('DELETE', '/api/auth/me'),

  'sessions revoked by an administrator': byAdministrator('POST', ({ userId }) => `/users/${userId}/revoke-sessions`),

  'second factors reset by an administrator': byAdministrator('POST', ({ userId }) => `/users/${userId}/reset-mfa`),

  'locked by wrong passwords': async (world, holder) => {
    const wrong = { email: holder.email, password: newPassword() };
    for (let tries = 0; tries < 5; tries += 1) await login(nodeOf(world), wrong);
    assertProblem(await login(nodeOf(world), holder), 429, 'account_locked');
  },

  'reuse of a refresh token': async (world, holder) => {
    const first = holder.acting.refresh_token;
    const second = tokensOf(await refresh(nodeOf(world), first));
    holder.acting = tokensOf(await refresh(nodeOf(world), second.refresh_token));
    assertProblem(await refresh(nodeOf(world), first), 401, 'refresh_token_reused');
  },

  'limit of sessions reached': async (world, holder) => {
    // The least recently used one is ended; the session of the registration is gone first.
    holder.acting = tokensOf(await refresh(nodeOf(world), holder.acting.refresh_token));
    for (let more = 0; more < sessionsMax - 1; more += 1) await passkeyLogin(nodeOf(world), holder.authenticator);
  },

  'signing key compromised': async (world, holder) => {
    const { kid } = headerOf(holder.acting.access_token) as { kid: string };
    await byAdministrator('POST', () => `/keys/${kid}/revoke`)(world, holder);
    // Other nodes hear of the successor before it signs.
    for (const node of world.nodes) {
      await until('a key that signs', async () => (await login(node, world.account)).status === 200);
    }
  },
};
