/** The listener: methods, paths, content types, sizes, origins and broken requests, over sockets of our own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { assertProblem, sendBytes, tokensOf } from '../support/http.ts';
import { until } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';
import { me, newEmail, newPassword, onEachStore, register, worth } from './support/suite.ts';

const statusLines = (text: string): readonly string[] => text.match(/HTTP\/1\.1 \d{3}/g) ?? [];
const host = 'Host: localhost\r\n';

onEachStore(
  'http',
  (service) => {
    const raw = (bytes: string | Buffer) => sendBytes(service().url, bytes);

    test('INP-12 another method is 405 with Allow; an unknown path is 404, with every method', async () => {
      const { api } = service();
      const document = await api.document();
      for (const [template, operations] of Object.entries(document.paths)) {
        const path = template.replaceAll(/\{[^}]+\}/g, '019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88');
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
          if (method.toLowerCase() in operations) continue;
          const answer = await api.send(method, path);
          assertProblem(answer, 405, 'method_not_allowed');
          for (const allowed of Object.keys(operations))
            assert.match(answer.headers.allow ?? '', new RegExp(allowed.toUpperCase()));
        }
        const options = await api.send('OPTIONS', path);
        assert.equal(options.status, 204);
        assert.ok((options.headers.allow ?? '').includes('OPTIONS'));
      }
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        for (const path of ['/', '/api', '/api/auth', '/api/auth/nothing', '/admin', '/favicon.ico', '/.env']) {
          assertProblem(await api.send(method, path), 404, 'not_found');
        }
      }
      for (const header of ['X-HTTP-Method-Override', 'X-Method-Override', 'X-HTTP-Method']) {
        assertProblem(await api.get('/api/auth/logout', { headers: { [header]: 'POST' } }), 405, 'method_not_allowed');
      }
    });

    test('HEAD answers as GET does, without the body', async () => {
      const { tokens } = await register(service());
      for (const path of [
        '/health',
        '/.well-known/jwks.json',
        '/.well-known/oauth-authorization-server',
        '/openapi.json',
        '/docs',
        '/api/auth/me',
        '/api/auth/sessions',
      ]) {
        const options = { token: tokens.access_token };
        const head = await service().api.send('HEAD', path, undefined, options);
        assert.deepEqual([head.status, head.text], [200, ''], path);
        assert.equal(head.headers['content-type'], (await service().api.get(path, options)).headers['content-type']);
      }
      assert.equal((await service().api.send('HEAD', '/api/auth/me')).status, 401);
      assert.equal((await service().api.send('HEAD', '/nothing')).status, 404);
    });

    test('INP-11 a path has one spelling: whatever else it looks like is not it', async () => {
      const { tokens } = await register(service());
      const paths = [
        '//api/auth/me',
        '/api/auth/me/',
        '/api/auth//me',
        '/api/auth/me;x',
        '/api/auth/%6de',
        '/API/auth/me',
        '/api/auth/Me',
        '/x/../api/auth/me',
        '/./api/auth/me',
        '/api/auth/me%00',
        '/api/auth/me%20',
        '/api/auth/me%2f',
        '/api%2fauth%2fme',
        '/api/auth/me\\',
        '/api/auth/me.json',
        '/%2e%2e/api/auth/me',
        '/api/auth/%',
        '/api/auth/me%zz',
      ];
      for (const path of paths) {
        const text = await raw(
          `GET ${path} HTTP/1.1\r\n${host}Authorization: Bearer ${tokens.access_token}\r\nConnection: close\r\n\r\n`,
        );
        assert.match(text, /^HTTP\/1\.1 (404|400)/, path);
        assert.match(text, /application\/problem\+json/, path);
      }
      for (const target of ['http://evil.example/api/auth/me', 'http://localhost/api/auth/me']) {
        const text = await raw(`GET ${target} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
        assert.match(text, /^HTTP\/1\.1 (400|401|404)/, target);
      }
    });

    test('INP-05 a body is application/json in UTF-8, plain, and nothing else', async () => {
      const { api } = service();
      const body = JSON.stringify({ email: newEmail(), password: newPassword() });
      const post = (type: string, payload: string | Buffer = body, more: Record<string, string> = {}) =>
        api.post('/api/auth/login', undefined, { raw: payload, headers: { 'Content-Type': type, ...more } });
      for (const type of [
        'application/json',
        'application/json; charset=utf-8',
        'application/json;charset=UTF-8',
        'APPLICATION/JSON',
      ]) {
        assertProblem(await post(type), 401, 'invalid_credentials');
      }
      const wrong = [
        'text/plain',
        'text/json',
        'application/json garbage',
        'application/json\tfoo',
        'application/json; charset=utf-16',
        'application/json; charset=latin1',
        'application/json, text/plain',
        'application/jsonp',
        'application/problem+json',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/xml',
        '*/*',
        '',
      ];
      for (const type of wrong) assertProblem(await post(type), 415, 'unsupported_media_type');
      for (const encoding of ['gzip', 'br', 'deflate', 'identity', 'x']) {
        const packed = encoding === 'gzip' ? gzipSync(body) : Buffer.from(body);
        assertProblem(
          await post('application/json', packed, { 'Content-Encoding': encoding }),
          415,
          'unsupported_media_type',
        );
      }
      const bytes = [
        Buffer.from(`\ufeff${body}`),
        Buffer.from(body, 'utf16le'),
        Buffer.concat([Buffer.from('{"email":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
        Buffer.from('{"email":"a","password":"\\ud800"}'),
        Buffer.from('{"email":"a",}'),
        Buffer.from("{'email':'a'}"),
        Buffer.from('{"email":NaN}'),
        Buffer.from('{"email":01}'),
        Buffer.from(`${body}x`),
        Buffer.from(`${'['.repeat(21)}${']'.repeat(21)}`),
        Buffer.from(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`),
        Buffer.from('\u0000'),
        Buffer.alloc(0),
      ];
      for (const payload of bytes) assertProblem(await post('application/json', payload), 400, 'malformed_json');
    });

    test('DOS-01 what is too large is refused, and the connection stays good or is closed', async () => {
      const { api } = service();
      const sized = (size: number) => `{"email":"a","password":"${'x'.repeat(size - 27)}"}`;
      assert.notEqual((await api.post('/api/auth/login', undefined, { raw: sized(65_536) })).status, 413);
      assertProblem(await api.post('/api/auth/login', undefined, { raw: sized(65_537) }), 413, 'payload_too_large');
      assertProblem(
        await api.post('/api/auth/validate-token', { token: 'a'.repeat(100_000) }),
        413,
        'payload_too_large',
      );
      const chunk = `1000\r\n${'x'.repeat(4_096)}\r\n`;
      const head = `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
      assert.match(await raw(`${head}${chunk.repeat(20)}`), /^HTTP\/1\.1 413/);
      assert.match(await raw(`GET /${'a'.repeat(9_000)} HTTP/1.1\r\n${host}\r\n`), /^HTTP\/1\.1 414/);
      assert.match(await raw(`GET / HTTP/1.1\r\n${host}X-Long: ${'a'.repeat(17_000)}\r\n\r\n`), /^HTTP\/1\.1 431/);
      const many = Array.from({ length: 120 }, (_, at) => `X-${at}: 1\r\n`).join('');
      assert.match(await raw(`GET /health HTTP/1.1\r\n${host}${many}\r\n`), /^HTTP\/1\.1 431/);
      const list = JSON.stringify({ token: 'x', required_permissions: Array.from({ length: 1_001 }, () => 'a:b') });
      assertProblem(await api.post('/api/auth/validate-token', undefined, { raw: list }), 400, 'malformed_json');
    });

    test('DOS-03 ambiguous requests get one 400 and the connection is closed', async () => {
      const body = '{"token":"x"}';
      const head = `POST /api/auth/validate-token HTTP/1.1\r\n${host}Content-Type: application/json\r\n`;
      const smuggled = `GET /health HTTP/1.1\r\n${host}\r\n`;
      const broken = [
        `${head}Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
        `${head}Content-Length: ${body.length}\r\nContent-Length: 5\r\n\r\n${body}${smuggled}`,
        `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
        `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}`,
        `${head}Content-Length: -1\r\n\r\n${smuggled}`,
        `${head}Content-Length: 1e1\r\n\r\n${smuggled}`,
        `${head}Content-Length : 5\r\n\r\n${smuggled}`,
        `GET /health HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n`,
        `GET /health HTTP/1.1\nHost: a\n\n${smuggled}`,
        `GET /health HTTP/1.1\r\n\r\n`,
        `GET /health HTTP/1.1\r\n${host}${host}\r\n`,
        'nonsense\r\n\r\n',
        '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
        `GET /health HTTP/9.9\r\n${host}\r\n`,
        `FOO /health HTTP/1.1\r\n${host}\r\n`,
        `TRACE /health HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
        `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`,
      ];
      for (const bytes of broken) {
        const text = await raw(Buffer.from(bytes, 'latin1'));
        assert.match(text, /^HTTP\/1\.1 (400|405|505)/, JSON.stringify(bytes.slice(0, 120)));
        assert.equal(statusLines(text).length, 1, JSON.stringify(bytes.slice(0, 200)));
        assert.match(text, /x-content-type-options: nosniff/i);
        assert.match(text, /x-request-id: /i);
        assert.doesNotMatch(text, /^server:/im);
      }
    });

    test('TOK-14 two Authorization headers are ambiguous', async () => {
      const { tokens } = await register(service());
      const line = `Authorization: Bearer ${tokens.access_token}\r\n`;
      const text = await raw(`GET /api/auth/me HTTP/1.1\r\n${host}${line}${line}Connection: close\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 400/);
      assert.match(text, /ambiguous_credentials/);
    });

    test('several requests on one connection are answered in their order', async () => {
      const body = '{"token":"x"}';
      const one = `POST /api/auth/validate-token HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      const two = `GET /health/live HTTP/1.1\r\n${host}\r\n`;
      const text = await raw(one + two + one + two.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
      assert.equal(statusLines(text).length, 4);
      const bodies = [...text.matchAll(/\{"(valid|status)":/g)].map((match) => match[1]);
      assert.deepEqual(bodies, ['valid', 'status', 'valid', 'status']);
    });

    test('a sane request id is kept, any other is replaced', async () => {
      for (const id of ['abc', 'A.b-c_9', 'x'.repeat(128)]) {
        assert.equal(
          (await service().api.get('/health', { headers: { 'X-Request-Id': id } })).headers['x-request-id'],
          id,
        );
      }
      for (const id of ['', 'a b', 'x'.repeat(129), '<script>', 'é', '{"a":1}', 'a,b']) {
        const answer = await service().api.get('/health', { headers: { 'X-Request-Id': id } });
        assert.notEqual(answer.headers['x-request-id'], id);
      }
    });

    test('INP-10 what a client sends stays within its log line', async () => {
      const forged = '"}\\n{"level":"error","msg":"forged-by-a-client"}\u001b[31m';
      const headers = {
        'User-Agent': forged.replaceAll('\u001b', ''),
        'X-Request-Id': forged.replaceAll('\u001b', ''),
      };
      await service().api.get(`/${encodeURIComponent(forged)}`, { headers });
      await service().api.post('/api/auth/login', { email: forged, password: newPassword() }, { headers });
      await until('a line', async () => service().logs().length > 0);
      for (const line of service().logs().trim().split('\n')) {
        const event = JSON.parse(line) as { msg: string };
        assert.notEqual(event.msg, 'forged-by-a-client');
      }
    });

    test('BRW-01 an origin that is listed may read, and no other, however alike', async () => {
      const { api } = service();
      const allowed = 'https://app.example.com';
      const good = await api.get('/health', { headers: { Origin: allowed } });
      assert.equal(good.headers['access-control-allow-origin'], allowed);
      assert.equal(good.headers['access-control-allow-credentials'], undefined);
      const others = [
        'https://app.example.com.evil.example',
        'https://evilapp.example.com',
        'http://app.example.com',
        'https://app.example.com:444',
        'https://APP.example.com',
        'https://app.example.com/',
        'https://app.example.com%60.evil.example',
        'https://other.example.com',
        'null',
        '*',
        '',
      ];
      for (const origin of others) {
        const answer = await api.get('/health', { headers: { Origin: origin } });
        assert.equal(answer.headers['access-control-allow-origin'], undefined, origin);
        assert.match(answer.headers.vary ?? '', /Origin/);
      }
      const preflight = (origin: string) =>
        api.send('OPTIONS', '/api/auth/login', undefined, {
          headers: {
            Origin: origin,
            'Access-Control-Request-Method': 'POST',
            'Access-Control-Request-Headers': 'content-type',
          },
        });
      const answer = await preflight(allowed);
      assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [204, allowed]);
      assert.match(String(answer.headers['access-control-allow-methods']), /POST/);
      assert.match(String(answer.headers['access-control-allow-headers']), /Authorization/i);
      assert.equal((await preflight('https://evil.example')).headers['access-control-allow-origin'], undefined);
    });

    test('INP-06 hostile texts in every field and path are texts', async () => {
      const payloads = [
        "'",
        "' or '1'='1",
        "'; drop table users; --",
        '1) union select null,version()--',
        '$$;select pg_sleep(5)$$',
        '${jndi:ldap://x}',
        '{{7*7}}',
        '../../etc/passwd',
        '%27%20or%201=1',
        '\\',
        '\\u0000',
      ];
      for (const payload of payloads) {
        const started = performance.now();
        const { api } = service();
        await api.post('/api/auth/login', { email: payload, password: payload });
        await api.post('/api/auth/login', {
          email: `${payload}@example.org`,
          password: payload,
          device_token: payload,
        });
        await api.post('/api/auth/refresh-token', { refresh_token: payload });
        await api.post('/api/auth/validate-token', { token: payload, required_permissions: [payload.padEnd(3, 'x')] });
        await api.get(`/api/auth/revocations/${encodeURIComponent(payload)}`, {
          token: payload.replaceAll(/[^ -~]/g, ''),
        });
        assert.ok(performance.now() - started < besideOthers(4_000), payload);
      }
      const { tokens } = await register(service());
      assert.equal(await worth(service(), tokens.access_token), 'valid');
    });

    test('no answer carries a body compressed, even when asked', async () => {
      const { tokens } = await register(service());
      const headers = { 'Accept-Encoding': 'gzip, br, deflate' };
      for (const path of ['/api/auth/me', '/openapi.json', '/docs']) {
        const answer = await service().api.get(path, { token: tokens.access_token, headers });
        assert.equal(answer.headers['content-encoding'], undefined);
      }
      assert.equal((await me(service(), tokens.access_token)).status, 200);
      tokensOf(
        await service().api.post('/api/auth/refresh-token', { refresh_token: tokens.refresh_token }, { headers }),
      );
    });
  },
  { env: { CORS_ORIGINS: 'https://app.example.com,http://localhost:3000' } },
);
