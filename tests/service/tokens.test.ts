/** validate-token and the key set: what is valid, what is not and why, and that no forgery passes either door. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { base64url, signAs } from '../support/forge.ts';
import { forgeHostileTokens, misspell } from '../support/hostile-tokens.ts';
import { type Answer, assertProblem, meOf, tokensOf, verdictOf } from '../support/http.ts';
import { type RunningService, startService } from '../support/service.ts';
import { forgeFor, issuerOf } from './support/real-key.ts';
import {
  assertQuiet,
  claimsOf,
  headerOf,
  logout,
  me,
  onEachStore,
  refresh,
  register,
  revokeKey,
  validate,
  worth,
} from './support/suite.ts';

/** A client cannot put every text into a header, and blanks around a header's value are no part of it. */
const fitsHeader = (token: string): boolean =>
  token !== '' && token === token.trim() && /^[\x20-\x7e]+$/.test(token) && token.length < 15_000;

/** Refused at both doors: `invalid` here, 401 there, and never anything else. */
async function assertRefused(service: RunningService, token: string, name: string): Promise<void> {
  const answer = await service.api.post('/api/auth/validate-token', { token });
  if (token.length > 60_000) assertProblem(answer, 413, 'payload_too_large');
  else assert.deepEqual(verdictOf(answer), { valid: false, reason: 'invalid' }, name);
  if (fitsHeader(token)) assertProblem(await me(service, token), 401, 'invalid_token');
}

