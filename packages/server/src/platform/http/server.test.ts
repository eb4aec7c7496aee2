import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import Fastify from 'fastify';
import { readBody } from './index.ts';
import { countAnswers, exchangeRaw, post, startTestServer, type TestServer } from './testing.ts';

const head = 'Host: a\r\nContent-Type: application/json\r\n';
const body = '{"user":{"name":"a"}}';
const whole = `POST /api/echo HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`;

const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-site',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

describe('the listener', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ limits: { headersTimeoutMs: 300, requestTimeoutMs: 500, checkIntervalMs: 50 } });
  });
  after(() => server.stop());

  const refusedRaw = async (bytes: string | Buffer, status: number, code: string): Promise<string> => {
    const received = await exchangeRaw(server.port, bytes);
    assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} `), received.slice(0, 80));
    assert.match(received, new RegExp(`"code":"${code}"`));
    assert.match(received, /Connection: close/i);
    assert.equal(countAnswers(received), 1, received);
    for (const [name, value] of Object.entries(securityHeaders)) {
      assert.ok(received.toLowerCase().includes(`\r\n${name}: ${value.toLowerCase()}\r\n`), `${name} is missing`);
    }
    assert.match(received, /X-Request-Id: \S+/i);
    assert.ok(!/\r\n(server|x-powered-by):/i.test(received));
    return received;
  };

  test('DOS-03 what two readers could cut differently is 400, once, and ends the connection', async () => {
    const chunked = `${head}Transfer-Encoding: chunked\r\n`;
    const cases: Record<string, string> = {
      'both lengths': `POST /api/echo HTTP/1.1\r\n${chunked}Content-Length: 4\r\n\r\n0\r\n\r\n${whole}`,
      'two lengths': `POST /api/echo HTTP/1.1\r\n${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
      'unknown coding': `POST /api/echo HTTP/1.1\r\n${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
      'folded header': `GET /api/echo HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\tc\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
      'bare line feeds': `GET /api/bare HTTP/1.1\nHost: a\n\n`,
      'space before colon': `GET /api/bare HTTP/1.1\r\nHost : a\r\n\r\n`,
      'negative length': `POST /api/echo HTTP/1.1\r\n${head}Content-Length: -1\r\n\r\n`,
      'no HTTP': 'hello\r\n\r\n',
      TLS: '\u0016\u0003\u0001\u0002\u0000\u0001\u0000',
    };
    for (const [name, bytes] of Object.entries(cases)) {
      await refusedRaw(bytes, 400, 'bad_request').catch((error: Error) => assert.fail(`${name}: ${error.message}`));
    }
  });

  test('DOS-03 a broken chunk ends the request that it belongs to', async () => {
    const start = `POST /api/echo HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"use\r\n`;
    await refusedRaw(`${start}zz\r\nr"\r\n0\r\n\r\n${whole}`, 400, 'bad_request');
  });

  test('what follows a whole request and is no HTTP is answered after it', async () => {
    const slow = 'GET /fail/slow HTTP/1.1\r\nHost: a\r\n\r\n';
    const received = await exchangeRaw(server.port, `${slow}garbage\r\n\r\n`);
    assert.equal(countAnswers(received), 2);
    assert.ok(received.indexOf(' 409 ') < received.indexOf(' 400 '), received);
  });

  test('no host, two hosts: 400', async () => {
    for (const hosts of ['', 'Host: a\r\nHost: b\r\n']) {
      const received = await exchangeRaw(server.port, `GET /api/bare HTTP/1.1\r\n${hosts}Connection: close\r\n\r\n`);
      assert.match(received, /^HTTP\/1\.1 400 [\s\S]*"code":"bad_request"/);
    }
  });

  test('TOK-14 two credentials are 400, whatever the route', async () => {
    const two = 'Host: a\r\nAuthorization: Bearer good\r\nauthorization: Bearer bad\r\nConnection: close\r\n\r\n';
    for (const path of ['/api/bare', '/api/things/019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88', '/nothing']) {
      const received = await exchangeRaw(server.port, `GET ${path} HTTP/1.1\r\n${two}`);
      assert.match(received, /^HTTP\/1\.1 400 [\s\S]*"code":"ambiguous_credentials"/);
    }
  });

  test('two content types are 415: one reader would take the first, another the last', async () => {
    const types = 'Host: a\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\nConnection: close\r\n';
    const received = await exchangeRaw(server.port, `POST /api/echo HTTP/1.1\r\n${types}Content-Length: 2\r\n\r\n{}`);
    assert.match(received, /^HTTP\/1\.1 415 /);
  });

  test('DOS-01 headers over 16 KiB are 431, more than 100 of them too, an address over 8 KiB is 414', async () => {
    await refusedRaw(`GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'x'.repeat(17 * 1024)}\r\n\r\n`, 431, 'headers_too_large');
    const headers = (count: number) => Array.from({ length: count }, (_, at) => `X-${at}: 1\r\n`).join('');
    const many = (count: number) =>
      exchangeRaw(server.port, `GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers(count - 2)}\r\n`);
    assert.match(await many(100), /^HTTP\/1\.1 404 /);
    assert.match(await many(101), /^HTTP\/1\.1 431 [\s\S]*"code":"headers_too_large"/);
    const long = (length: number) =>
      exchangeRaw(server.port, `GET /${'x'.repeat(length - 1)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    assert.match(await long(8192), /^HTTP\/1\.1 404 /);
    assert.match(await long(8193), /^HTTP\/1\.1 414 [\s\S]*"code":"uri_too_long"/);
  });

  test('DOS-01 a body over the limit is refused by its length, before it was sent', async () => {
    const start = `POST /api/echo HTTP/1.1\r\n${head}Content-Length: 1000000\r\n\r\n`;
    const received = await exchangeRaw(server.port, start, '"payload_too_large"');
    assert.match(received, /^HTTP\/1\.1 413 /);
    await refusedRaw(start, 413, 'payload_too_large');
  });

  test('DOS-02 headers and bodies that do not arrive in time are 408, and the connection ends', async () => {
    await refusedRaw('GET / HTTP/1.1\r\nHost: a\r\nX-Slow', 408, 'request_timeout');
    await refusedRaw(`POST /api/echo HTTP/1.1\r\n${head}Content-Length: 10\r\n\r\n{`, 408, 'request_timeout');
  });

  test('INP-12 TRACE, CONNECT and methods unknown to HTTP are refused', async () => {
    const method = (name: string, target: string) =>
      exchangeRaw(server.port, `${name} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    assert.match(await method('TRACE', '/api/bare'), /^HTTP\/1\.1 405 [\s\S]*\r\nAllow: OPTIONS, POST\r\n/);
    assert.match(await method('QUERY', '/api/bare'), /^HTTP\/1\.1 405 /);
    assert.match(await method('BREW', '/api/bare'), /^HTTP\/1\.1 400 /);
    assert.match(await method('CONNECT', 'example.org:443'), /^HTTP\/1\.1 405 /);
  });

  test('DOS-05 a client that asks for a tunnel and resets the connection ends nothing but that', async () => {
    const unheard: unknown[] = [];
    const hear = (error: unknown): void => void unheard.push(error);
    process.on('uncaughtException', hear);
    for (let round = 0; round < 100; round += 1) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      const closed = once(socket, 'close');
      await once(socket, 'connect');
      socket.write(`CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n${'x'.repeat(round * 500)}`, () => {
        setImmediate(() => socket.resetAndDestroy());
      });
      await closed;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.off('uncaughtException', hear);
    assert.deepEqual(unheard, []);
  });

  test('a tunnel that is asked for behind a request gets no answer in its place', async () => {
    const received = await exchangeRaw(server.port, `${whole}CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.ok(received === '' || received.startsWith('HTTP/1.1 200 '), received.slice(0, 80));
  });

  test('INP-11 only a path as the table has it is a route', async () => {
    const targets = ['http://a/api/bare', '*', '/x/../api/bare', '/api/./bare', '/api/bare#x', '//api/bare'];
    for (const target of targets) {
      const received = await exchangeRaw(
        server.port,
        `POST ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      );
      assert.match(received, /^HTTP\/1\.1 40[04] /, target);
    }
  });

  test('HTTP/1.0 is answered, with and without keep-alive', async () => {
    const once = await exchangeRaw(server.port, `POST /api/bare HTTP/1.0\r\nContent-Length: 0\r\n\r\n`);
    assert.match(once, /^HTTP\/1\.1 200 [\s\S]*Connection: close/);
    const kept = 'POST /api/bare HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n';
    const twice = await exchangeRaw(server.port, kept + kept.replace('keep-alive', 'close'));
    assert.equal(countAnswers(twice), 2);
  });

  test('requests sent in one go are answered in their order', async () => {
    const last = whole.replace('Host: a', 'Host: a\r\nConnection: close');
    const received = await exchangeRaw(server.port, `GET /fail/slow HTTP/1.1\r\nHost: a\r\n\r\n${last}`);
    assert.ok(received.indexOf(' 409 ') < received.indexOf('{"name":"a"}'), received);
  });

  test('Expect: 100-continue is told to go on only when its body is wanted', async () => {
    const expect = (path: string, length: number) =>
      `POST ${path} HTTP/1.1\r\n${head}Expect: 100-continue\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`;
    const wanted = await exchangeRaw(server.port, expect('/api/echo', body.length) + body);
    assert.match(wanted, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    assert.match(await exchangeRaw(server.port, expect('/api/echo', 1e6)), /^HTTP\/1\.1 413 /);
    assert.match(await exchangeRaw(server.port, expect('/nothing', 10)), /^HTTP\/1\.1 404 /);
  });

  test('a client that leaves in the middle of its body leaves nothing behind', async () => {
    const socket = connect(server.port, '127.0.0.1');
    server.seen.length = 0;
    socket.write(`POST /api/echo HTTP/1.1\r\n${head}Content-Length: 10\r\n\r\n{`, () => socket.destroy());
    while (server.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(server.seen, [{ route: '/api/echo', method: 'POST', status: 499 }]);
    assert.equal(server.logged.length, 0);
  });

  test('BRW-05 every kind of answer carries the security headers, HSTS only where the client came by https', async () => {
    const paths: [string, RequestInit?][] = [
      ['/api/echo', post(body)],
      ['/api/echo', post('{')],
      ['/api/echo'],
      ['/nothing'],
      ['/api/bare', { method: 'OPTIONS' }],
      ['/fail/throw'],
      ['/fail/store'],
      ['/fail/refuse'],
    ];
    server.logged.length = 0;
    for (const [path, init] of paths) {
      for (const proto of ['http', 'https']) {
        const { headers } = await fetch(server.url + path, {
          ...init,
          headers: { ...init?.headers, 'x-forwarded-proto': proto },
        });
        for (const [name, value] of Object.entries(securityHeaders))
          assert.equal(headers.get(name), value, `${path} ${name}`);
        const strict = headers.get('strict-transport-security');
        assert.equal(strict, proto === 'https' ? 'max-age=63072000; includeSubDomains' : null);
        assert.equal(headers.get('server') ?? headers.get('x-powered-by'), null);
        assert.equal(headers.get('vary'), 'Origin');
      }
    }
  });

  test('BRW-01 only an origin that is on the list, byte for byte, may read an answer', async () => {
    const allow = async (origin: string, init: RequestInit = {}) => {
      const response = await fetch(`${server.url}/api/bare`, {
        method: 'POST',
        ...init,
        headers: { ...init.headers, origin },
      });
      return response.headers.get('access-control-allow-origin');
    };
    assert.equal(await allow('https://app.example.org'), 'https://app.example.org');
    const strangers = [
      'null',
      'http://app.example.org',
      'https://app.example.org:444',
      'https://APP.example.org',
      'https://app.example.org.evil',
      'https://evilapp.example.org',
      'https://app.example.org%60.evil',
      'https://app.example.org/',
      '*',
    ];
    for (const origin of strangers) assert.equal(await allow(origin), null, origin);
    const preflight = await fetch(`${server.url}/api/bare`, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example.org', 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'OPTIONS, POST');
    assert.equal(preflight.headers.get('access-control-allow-credentials'), null);
    assert.match(preflight.headers.get('access-control-expose-headers') ?? '', /X-Request-Id/);
    const stranger = await fetch(`${server.url}/api/bare`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'TRACE' },
    });
    assert.equal(stranger.headers.get('access-control-allow-methods'), null);
  });
});

