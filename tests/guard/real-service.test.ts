/** Guarded services in front of the real one: tokens, revocations and API keys as they come, on both stores. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Auth, createGuard, type Guard, type GuardOptions } from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/web';
import { login, logout, newEmail, newPassword, onEachStore, refresh, register } from '../service/support/suite.ts';
import { tokensOf } from '../support/http.ts';
import { type RunningService, until } from '../support/service.ts';

const admin = { email: newEmail('admin'), password: newPassword() };
const env = { BOOTSTRAP_ADMIN_EMAIL: admin.email, BOOTSTRAP_ADMIN_PASSWORD: admin.password };

async function makeKey(
  service: RunningService,
  permissions: readonly string[],
): Promise<{ id: string; secret: string }> {
  const { access_token: token } = tokensOf(await login(service, admin));
  const answer = await service.api.post('/api/admin/api-keys', { name: 'orders', permissions }, { token });
  assert.equal(answer.status, 201, answer.text);
  const { api_key: key, secret } = answer.body as { api_key: { id: string }; secret: string };
  service.secrets.add(secret);
  return { id: key.id, secret };
}

async function withGuard(
  service: RunningService,
  options: Partial<GuardOptions>,
  use: (
    guard: Guard,
    ask: (token: string) => Promise<string>,
    strictly: (token: string) => Promise<string>,
  ) => Promise<void>,
): Promise<void> {
  const { body } = await service.api.get('/.well-known/oauth-authorization-server');
  const { issuer, access_token_audience: audience } = body as { issuer: string; access_token_audience: string };
  const guard = createGuard({ issuer, audience, serviceUrl: service.url, ...options });
  const door = createDoor(guard);
  const show = (request: { readonly auth: Auth }) => Response.json({ user: request.auth.userId });
  const say = (handle: (request: Request) => Promise<Response>) => async (token: string) => {
    const response = await handle(new Request('http://orders/', { headers: { Authorization: `Bearer ${token}` } }));
    const { code, user } = (await response.json()) as { code?: string; user?: string };
    return code ?? user ?? '';
  };
  try {
    await use(guard, say(door.requireAuth()(show)), say(door.requireAuth({ freshness: 'strict' })(show)));
  } finally {
    await guard.close();
  }
}

onEachStore(
  'a guard beside the service',
  (service) => {
    test('REV-01 accepts a token, and refuses it once its session was ended, within moments', async () => {
      const { secret } = await makeKey(service(), ['revocations:read']);
      await withGuard(service(), { apiKey: secret }, async (guard, ask, strictly) => {
        await guard.ready();
        await until('the stream', async () => guard.figures().revocations.streaming);
        const { tokens } = await register(service());
        assert.equal(await ask(tokens.access_token), tokens.user.id);
        assert.equal(await strictly(tokens.access_token), tokens.user.id);
        await logout(service(), tokens.access_token);
        assert.equal(await strictly(tokens.access_token), 'token_revoked');
        await until('the end', async () => (await ask(tokens.access_token)) === 'token_revoked');
        const other = await register(service());
        const { access_token: renewed } = tokensOf(await refresh(service(), other.tokens.refresh_token));
        assert.equal(await ask(renewed), other.tokens.user.id);
        await service().api.post('/api/auth/revoke-all-tokens', {}, { token: renewed });
        await until('the end of all', async () => (await ask(renewed)) === 'token_revoked');
        assert.equal(await ask(other.tokens.access_token), 'token_revoked');
      });
    });

    test('REV-06 knows what was revoked before it began, and works without streams', async () => {
      const { tokens } = await register(service());
      await logout(service(), tokens.access_token);
      const { secret } = await makeKey(service(), ['revocations:read']);
      const withoutStreams: typeof fetch = (url, init) =>
        new Headers(init?.headers).get('accept') === 'text/event-stream'
          ? Promise.resolve(new Response(null, { status: 204 }))
          : fetch(url, init);
      await withGuard(service(), { apiKey: secret, fetch: withoutStreams }, async (guard, ask) => {
        await guard.ready();
        assert.equal(await ask(tokens.access_token), 'token_revoked');
        const next = await register(service());
        assert.equal(await ask(next.tokens.access_token), next.tokens.user.id);
        await logout(service(), next.tokens.access_token);
        await until('the end', async () => (await ask(next.tokens.access_token)) === 'token_revoked');
      });
    });

    test('AZ-08 knows API keys by asking, and their end by the feed', async () => {
      const { secret } = await makeKey(service(), ['revocations:read']);
      const other = await makeKey(service(), ['users:read']);
      await withGuard(service(), { apiKey: secret }, async (guard, ask) => {
        await guard.ready();
        assert.match(await ask(other.secret), /^[0-9a-f-]{36}$/);
        const { access_token: token } = tokensOf(await login(service(), admin));
        assert.equal((await service().api.delete(`/api/admin/api-keys/${other.id}`, { token })).status, 200);
        await until('its end', async () => (await ask(other.secret)) === 'token_revoked');
      });
    });

    test('AZ-08 a key without the permission follows nothing: bounded routes stay closed, strict ones answer', async () => {
      const { secret } = await makeKey(service(), ['users:read']);
      const failed: unknown[] = [];
      const onEvent: NonNullable<GuardOptions['onEvent']> = (event) => failed.push(event);
      await withGuard(service(), { apiKey: secret, onEvent }, async (guard, ask, strictly) => {
        guard.ready().catch(() => undefined);
        await until('a refusal', async () => failed.length > 1);
        const { tokens } = await register(service());
        assert.equal(await ask(tokens.access_token), 'revocation_state_stale');
        assert.equal(await strictly(tokens.access_token), tokens.user.id);
      });
    });
  },
  { env },
);