onEachStore('tokens', (service) => {
  test('a valid token is answered with its claims, and names user and session', async () => {
    const { tokens } = await register(service());
    const verdict = await validate(service(), tokens.access_token);
    assert.deepEqual(verdict.claims, claimsOf(tokens.access_token));
    assert.deepEqual([verdict.user_id, verdict.session_id], [tokens.user.id, tokens.session_id]);
    assert.equal(Date.parse(verdict.expires_at ?? ''), Number(claimsOf(tokens.access_token)['exp']) * 1_000);
    assert.deepEqual(Object.keys(headerOf(tokens.access_token)).sort(), ['alg', 'kid', 'typ']);
    assert.equal(headerOf(tokens.access_token)['typ'], 'at+jwt');
    assert.equal(claimsOf(tokens.access_token)['iss'], issuerOf(service()));
  });

  test('every spelling of one body gets one answer: the short way and the whole way agree', async () => {
    const { tokens } = await register(service());
    const gone = await register(service());
    await logout(service(), gone.tokens.access_token);
    for (const token of [
      tokens.access_token,
      gone.tokens.access_token,
      'nonsense',
      '',
      `${tokens.access_token}=`,
      'é',
    ]) {
      const escaped = [...token].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
      const spellings: readonly (readonly [string, string])[] = [
        [`{"token":"${token}"}`, 'application/json'],
        [`{"token":"${token}"}`, 'application/json; charset=utf-8'],
        [` { "token" : "${token}" } `, 'application/json'],
        [`{"token":"${token}","something":"else"}`, 'application/json'],
        [`{"token":"${token}","required_permissions":[]}`, 'application/json'],
        [`{"token":"${escaped}"}`, 'application/json'],
      ];
      const seen = [];
      for (const [raw, type] of spellings) {
        const headers = { 'Content-Type': type, 'X-Request-Id': 'one-for-all' };
        const answer = await service().api.post('/api/auth/validate-token', undefined, { raw, headers });
        const names = Object.keys(answer.headers)
          .filter((name) => name !== 'date')
          .sort();
        seen.push(JSON.stringify([answer.status, JSON.parse(answer.text), names, answer.headers['cache-control']]));
      }
      assert.equal(new Set(seen).size, 1, seen.join('\n'));
    }
  });

  test('the short way refuses what the whole way refuses: members twice, wrong types, broken bodies', async () => {
    const { tokens } = await register(service());
    const token = tokens.access_token;
    const post = (raw: string) => service().api.post('/api/auth/validate-token', undefined, { raw });
    for (const raw of [
      `{"token":"${token}","token":"${token}"}`,
      `{"token":"x","token":"${token}"}`,
      `{"token":"${token}"`,
      `{"token":"${token}"}}`,
      `{"token":"${token}"}{"token":"${token}"}`,
      `{"token":'${token}'}`,
      `\ufeff{"token":"${token}"}`,
      '',
      'token',
    ]) {
      assertProblem(await post(raw), 400, 'malformed_json');
    }
    for (const raw of [
      '{}',
      '[]',
      'null',
      `"${token}"`,
      '{"token":7}',
      '{"token":null}',
      `{"token":["${token}"]}`,
      `{"token":{"a":"${token}"}}`,
    ]) {
      assertProblem(await post(raw), 422, 'validation_failed');
    }
    for (const change of [
      { required_permissions: 'users:read' },
      { required_permissions: [7] },
      { required_permissions: ['x'] },
      { required_permissions: Array.from({ length: 101 }, () => 'users:read') },
      { required_acr: 'aal3' },
      { required_acr: 2 },
      { max_age: -1 },
      { max_age: '60' },
      { max_age: 1.5 },
    ]) {
      assertProblem(
        await service().api.post('/api/auth/validate-token', { token, ...change }),
        422,
        'validation_failed',
      );
    }
  });

  test('the reason tells what a token lacks: permissions, strength or recency of the login', async () => {
    const { email, tokens } = await register(service());
    const token = tokens.access_token;
    const reason = async (wanted: object) => (await validate(service(), token, { ...wanted })).reason;
    assert.equal(await reason({ required_permissions: ['users:read'] }), 'insufficient_permissions');
    assert.equal(await reason({ required_permissions: ['*:*'] }), 'insufficient_permissions');
    assert.equal(await reason({ required_acr: 'aal2' }), 'insufficient_authentication');
    assert.equal(
      await reason({ required_acr: 'aal2', required_permissions: ['users:read'] }),
      'insufficient_authentication',
    );
    assert.equal(await reason({ required_permissions: [], required_acr: 'aal1', max_age: 3_600 }), undefined);
    const granted = await service().cli(['users', 'grant', email, 'admin']);
    assert.equal(granted.code, 0, granted.stderr);
    const admin = tokensOf(await refresh(service(), tokens.refresh_token)).access_token;
    for (const wanted of [['users:read'], ['users:read', 'keys:rotate'], ['users:*'], ['*:*']]) {
      assert.equal((await validate(service(), admin, { required_permissions: wanted })).valid, true, wanted.join());
    }
    assert.equal(
      (await service().cli(['users', 'ungrant', email, 'admin', '--json'])).code,
      1,
      'the last administrator stays',
    );
  });

  test('TOK CLM every forged, foreign or misshapen token is refused at both doors, and nothing falls over', async () => {
    const { tokens } = await register(service());
    const forge = await forgeFor(service(), tokens.access_token);
    const right = forge.token();
    if (service().store === 'postgres') {
      assert.equal(await worth(service(), right), 'valid', 'the forge makes good tokens when it changes nothing');
      meOf(await me(service(), right));
    } else assert.equal(await worth(service(), right), 'invalid');
    const hostile = forgeHostileTokens(forge);
    assert.ok(hostile.length > 300);
    for (const { row, name, token } of hostile) await assertRefused(service(), token, `${row} ${name}`);
    assert.equal(await worth(service(), tokens.access_token), 'valid');
  });

  test('CLM-04 CLM-05 CLM-01 what is unusual and right is taken; what has expired is told from what is wrong', async () => {
    if (service().store !== 'postgres') return;
    const { tokens } = await register(service());
    const forge = await forgeFor(service(), tokens.access_token);
    const now = forge.nowSeconds();
    const good = [
      forge.token({ claims: { aud: ['other-service', 'auth-service'] } }),
      forge.token({ claims: { nbf: now + 2 } }),
      forge.token({ claims: { iat: now + 500 } }),
      forge.token({ claims: { iat: now - 100, exp: now - 2 } }),
      forge.token({ header: { typ: 'application/at+jwt' } }),
      forge.token({ header: { typ: 'AT+JWT' } }),
    ];
    for (const [at, token] of good.entries()) assert.equal(await worth(service(), token), 'valid', String(at));
    const expired = forge.token({ claims: { iat: now - 100, exp: now - 30 } });
    assert.equal(await worth(service(), expired), 'expired');
    assertProblem(await me(service(), expired), 401, 'token_expired');
    const low = forge.token({ claims: { epoch: 0 } });
    assert.ok(
      ['revoked', 'invalid'].includes(await worth(service(), low)) || (await worth(service(), low)) === 'valid',
    );
  });

  test('TOK-03 no key address in a token is ever followed', async () => {
    const { tokens } = await register(service());
    const forge = await forgeFor(service(), tokens.access_token);
    let connections = 0;
    const listener = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const address = listener.address();
    assert.ok(address !== null && typeof address === 'object');
    for (const name of ['jku', 'x5u']) {
      const header = { ...forge.header(), [name]: `http://127.0.0.1:${address.port}/keys.json`, kid: 'elsewhere' };
      const signed = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(forge.claims()))}`;
      await assertRefused(service(), `${signed}.${signAs('EdDSA', forge.privateKey, signed)}`, name);
    }
    await new Promise((resolve) => listener.close(resolve));
    assert.equal(connections, 0);
  });

  test('TOK-13 a token with any one character changed is invalid', async () => {
    const { tokens } = await register(service());
    const token = tokens.access_token;
    await Promise.all(
      Array.from(token, async (character, at) => {
        if (character === '.') return;
        const other = character === 'A' ? 'B' : 'A';
        assert.equal(await worth(service(), token.slice(0, at) + other + token.slice(at + 1)), 'invalid', `at ${at}`);
      }),
    );
    assert.equal(await worth(service(), token), 'valid');
  });

  test('TOK-07 no other spelling of a revoked token comes through', async () => {
    const { tokens } = await register(service());
    const token = tokens.access_token;
    assert.equal(await worth(service(), token), 'valid');
    await logout(service(), token);
    assert.equal(await worth(service(), token), 'revoked');
    for (const [name, variant] of misspell(token)) {
      assert.equal((await validate(service(), variant)).valid, false, name);
      if (fitsHeader(variant)) assert.equal((await me(service(), variant)).status, 401, name);
    }
  });

  test('CLM-02 no other credential passes for an access token, and an access token for no other', async () => {
    const account = await register(service());
    const { tokens } = account;
    const login = { email: account.email, password: account.password };
    const { device_token: device = '' } = tokensOf(await service().api.post('/api/auth/login', login));
    const others = [tokens.refresh_token, device, tokens.session_id, tokens.user.id, service().env['JWT_SECRET'] ?? ''];
    for (const other of others) {
      assert.equal(await worth(service(), other), 'invalid');
      assertProblem(await me(service(), other), 401, 'invalid_token');
      if (other !== tokens.refresh_token) assertProblem(await refresh(service(), other), 401, 'invalid_refresh_token');
    }
    tokensOf(await service().api.post('/api/auth/login', { ...login, device_token: tokens.access_token }));
  });

  test('KEY-05 TOK-05 the key set holds public keys alone, each with one algorithm, one use and one name', async () => {
    const answer = await service().api.get('/.well-known/jwks.json');
    const { keys } = answer.body as { keys: Record<string, unknown>[] };
    assert.ok(keys.length > 0);
    for (const key of keys) {
      assert.deepEqual(
        [typeof key['kty'], typeof key['kid'], key['alg'], key['use']],
        ['string', 'string', 'EdDSA', 'sig'],
      );
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.ok(!(secret in key), secret);
    }
    assert.equal(new Set(keys.map((key) => key['kid'])).size, keys.length);
  });

  test('BRW-06 the key set may be kept for a while, and an ETag saves sending it again', async () => {
    const get = (headers: Record<string, string>): Promise<Answer> =>
      service().api.get('/.well-known/jwks.json', { headers });
    const first = await get({});
    assert.match(first.headers['cache-control'] ?? '', /max-age=[1-9]/);
    const etag = first.headers.etag ?? '';
    assert.match(etag, /^"[^"]+"$/);
    for (const value of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await get({ 'If-None-Match': value });
      assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', etag], value);
    }
    assert.equal((await get({ 'If-None-Match': '"other"' })).status, 200);
  });

  test('a verifier of another make takes our tokens by our key set', async () => {
    const { tokens } = await register(service());
    const keys = createRemoteJWKSet(new URL(`${service().url}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(tokens.access_token, keys, {
      issuer: issuerOf(service()),
      audience: 'auth-service',
      typ: 'at+jwt',
      algorithms: ['EdDSA'],
    });
    assert.equal(payload.sub, tokens.user.id);
  });

  test('KEY-02 KEY-04 a rotated key signs and the old one verifies on; a revoked key ends its tokens, not the sessions', async () => {
    const { tokens } = await register(service());
    const oldKid = String(headerOf(tokens.access_token)['kid']);
    const rotated = await service().cli(['keys', 'rotate', '--now', '--json']);
    assert.equal(rotated.code, 0, rotated.stderr);
    const { kid } = (JSON.parse(rotated.stdout) as { key: { kid: string } }).key;
    assert.notEqual(kid, oldKid);
    let next = tokens;
    for (let tries = 0; headerOf(next.access_token)['kid'] !== kid; tries += 1) {
      assert.ok(tries < 500, 'the new key never signed');
      next = tokensOf(await refresh(service(), next.refresh_token));
      assert.equal(await worth(service(), next.access_token), 'valid');
    }
    assert.equal(await worth(service(), tokens.access_token), 'valid');
    const { keys } = (await service().api.get('/.well-known/jwks.json')).body as { keys: { kid: string }[] };
    assert.deepEqual(keys.map((key) => key.kid).sort(), [kid, oldKid].sort());

    await revokeKey(service(), oldKid);
    assert.notEqual(await worth(service(), tokens.access_token), 'valid');
    assert.equal(await worth(service(), next.access_token), 'valid');
    tokensOf(await refresh(service(), next.refresh_token));
    const after = (await service().api.get('/.well-known/jwks.json')).body as { keys: { kid: string }[] };
    assert.ok(!after.keys.some((key) => key.kid === oldKid));
  });
});