describe('the end of a listener', () => {
  test('requests in work are finished, idle connections closed, and new ones refused', async () => {
    const server = await startTestServer();
    const idle = connect(server.port, '127.0.0.1');
    await once(idle, 'connect');
    const used = connect(server.port, '127.0.0.1');
    used.write('POST /api/bare HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
    await once(used, 'data');
    const working = fetch(`${server.url}/fail/slow`);
    while (!server.steps.includes('x') && server.seen.length < 1)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 30));
    const closed = server.http.close({ timeoutMs: 5_000 });
    assert.equal(server.http.closing(), true);
    const [response] = await Promise.all([working, once(used, 'close'), once(idle, 'close')]);
    assert.deepEqual([response.status, response.headers.get('connection')], [409, 'close']);
    await closed;
    await assert.rejects(fetch(`${server.url}/api/bare`));
  });

  test('what is still in work at the timeout is cut', async () => {
    const server = await startTestServer();
    const hanging = fetch(`${server.url}/fail/hang`);
    hanging.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.http.close({ timeoutMs: 100 });
    await assert.rejects(hanging);
  });

  test('an answer after closing has begun asks the client to leave', async () => {
    const server = await startTestServer();
    server.http.beginClosing();
    const response = await fetch(`${server.url}/api/bare`, { method: 'POST' });
    assert.deepEqual([response.status, response.headers.get('connection')], [200, 'close']);
    await server.stop();
  });
});

