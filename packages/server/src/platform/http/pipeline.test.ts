import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Type } from '@auth-service/protocol';
import fc from 'fast-check';
import { routeDefiner } from './route.ts';
import { type Problem, post, problemOf, startTestServer, type TestServer } from './testing.ts';

const thing = '/api/things/019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88';
const good = { authorization: 'Bearer good' };

describe('what happens to a request', () => {
  let server: TestServer;
  let blocked = false;
  before(async () => {
    server = await startTestServer({ blocked: () => blocked, limits: { handlerDeadlineMs: 60 } });
  });
  after(() => server.stop());

  const send = (path: string, init?: RequestInit) => fetch(server.url + path, init);
  const refused = async (
    path: string,
    init: RequestInit | undefined,
    status: number,
    code: string,
  ): Promise<Problem> => {
    const response = await send(path, init);
    const problem = await problemOf(response);
    assert.equal(`${response.status} ${problem.code}`, `${status} ${code}`, path);
    assert.equal(response.headers.get('content-type'), 'application/problem+json; charset=utf-8');
    assert.equal(problem.request_id, response.headers.get('x-request-id'));
    return problem;
  };

  test('an answer has what its schema names, and nothing else', async () => {
    const response = await send('/api/echo', post('{"user":{"name":"Ada"}}'));
    assert.deepEqual([response.status, await response.json()], [200, { name: 'Ada' }]);
    assert.equal(response.headers.get('cache-control'), 'no-store');
  });

  test('a sane request id is kept, another is replaced', async () => {
    const kept = await send('/nothing', { headers: { 'x-request-id': 'Trace-1.a_b' } });
    assert.equal(kept.headers.get('x-request-id'), 'Trace-1.a_b');
    for (const insane of ['a b', 'x'.repeat(129), '{"level":50}', 'é']) {
      const other = await send('/nothing', { headers: { 'x-request-id': insane } });
      assert.match(other.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
    }
  });

  test('the limit is taken before the body is looked at, and 401 and 403 are decided before it and its fields', async () => {
    const steps = async (headers: Record<string, string>, body: string) => {
      server.steps.length = 0;
      const type = { 'content-type': 'application/json' };
      const response = await send(thing, { method: 'DELETE', headers: { ...type, ...headers }, body });
      return [...server.steps, response.status].join(' ');
    };
    assert.equal(await steps({}, '{"bad":1}'), 'limit authenticate 401');
    assert.equal(await steps({ authorization: 'Bearer weak' }, '{"bad":1}'), 'limit authenticate 403');
    assert.equal(await steps(good, '{"bad":1}'), 'limit authenticate 422');
    assert.equal(await steps({}, '{"bad":'), 'limit authenticate 401');
    assert.equal(await steps({ 'content-type': 'text/plain' }, 'bad'), 'limit authenticate 401');
    assert.equal(await steps({ authorization: 'Bearer weak' }, '{"bad":'), 'limit authenticate 403');
    assert.equal(await steps(good, '{"bad":'), 'limit authenticate 400');
    blocked = true;
    assert.equal(await steps(good, '{"bad":'), 'limit 429');
    blocked = false;
  });

  test('AZ-01 a path that can name nothing is 404 to those who may ask, and 401 to all others', async () => {
    await refused('/api/things/x', { method: 'DELETE' }, 401, 'missing_token');
    await refused('/api/things/x', { method: 'DELETE', headers: good }, 404, 'not_found');
  });

  test('a limit that is reached is 429 with when to come back, and the policy is told before that too', async () => {
    const before = await send(thing, { headers: good });
    assert.deepEqual([before.status, before.headers.get('ratelimit-policy')], [200, '"api";q=1;w=60']);
    blocked = true;
    const response = await send(thing, { headers: good });
    blocked = false;
    assert.equal(response.status, 429);
    assert.equal(response.headers.get('retry-after'), '7');
    assert.equal(response.headers.get('ratelimit-policy'), '"api";q=1;w=60');
  });

  test('every 401 has a challenge: without an error where nothing was sent, else with it', async () => {
    const challenge = async (headers: Record<string, string>) =>
      (await send(thing, { headers })).headers.get('www-authenticate');
    assert.equal(await challenge({}), 'Bearer realm="auth-service"');
    assert.equal(
      await challenge({ authorization: 'Bearer bad' }),
      'Bearer realm="auth-service", error="invalid_token"',
    );
    assert.equal(
      await challenge({ authorization: 'Bearer weak' }),
      'Bearer realm="auth-service", error="insufficient_scope"',
    );
  });

  test('INP-01 what does not fit is told by pointer, and never with what was sent', async () => {
    const body = { user: { name: 'x'.repeat(21), nick: 7, role: 'admin' }, secret: ['CANARY'], tags: [1] };
    const problem = await refused('/api/echo', post(JSON.stringify(body)), 422, 'validation_failed');
    assert.deepEqual(problem.errors?.map(({ pointer, code }) => `${pointer} ${code}`).sort(), [
      '/secret wrong_type',
      '/tags/0 wrong_type',
      '/user/name too_long',
      '/user/nick wrong_type',
      '/user/role unknown_field',
    ]);
    assert.ok(!JSON.stringify(problem).includes('CANARY'));
    const missing = await refused('/api/echo', post('{"user":{}}'), 422, 'validation_failed');
    assert.deepEqual(
      missing.errors?.map(({ pointer, code }) => `${pointer} ${code}`),
      ['/user/name required'],
    );
  });

  test('INP-02 members that are not known are refused where the route says so, and nowhere else', async () => {
    for (const name of ['role', 'id', '__proto__', 'constructor', 'user.role', 'user[role]']) {
      const text = `{"user":{"name":"a"},${JSON.stringify(name)}:1}`;
      const problem = await refused('/api/echo', post(text), 422, 'unknown_field');
      assert.deepEqual(
        problem.errors?.map(({ pointer }) => pointer),
        [`/${name}`],
      );
    }
    assert.equal((await send('/api/lenient', post('{"b":1}'))).status, 200);
    await refused('/api/lenient', post('{"a":"1","b":1}'), 422, 'validation_failed');
  });

  test('INP-07 control characters in a text field are 422', async () => {
    for (const text of ['\u0000', 'a\nb', '\u007f', '\u001b[31m']) {
      await refused('/api/echo', post(JSON.stringify({ user: { name: text } })), 422, 'validation_failed');
    }
  });

  test('INP-05 only application/json, in UTF-8 and not encoded, is read', async () => {
    const body = '{"user":{"name":"a"}}';
    for (const type of ['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"']) {
      assert.equal((await send('/api/echo', post(body, type))).status, 200, type);
    }
    const others = [
      'text/plain',
      'application/json garbage',
      'application/json\tfoo',
      'application/json; charset=utf-16',
      'application/json; charset=utf-8; x=y',
      'application/json, text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
      'application/jsonp',
      'application/problem+json',
    ];
    for (const type of others) await refused('/api/echo', post(body, type), 415, 'unsupported_media_type');
    await refused('/api/echo', { method: 'POST', body: Buffer.from(body) }, 415, 'unsupported_media_type');
    for (const encoding of ['gzip', 'br', 'deflate', 'identity']) {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      await refused('/api/echo', { method: 'POST', body, headers }, 415, 'unsupported_media_type');
    }
  });

  test('malformed JSON, duplicates and an empty body are 400 malformed_json', async () => {
    for (const text of ['{', '{"user":{"name":"a"},"user":{"name":"b"}}', '\ufeff{}', '', 'undefined', '{} {}']) {
      await refused('/api/echo', post(text), 400, 'malformed_json');
    }
    for (const text of ['[]', 'null', '1', '"a"']) await refused('/api/echo', post(text), 422, 'validation_failed');
  });

  test('a route without a body, or with nothing required in it, takes none, and {}', async () => {
    for (const path of ['/api/bare', '/api/lenient']) {
      assert.equal((await send(path, { method: 'POST' })).status, 200, path);
      assert.equal((await send(path, post('{}'))).status, 200, path);
      assert.equal((await send(path, post(''))).status, 200, path);
    }
    await refused('/api/bare', post('{"a":1}'), 422, 'unknown_field');
    await refused('/api/bare', post('[]'), 422, 'validation_failed');
    await refused('/api/bare', post('a', 'text/plain'), 415, 'unsupported_media_type');
  });

  test('DOS-01 a body of 64 KiB is read, one byte more is 413 and ends the connection, declared or not', async () => {
    const frame = JSON.stringify({ user: { name: 'a' }, secret: '' });
    const exact = JSON.stringify({ user: { name: 'a' }, secret: 'x'.repeat(64 * 1024 - frame.length) });
    assert.equal((await send('/api/echo', post(exact))).status, 200);
    await refused('/api/echo', post(`${exact} `), 413, 'payload_too_large');
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from(exact));
        controller.enqueue(Buffer.from(' '));
        controller.close();
      },
    });
    const response = await send('/api/echo', { ...post(stream), duplex: 'half' } as RequestInit);
    assert.equal(response.status, 413);
    assert.equal(response.headers.get('connection'), 'close');
  });

  test('INP-11 a path has one spelling', async () => {
    const others = [
      '//api/bare',
      '/api/bare/',
      '/api/bare;x',
      '/api//bare',
      '/api/%62are',
      '/api%2fbare',
      '/API/bare',
      '/api/bare%00',
      '/api/bare%2f',
      '/api/%zz',
      '/api/things/',
      `${thing}/x`,
      thing.toUpperCase(),
    ];
    for (const path of others) await refused(path, { method: 'POST' }, 404, 'not_found');
    await refused('/api/things/1', { headers: good }, 404, 'not_found');
  });

  test('INP-12 a method that is not there is 405 with those that are; an override is taken no notice of', async () => {
    const allowed = async (path: string, method: string) => {
      const response = await send(path, { method, headers: { 'x-http-method-override': 'POST' } });
      assert.equal((await problemOf(response)).code, 'method_not_allowed');
      return response.headers.get('allow');
    };
    assert.equal(await allowed('/api/echo', 'GET'), 'OPTIONS, POST');
    assert.equal(await allowed('/api/echo', 'PROPFIND'), 'OPTIONS, POST');
    assert.equal(await allowed(thing, 'POST'), 'DELETE, GET, HEAD, OPTIONS');
    assert.equal((await send('/api/echo', { method: 'HEAD' })).status, 405);
  });

  test('HEAD answers as GET does, without the body', async () => {
    const get = await send(thing, { headers: good });
    const head = await send(thing, { method: 'HEAD', headers: good });
    assert.deepEqual([head.status, await head.text()], [200, '']);
    assert.equal(head.headers.get('content-length'), String((await get.text()).length));
  });

  test('INP-12 a query name given twice, or of the wrong type, is 422; unknown ones are taken no notice of', async () => {
    const ask = (query: string) => send(`${thing}?${query}`, { headers: good });
    assert.equal((await ((await ask('limit=3&x=1')).json() as Promise<{ limit: number }>)).limit, 3);
    for (const query of ['limit=1&limit=2', 'limit=1e9', 'limit=-1', 'limit=NaN', 'limit=', 'limit=201', 'limit=%00']) {
      assert.equal((await ask(query)).status, 422, query);
    }
    assert.equal((await send(`${thing}?access_token=good`)).status, 401);
  });

  test('LOG-05 a failure is a 500 that tells nothing, and its cause is logged under the request id', async () => {
    const problem = await refused('/fail/throw', undefined, 500, 'internal_error');
    assert.ok(!/users|relation|srv/.test(JSON.stringify(problem)));
    const logged = server.logged.find(({ fields }) => fields['request_id'] === problem.request_id);
    assert.match(String(logged?.fields['error']), /relation "users"/);
    await refused('/fail/undeclared', undefined, 500, 'internal_error');
  });

  test('a store that is away, and a route that takes too long, are 503 with when to come back', async () => {
    for (const how of ['moment', 'store', 'hang']) {
      const response = await send(`/fail/${how}`);
      assert.equal((await problemOf(response)).code, 'overloaded');
      assert.equal(response.headers.get('retry-after'), '1');
    }
  });

  test('a refusal may bring members of its own, and cannot replace those of a problem', async () => {
    const problem = await refused('/fail/refuse', undefined, 409, 'conflict');
    assert.equal((problem as Problem & { further: number }).further, 1);
  });

  test('each answer is reported once, by the route and never by the path', async () => {
    server.seen.length = 0;
    await send(thing, { headers: good });
    await send('/secret/path');
    await send('/api/echo', post('{'));
    await send('/api/echo', { method: 'PROPFIND' });
    assert.deepEqual(
      server.seen.map((one) => `${one.method} ${one.route} ${one.status}`),
      ['GET /api/things/:thing_id 200', 'GET unknown 404', 'POST /api/echo 400', 'other unknown 405'],
    );
  });

  test('DOS-05 no body of any kind gives a 5xx, and what is taken is what the schema says', async () => {
    const leaf = fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constant(null), fc.boolean(), fc.double());
    const shaped = fc.record(
      { user: fc.oneof(fc.record({ name: leaf, nick: leaf }, { requiredKeys: [] }), leaf), tags: fc.array(leaf) },
      { requiredKeys: [] },
    );
    const body = fc.oneof(
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      shaped.map((value) => Buffer.from(JSON.stringify(value))),
      fc.dictionary(fc.string(), leaf).map((value) => Buffer.from(JSON.stringify(value))),
    );
    await fc.assert(
      fc.asyncProperty(body, fc.constantFrom('/api/echo', '/api/lenient', '/api/bare'), async (bytes, path) => {
        const response = await send(path, post(bytes));
        await response.arrayBuffer();
        assert.ok([200, 400, 422].includes(response.status), `${response.status} for ${bytes.toString('latin1')}`);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a client that has hung up before its request was begun', () => {
  const done: string[] = [];
  const define = routeDefiner<string>();
  const route = (path: string, onlyForThePresent: boolean) =>
    define({
      method: 'POST',
      path,
      summary: 'Does something',
      tags: ['test'],
      access: { kind: 'public' },
      limit: null,
      body: Type.Object({}),
      unknownFields: 'ignore',
      onlyForThePresent,
      answers: { 200: { description: 'Done.' } },
      errors: [],
      handle: () => {
        done.push(path);
        return { status: 200 };
      },
    });

  test('is not served where a route is only for those who are there', async (t) => {
    const server = await startTestServer({ routes: [route('/present', true), route('/anyway', false)] });
    t.after(() => server.stop());
    const ask = async (path: string, leaves: boolean): Promise<void> => {
      const socket = connect(server.port, '127.0.0.1');
      const closed = once(socket, 'close');
      socket.on('data', () => socket.end());
      const request = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`;
      if (leaves) socket.end(request);
      else socket.write(request);
      await closed;
    };
    await ask('/present', true);
    await ask('/anyway', true);
    await ask('/present', false);
    assert.deepEqual(done, ['/anyway', '/present']);
  });
});