for (const algorithm of ['ES256', 'RS256']) {
  test(`JWT_ALGORITHM=${algorithm}: other verifiers take the tokens, and forged ones are refused`, async (t) => {
    const service = await startService({
      store: 'postgres',
      env: { JWT_ALGORITHM: algorithm, JWT_AUDIENCE: 'other-audience' },
    });
    t.after(() => service.stop());
    const { tokens } = await register(service);
    assert.equal(headerOf(tokens.access_token)['alg'], algorithm);
    const keys = createRemoteJWKSet(new URL(`${service.url}/.well-known/jwks.json`));
    const options = { issuer: issuerOf(service), audience: 'other-audience', typ: 'at+jwt', algorithms: [algorithm] };
    assert.equal((await jwtVerify(tokens.access_token, keys, options)).payload.sub, tokens.user.id);
    assert.equal(await worth(service, tokens.access_token), 'valid');
    for (const [name, variant] of misspell(tokens.access_token)) {
      assert.equal((await validate(service, variant)).valid, false, name);
    }
    assert.equal(await service.halt(), 0);
    assertQuiet(service);
  });
}

test('an expired token is expired, not merely invalid; its refresh token goes on', async (t) => {
  const service = await startService({ store: 'postgres', env: { TOKEN_TTL: '1' } });
  t.after(() => service.stop());
  const { tokens } = await register(service);
  assert.equal(tokens.expires_in, 1);
  const seen = new Set<string>();
  // A second, and at most five of leeway.
  for (const end = performance.now() + 8_000; performance.now() < end && !seen.has('expired'); ) {
    seen.add(await worth(service, tokens.access_token));
  }
  assert.deepEqual([...seen], ['valid', 'expired']);
  assertProblem(await me(service, tokens.access_token), 401, 'token_expired');
  tokensOf(await refresh(service, tokens.refresh_token));
});