describe('in a host application', () => {
  test("as a Fastify plugin the routes are the same, and other paths and parsers stay the host's", async () => {
    const server = await startTestServer();
    const host = Fastify();
    host.get('/host', () => ({ host: true }));
    await host.register(server.http.plugin);
    const url = await host.listen({ port: 0, host: '127.0.0.1' });
    const answer = async (path: string, init?: RequestInit) => {
      const response = await fetch(url + path, init);
      return [response.status, ((await response.json()) as { code?: string }).code];
    };
    assert.deepEqual(await answer('/host'), [200, undefined]);
    assert.deepEqual(await answer('/api/echo', post(body)), [200, undefined]);
    assert.deepEqual(await answer('/api/echo', post('{"a":1,"a":2}')), [400, 'malformed_json']);
    assert.deepEqual(await answer('/api/echo', post(body, 'text/plain')), [415, 'unsupported_media_type']);
    assert.deepEqual(await answer('/api/echo'), [405, 'method_not_allowed']);
    assert.equal((await fetch(`${url}/other`)).headers.get('content-type'), 'application/json; charset=utf-8');
    await host.close();
    await server.stop();
  });

  test('as a plain handler it answers everything, and says so when a body was read before it', async () => {
    const server = await startTestServer();
    const host = createServer((request, response) => {
      const goOn = (): void => server.http.nodeHandler(request, response);
      if (request.headers['x-parsed'] === undefined) goOn();
      else request.resume().once('end', goOn);
    });
    host.listen(0, '127.0.0.1');
    await once(host, 'listening');
    const { port } = host.address() as { port: number };
    const url = `http://127.0.0.1:${port}`;
    assert.equal((await fetch(`${url}/api/echo`, post(body))).status, 200);
    assert.equal((await fetch(`${url}/nothing`)).status, 404);
    const parsed = { ...post(body), headers: { 'content-type': 'application/json', 'x-parsed': '1' } };
    assert.equal((await fetch(`${url}/api/echo`, parsed)).status, 500);
    assert.match(String(server.logged[0]?.fields['error']), /mount the service before any body parser/);
    host.close();
    host.closeAllConnections();
    await server.stop();
  });
});

