/** A guard outside of the cluster: its keys, its feed of revocations, its questions, and what a hostile answer gets it to do. */
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Auth, createGuard, type Guard, type GuardOptions, type RequireOptions } from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/web';
import { createForge } from '../support/forge.ts';
import { until } from '../support/service.ts';
import {
  apiKey,
  type FakeService,
  feedPath,
  jwksPath,
  metadataPath,
  startFakeService,
  validatePath,
} from './fake-service.ts';

let service: FakeService;
let guards: Guard[] = [];

beforeEach(async () => {
  service = await startFakeService();
});
afterEach(async () => {
  await Promise.all(guards.map((guard) => guard.close()));
  guards = [];
  await service.close();
});

function makeGuard(options: Partial<GuardOptions> = {}): Guard {
  const guard = createGuard({ issuer: service.url, audience: 'orders', apiKey, ...options });
  guards.push(guard);
  return guard;
}

async function readyGuard(options: Partial<GuardOptions> = {}): Promise<Guard> {
  const guard = makeGuard(options);
  await guard.ready();
  return guard;
}

/** What a route of a protected service answers: the status, and the code or who called. */
async function outcome(guard: Guard, token: string | undefined, options: RequireOptions = {}): Promise<string> {
  const handle = createDoor(guard).requireAuth(options)((request) => Response.json({ auth: request.auth }));
  const headers: Readonly<Record<string, string>> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await handle(new Request('http://localhost/', { headers }));
  const body = (await response.json()) as { code?: string; auth?: Auth };
  return `${response.status} ${body.code ?? body.auth?.userId}`;
}

/** Begins, fails at this part, and is closed, without ever having been ready. */
async function guardThatFails(part: 'keys' | 'feed'): Promise<void> {
  let failures = 0;
  const guard = makeGuard({
    onEvent: (event) => {
      failures += event.kind === 'failed' && event.part === part ? 1 : 0;
    },
  });
  const ready = guard.ready();
  await until('a failure', async () => failures > 0);
  await guard.close();
  await assert.rejects(ready);
}

const streaming = (guard: Guard) => until('the stream of news', async () => guard.figures().revocations.streaming);
const askedFor = (path: string): number => service.asked.get(path) ?? 0;

describe('a guard begins', () => {
  test('CLM-04, REV-06 with keys and every live revocation before it is ready, read to the last page', async () => {
    for (const subject of ['a', 'b', 'c', 'd', 'e']) service.revoke({ kind: 'session', subject });
    const guard = makeGuard();
    assert.equal(await outcome(guard, service.forge.token(), { freshness: 'bounded' }), '503 revocation_state_stale');
    await guard.ready();
    assert.equal(guard.figures().revocations.live, 5);
    assert.ok(guard.isFresh());
    const claims = { sub: 'somebody' };
    assert.equal(await outcome(guard, service.forge.token({ claims })), '200 somebody');
    assert.equal(await outcome(guard, service.forge.token({ claims: { sid: 'e' } })), '401 token_revoked');
    assert.equal(await outcome(guard, service.forge.token({ claims: { aud: 'other' } })), '401 invalid_token');
    assert.equal(await outcome(guard, undefined), '401 missing_token');
  });

  test('not with options under which the wrong thing would be checked', () => {
    const right = { issuer: 'https://auth.example.org', audience: 'orders', apiKey };
    const wrong: readonly Partial<GuardOptions>[] = [
      { issuer: 'auth.example.org' },
      { issuer: 'http://auth.example.org' },
      { issuer: 'https://user:password@auth.example.org' },
      { issuer: 'https://auth.example.org/' },
      { serviceUrl: 'ftp://auth.example.org' },
      { audience: '' },
      { apiKey: '' },
      { apiKey: undefined },
      { leewaySeconds: 61 },
      { maxStalenessSeconds: 0 },
      { realm: 'a "quoted" one' },
    ];
    for (const options of wrong)
      assert.throws(() => createGuard({ ...right, ...options }), TypeError, JSON.stringify(options));
  });

  test('again and again while the service is away, and is ready when it is back', async () => {
    service.cut();
    const failed: string[] = [];
    const guard = makeGuard({ onEvent: (event) => failed.push(event.kind) });
    await until('a few failures', async () => failed.length > 3);
    assert.ok(!guard.isFresh());
    assert.equal(await outcome(guard, service.forge.token()), '503 revocation_state_stale');
    assert.equal(
      await outcome(guard, service.forge.token(), { freshness: 'best-effort' }),
      '503 revocation_state_stale',
    );
    service.back();
    await guard.ready();
    assert.match(await outcome(guard, service.forge.token()), /^200 /);
  });

  test('tells who listens to nothing why it waits, once and not with each attempt, and without the key', async (t) => {
    const { mock } = t.mock.method(console, 'warn', () => undefined);
    const guard = makeGuard({ apiKey: `${apiKey}wrong`, maxStalenessSeconds: 1 });
    await until('a few failures', async () => guard.figures().revocations.failures > 3);
    const told = mock.calls.map((call) => String(call.arguments[0])).filter((text) => text.includes(service.url));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /feed of revocations of http.*: status 401 .*revocations:read/);
    assert.ok(!told[0]?.includes('wrong'));
  });

  test('waits no longer than a signal, goes on trying, and calls no token wrong before it has keys', async () => {
    service.cut();
    const guard = makeGuard();
    const signal = AbortSignal.timeout(50);
    await assert.rejects(guard.ready({ signal }), { name: 'TimeoutError' });
    assert.deepEqual(guard.verify(service.forge.token()), { kind: 'refused', reason: 'stale', detail: 'stale' });
    service.back();
    await guard.ready({ signal: AbortSignal.timeout(60_000) });
    assert.equal(guard.verify(service.forge.token()).kind, 'valid');
    assert.equal(guard.verify(createForge({ issuer: service.url, audience: 'orders' }).token()).kind, 'refused');
  });

  test('without a way to the feed says once why bounded routes let nobody in', async (t) => {
    const { mock } = t.mock.method(console, 'warn', () => undefined);
    const guard = createGuard({ issuer: service.url, audience: 'orders' });
    guards.push(guard);
    await guard.ready();
    assert.equal(mock.callCount(), 0);
    for (let time = 0; time < 3; time += 1)
      assert.equal(await outcome(guard, service.forge.token()), '503 revocation_state_stale');
    assert.match(await outcome(guard, service.forge.token(), { freshness: 'best-effort' }), /^200 /);
    assert.equal(mock.callCount(), 1);
    assert.match(String(mock.calls[0]?.arguments[0]), /neither apiKey nor mutualTls/);
  });

  test('and ends: it vouches for nothing any more, and nothing is asked', async () => {
    const guard = await readyGuard();
    await guard.close();
    assert.equal(await outcome(guard, service.forge.token()), '503 revocation_state_stale');
    const early = makeGuard({ issuer: 'http://127.0.0.1:1' });
    const ready = early.ready();
    await early.close();
    await assert.rejects(ready, /closed before/);
  });
});