describe('the fast path', () => {
  test('it is offered its route first, answers with the headers of every answer, and may give the request back', async () => {
    const server = await startTestServer({
      fastPath: {
        method: 'POST',
        path: '/api/echo',
        take: (exchange) => {
          const { request, response } = exchange;
          assert.equal(request.headers['content-type'], 'application/json');
          readBody(request, 1024, (read) => {
            if (read.kind !== 'whole') return;
            if (read.bytes.toString() !== '{}') return exchange.fallBack(read.bytes);
            response.writeHead(200, [...exchange.headers(), 'Content-Length', '4']).end('fast');
            exchange.answered(200);
          });
          return true;
        },
      },
    });
    const sent = { ...post('{}'), headers: { 'content-type': 'application/json', 'x-request-id': 'mine' } };
    const fast = await fetch(`${server.url}/api/echo`, sent);
    assert.deepEqual([await fast.text(), fast.headers.get('x-request-id')], ['fast', 'mine']);
    for (const [name, value] of Object.entries(securityHeaders)) assert.equal(fast.headers.get(name), value);
    const full = async (init: RequestInit) => {
      const response = await fetch(`${server.url}/api/echo`, init);
      return `${response.status} ${await response.text()}`;
    };
    assert.equal(await full(post(body)), '200 {"name":"a"}');
    assert.match(await full(post('{"a":1,"a":1}')), /^400 /);
    assert.match(await full(post('{}', 'application/json; charset=utf-8')), /^422 /);
    const cross = { ...post('{}'), headers: { 'content-type': 'application/json', origin: 'https://app.example.org' } };
    assert.match(await full(cross), /^422 /);
    assert.deepEqual(
      server.seen.map(({ route, status }) => `${route} ${status}`),
      [200, 200, 400, 422, 422].map((status) => `/api/echo ${status}`),
    );
    await server.stop();
  });

  test('many requests over one connection leave no listener behind', async () => {
    const server = await startTestServer();
    const { Agent } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    for (let count = 0; count < 50; count += 1) {
      await new Promise<void>((resolve, reject) => {
        const request = httpRequest(`${server.url}/api/echo`, {
          agent,
          method: 'POST',
          headers: { 'content-type': 'application/json' },
        });
        request.on('response', (response) => response.resume().on('end', resolve)).on('error', reject);
        request.end(body);
      });
    }
    process.off('warning', onWarning);
    agent.destroy();
    await server.stop();
    assert.deepEqual(warnings, []);
  });
});