describe('the keys of a guard', () => {
  test('are fetched once for all who wait, and once in a while for names that are not known', async () => {
    const guard = await readyGuard();
    const before = askedFor(jwksPath);
    const stranger = createForge({ issuer: service.url, audience: 'orders' });
    const forged = Array.from({ length: 50 }, () =>
      stranger.token({ header: { kid: `k${Math.floor(performance.now() * 1e6)}` } }),
    );
    const outcomes = await Promise.all(forged.map((token) => outcome(guard, token)));
    assert.deepEqual([...new Set(outcomes)], ['401 invalid_token']);
    for (const token of forged) assert.equal(await outcome(guard, token), '401 invalid_token');
    assert.ok(askedFor(jwksPath) - before <= 1, `${askedFor(jwksPath) - before} fetches for 100 forged names`);
  });

  test('are fetched for a new key when its first token comes', async () => {
    let now = 0;
    const guard = await readyGuard({ fetch: (...args) => fetch(...args) });
    const next = createForge({ issuer: service.url, audience: 'orders' });
    service.keys = [
      ...service.keys,
      { ...next.publicKey.export({ format: 'jwk' }), kid: next.kid, alg: 'EdDSA', use: 'sig' },
    ];
    // The floor between two fetches is ten seconds of the monotonic clock.
    const real = performance.now.bind(performance);
    performance.now = () => real() + now;
    try {
      assert.equal(await outcome(guard, next.token()), '401 invalid_token');
      now = 11_000;
      assert.notEqual(await outcome(guard, next.token()), '401 invalid_token');
      await until('a proof after the jump', async () => guard.isFresh());
      assert.match(await outcome(guard, next.token()), /^200 /);
    } finally {
      performance.now = real;
    }
  });

  test('are not taken from an answer that is no key set, and a redirect is not followed', async () => {
    const other = createServer((_, response) => response.end('{"keys":[]}'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    let visitors = 0;
    other.on('request', () => {
      visitors += 1;
    });
    const elsewhere = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`;
    try {
      const bodies = ['{"keys":[]}', '[]', 'no JSON', '{"keys":[{"kty":"oct","k":"AAAA"}]}', 'x'.repeat(300_000)];
      const answers = bodies.map((body) => (response: ServerResponse) => response.end(body));
      answers.push((response) => response.writeHead(302, { Location: elsewhere }).end());
      for (const answer of answers) {
        service.instead.set(jwksPath, (_, response) => void answer(response));
        await guardThatFails('keys');
      }
      assert.equal(visitors, 0);
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  test('CLM-03 are never taken from an address that is not below the issuer', async () => {
    const right = {
      issuer: service.url,
      jwks_uri: service.url + jwksPath,
      revocation_feed_endpoint: service.url + feedPath,
      token_validation_endpoint: service.url + validatePath,
    };
    for (const wrong of [
      { issuer: `${service.url}/` },
      { issuer: 'http://other' },
      { jwks_uri: 'http://other.example.org/jwks.json' },
      { jwks_uri: `${service.url}.example.org/jwks.json` },
      { jwks_uri: `${service.url}/../jwks.json` },
      { jwks_uri: `${service.url}/jwks.json?x=1` },
      { jwks_uri: undefined },
    ]) {
      const body = JSON.stringify({ ...right, ...wrong });
      service.instead.set(metadataPath, (_, response) => response.end(body));
      await guardThatFails('keys');
    }
    assert.equal(askedFor(jwksPath), 0);
  });
});

describe('the revocations of a guard', () => {
  test('REV-01 come with the stream as they happen, and stay when it has ended', async () => {
    const guard = await readyGuard();
    await streaming(guard);
    const token = service.forge.token({ claims: { sid: 'to-end' } });
    assert.match(await outcome(guard, token), /^200 /);
    service.revoke({ kind: 'session', subject: 'to-end' });
    await until('the end of it', async () => (await outcome(guard, token)) === '401 token_revoked');
    assert.ok(guard.figures().revocations.early > 0, 'the stream was faster than a reading');
    service.cut();
    assert.equal(await outcome(guard, token), '401 token_revoked');
  });

  test('come by readings that wait where there are no streams', async () => {
    const guard = await readyGuard({
      maxStalenessSeconds: 4,
      fetch: (url, init) =>
        new Headers(init?.headers).get('accept') === 'text/event-stream'
          ? Promise.resolve(new Response('{}', { status: 200, headers: { 'Content-Type': 'application/json' } }))
          : fetch(url, init),
    });
    const token = service.forge.token({ claims: { jti: 'to-end' } });
    assert.match(await outcome(guard, token), /^200 /);
    service.revoke({ kind: 'token', subject: 'to-end' });
    await until('the end of it', async () => (await outcome(guard, token)) === '401 token_revoked');
    assert.equal(service.streams(), 0);
    assert.equal(guard.figures().revocations.early, 0);
  });

  test('REV-07 after the feed is cut bounded routes fail closed within their seconds, and come back by themselves', async () => {
    const guard = await readyGuard({ maxStalenessSeconds: 2 });
    await streaming(guard);
    const token = service.forge.token();
    assert.match(await outcome(guard, token), /^200 /);
    service.cut();
    const cutAt = performance.now();
    let acceptedAt = 0;
    await until('503', async () => {
      const askedAt = performance.now();
      const now = await outcome(guard, token);
      if (now !== '503 revocation_state_stale') acceptedAt = askedAt;
      return now === '503 revocation_state_stale';
    });
    assert.ok(acceptedAt - cutAt < 2_000, 'accepted after the bound');
    assert.match(await outcome(guard, token, { freshness: 'best-effort' }), /^200 /);
    assert.equal(await outcome(guard, token, { freshness: 'strict' }), '503 revocation_state_stale');
    service.revoke({ kind: 'user', subject: 'nobody' });
    service.revoke({ kind: 'key', subject: service.forge.kid });
    service.back();
    await until('all of it', async () => (await outcome(guard, token)) === '401 token_revoked');
  });

  test('are read from the beginning when the service does not know the cursor any more', async () => {
    const guard = await readyGuard({ maxStalenessSeconds: 2 });
    const { loads } = guard.figures().revocations;
    service.forgetCursors();
    service.revoke({ kind: 'session', subject: 'in-between' });
    await until('another whole set', async () => guard.figures().revocations.loads > loads);
    assert.equal(await outcome(guard, service.forge.token({ claims: { sid: 'in-between' } })), '401 token_revoked');
  });

  test('prove nothing when the feed answers nonsense', async () => {
    const guard = await readyGuard({ maxStalenessSeconds: 1 });
    for (const body of [
      '',
      '{}',
      '{"diff_set":[{}],"cursor":"1.0","more":false,"age_ms":0}',
      '{"diff_set":[],"cursor":"1.0","more":false,"age_ms":-5}',
    ]) {
      service.instead.set(feedPath, (_, response) => response.end(body));
      await until('503', async () => (await outcome(guard, service.forge.token())) === '503 revocation_state_stale');
    }
    service.instead.delete(feedPath);
    await until('200', async () => /^200 /.test(await outcome(guard, service.forge.token())));
  });
});

describe('a guard asks the service', () => {
  test('for strict routes, each time, and only about tokens that are right here', async () => {
    const guard = await readyGuard();
    const token = service.forge.token({ claims: { sub: 'somebody' } });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object;
    const strict = { freshness: 'strict' } as const;
    service.verdicts.set(token, { valid: true, claims });
    for (let time = 1; time <= 3; time += 1) {
      assert.equal(await outcome(guard, token, strict), '200 somebody');
      assert.equal(askedFor(validatePath), time);
    }
    service.verdicts.set(token, { valid: false, reason: 'revoked' });
    assert.equal(await outcome(guard, token, strict), '401 token_revoked');
    const asked = askedFor(validatePath);
    assert.equal(await outcome(guard, `${token}x`, strict), '401 invalid_token');
    assert.equal(askedFor(validatePath), asked);
  });

  test('and takes no answer, or another issuer’s, for none', async () => {
    const guard = await readyGuard();
    const token = service.forge.token();
    for (const answer of [
      '',
      '{}',
      '{"valid":"yes"}',
      '{"valid":true}',
      '{"valid":true,"claims":{"iss":"http://other"}}',
    ]) {
      service.instead.set(validatePath, (_, response) => response.end(answer));
      assert.equal(await outcome(guard, token, { freshness: 'strict' }), '503 revocation_state_stale', answer);
    }
    service.instead.set(validatePath, (_, response) => response.writeHead(503).end());
    assert.equal(await outcome(guard, token, { freshness: 'strict' }), '503 revocation_state_stale');
  });

  test('AZ-08 about API keys, and remembers a good one for the bound, until its end is known', async () => {
    const guard = await readyGuard();
    const key = `ask_${'1'.repeat(12)}_${'A'.repeat(43)}`;
    const claims = {
      ...{ iss: service.url, aud: 'orders', sub: 'a-robot', client_id: 'key-1', jti: 'key-1', iat: 1 },
      permissions: ['orders:read'],
    };
    service.verdicts.set(key, { valid: true, claims, session_id: null });
    for (let time = 0; time < 5; time += 1) {
      assert.equal(await outcome(guard, key, { permissions: ['orders:read'] }), '200 a-robot');
    }
    assert.equal(askedFor(validatePath), 1);
    assert.equal(await outcome(guard, key, { permissions: ['orders:write'] }), '403 insufficient_permissions');
    assert.equal(await outcome(guard, key, { maxAge: 600 }), '403 insufficient_permissions');
    assert.equal(await outcome(guard, key, { roles: ['user'] }), '403 insufficient_permissions');
    service.verdicts.delete(key);
    await streaming(guard);
    service.revoke({ kind: 'token', subject: 'key-1' });
    await until('its end', async () => (await outcome(guard, key)) === '401 invalid_token');
  });

  test('not about what cannot be a key, and about what is none once in a while', async () => {
    const guard = await readyGuard();
    const good = `ask_${'2'.repeat(12)}_${'A'.repeat(43)}`;
    for (const text of [
      ...['ask_', 'ask_x', good.slice(0, -1), `${good}A`, good.replace('_2', '_F')],
      ...[good.replace('2', 'g'), good.replace('AA', 'A.'), `${good.slice(0, -1)}B`, `${good.slice(0, -1)}_`],
    ]) {
      for (const freshness of ['bounded', 'strict'] as const) {
        assert.equal(await outcome(guard, text, { freshness }), '401 invalid_token', text);
      }
    }
    assert.equal(askedFor(validatePath), 0);
    for (let time = 0; time < 20; time += 1) {
      for (const freshness of ['bounded', 'strict'] as const) {
        assert.equal(await outcome(guard, good, { freshness }), '401 invalid_token');
      }
    }
    assert.equal(askedFor(validatePath), 1);
  });

  test('a bounded number of times at once: a flood of made-up keys is refused here, and leaves room for others', async () => {
    const guard = await readyGuard();
    let asked = 0;
    const answers: (() => void)[] = [];
    const token = service.forge.token({ claims: { sub: 'somebody' } });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object;
    service.instead.set(validatePath, (request, response) => {
      asked += 1;
      let body = '';
      request.on('data', (part) => (body += String(part)));
      request.on('end', () => {
        if (body.includes(token)) response.end(JSON.stringify({ valid: true, claims }));
        else answers.push(() => void response.end('{"valid":false,"reason":"invalid"}'));
      });
    });
    const key = (number: number) => `ask_${String(number).padStart(12, '0')}_${'A'.repeat(43)}`;
    const flood = Array.from({ length: 200 }, (_, number) => outcome(guard, key(number)));
    const same = Array.from({ length: 50 }, () => outcome(guard, key(0)));
    await until('the questions', async () => answers.length === 16);
    assert.equal(guard.figures().service.refusedAtOnce, 184);
    assert.equal(await outcome(guard, token, { freshness: 'strict' }), '200 somebody');
    for (const answer of answers) answer();
    const outcomes = await Promise.all(flood);
    assert.equal(outcomes.filter((one) => one === '401 invalid_token').length, 16);
    assert.equal(outcomes.filter((one) => one === '503 revocation_state_stale').length, 184);
    assert.deepEqual([...new Set(await Promise.all(same))], ['401 invalid_token']);
    assert.equal(asked, 17);
  });

  test('and a listener of events that fails stops nothing', async () => {
    let told = 0;
    const guard = await readyGuard({
      onEvent: () => {
        told += 1;
        throw new Error('the listener failed');
      },
    });
    service.instead.set(feedPath, (_, response) => response.end('nonsense'));
    service.cut();
    await until('a failure', async () => told > 1);
    service.instead.delete(feedPath);
    service.back();
    await until('a reading after it', async () => guard.isFresh());
    assert.match(await outcome(guard, service.forge.token()), /^200 /);
  });
});
