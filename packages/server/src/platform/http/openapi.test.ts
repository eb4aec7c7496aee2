import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ErrorCode, errorTable, Type } from '@auth-service/protocol';
import { buildOpenApi, createAnswerCheck, defineRoute, renderDocsPage, routeErrors } from './index.ts';
import type { JsonObject, OpenApiDocument } from './openapi.ts';
import { openApiPath } from './openapi.ts';
import { post, sampleRoutes, startTestServer, type TestServer } from './testing.ts';

const routes = sampleRoutes();
const build = (): OpenApiDocument => buildOpenApi({ routes, info: { title: 'Sample', version: '1.2.3' } });

function* nodes(value: unknown): Generator<JsonObject> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as JsonObject;
  for (const inner of Object.values(value)) yield* nodes(inner);
}

const operations = (document: OpenApiDocument): JsonObject[] => Object.values(document.paths).flatMap(Object.values);

const resolved = (document: OpenApiDocument, node: unknown): JsonObject => {
  const reference = (node as { $ref?: string }).$ref;
  if (reference === undefined) return node as JsonObject;
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>((at, step) => (at as JsonObject)[step], document) as JsonObject;
};

describe('the OpenAPI document', () => {
  test('every route is in it, and nothing else', () => {
    const document = build();
    const told = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(told.sort(), routes.map((route) => `${route.method} ${openApiPath(route.path)}`).sort());
  });

  test('every reference leads somewhere, and every operation has an id of its own', () => {
    const document = build();
    let references = 0;
    for (const node of nodes(document)) {
      if (typeof node['$ref'] !== 'string') continue;
      references += 1;
      assert.notEqual(resolved(document, node), undefined, node['$ref']);
    }
    assert.ok(references > 20);
    const ids = operations(document).map((operation) => operation['operationId']);
    assert.equal(new Set(ids).size, routes.length);
  });

  test('every path parameter is declared, and every operation says who may call', () => {
    const document = build();
    for (const [path, methods] of Object.entries(document.paths)) {
      const named = [...path.matchAll(/\{([a-z_]+)\}/g)].map((found) => found[1]);
      for (const operation of Object.values(methods)) {
        const parameters = (operation['parameters'] ?? []) as { name: string; in: string }[];
        assert.deepEqual(
          parameters.filter((one) => one.in === 'path').map((one) => one.name),
          named,
        );
        assert.ok(Array.isArray(operation['security']));
      }
    }
  });

  test('every code that a route can answer stands at its status, with the headers that come with it', () => {
    const document = build();
    for (const route of routes) {
      const operation = document.paths[openApiPath(route.path)]?.[route.method.toLowerCase()] ?? {};
      const responses = operation['responses'] as JsonObject;
      for (const code of routeErrors(route)) {
        const { status } = errorTable[code];
        const response = resolved(document, responses[status]);
        const content = (response['content'] as JsonObject)['application/problem+json'] as { examples: JsonObject };
        assert.ok(code in content.examples, `${route.path} ${status} lacks ${code}`);
        const headers = response['headers'] as JsonObject;
        assert.equal('Retry-After' in headers, status === 429 || status === 503);
        const challenges =
          status === 401 || (status === 403 && routeErrors(route).includes('insufficient_permissions'));
        assert.equal('WWW-Authenticate' in headers, challenges);
        assert.equal('RateLimit' in headers, route.limit !== null);
      }
      for (const status of Object.keys(route.answers)) assert.ok(status in responses);
    }
  });

  test('what a body may not have is told: unknown members are refused in the document where they are in the route', () => {
    const { schemas } = build().components;
    const echo = schemas['EchoBody'] as { additionalProperties?: boolean; properties: { user: JsonObject } };
    assert.equal(echo.additionalProperties, false);
    assert.equal(echo.properties.user['additionalProperties'], false);
  });

  test('the same table gives the same bytes', () => {
    assert.equal(JSON.stringify(build()), JSON.stringify(build()));
  });

  test('two different schemas of one title are an error of the program', () => {
    const route = (path: string, schema: ReturnType<typeof Type.Object>) =>
      defineRoute({
        method: 'GET',
        path,
        summary: '',
        tags: ['t'],
        access: { kind: 'public' },
        limit: null,
        unknownFields: 'ignore',
        answers: { 200: { description: '', schema } },
        errors: [],
        handle: () => ({ status: 200 }),
      });
    const twice = [
      route('/a', Type.Object({}, { title: 'X' })),
      route('/b', Type.Object({ a: Type.Null() }, { title: 'X' })),
    ];
    assert.throws(() => buildOpenApi({ routes: twice, info: { title: '', version: '' } }), /titled X/);
  });
});

describe('answers against their declaration', () => {
  let server: TestServer;
  const check = createAnswerCheck(routes);
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.stop());

  test('what the server sends is what the routes declare', async () => {
    const thing = '/api/things/019a5c0e-7d1f-7c3a-9b52-0d4f6a1c2e88';
    const requests: [string, RequestInit?][] = [
      ['/api/echo', post('{"user":{"name":"a"}}')],
      ['/api/echo', post('{"user":{}}')],
      ['/api/echo', post('{')],
      ['/api/echo', post('x'.repeat(70_000))],
      ['/api/echo', post('{}', 'text/plain')],
      ['/api/echo'],
      [thing],
      [thing, { headers: { authorization: 'Bearer good' } }],
      [thing, { headers: { authorization: 'Bearer weak' } }],
      ['/api/things/1'],
      ['/nothing'],
      ['/fail/throw'],
      ['/fail/store'],
    ];
    for (const [path, init] of requests) {
      const response = await fetch(server.url + path, init);
      const seen = {
        method: init?.method ?? 'GET',
        path,
        status: response.status,
        contentType: response.headers.get('content-type'),
        body: await response.json(),
      };
      assert.deepEqual(check(seen), [], `${seen.method} ${path} ${seen.status}`);
    }
  });

  test('an answer that is not declared is seen', () => {
    const answer = {
      method: 'POST',
      path: '/api/echo',
      status: 200,
      contentType: 'application/json',
      body: {} as unknown,
    };
    assert.deepEqual(check({ ...answer, body: { name: 'a' } }), []);
    assert.match(check({ ...answer, body: { name: 'a', hash: 1 } }).join(), /hash: unknown_field/);
    assert.match(check(answer).join(), /name: required/);
    assert.match(check({ ...answer, status: 201 }).join(), /201 is not declared/);
    assert.match(check({ ...answer, path: '/nothing' }).join(), /no route/);
    const problem = (code: ErrorCode, status: number) => ({
      ...answer,
      status,
      contentType: 'application/problem+json; charset=utf-8',
      body: { type: 'urn:x', title: '', status, detail: '', code, request_id: '1' },
    });
    assert.deepEqual(check(problem('malformed_json', 400)), []);
    assert.match(check(problem('email_taken', 409)).join(), /email_taken is not declared/);
    assert.match(check(problem('malformed_json', 422)).join(), /came with 422/);
  });
});

describe('the reference page', () => {
  test('it names every operation and code, and needs nothing from outside', () => {
    const document = build();
    const page = renderDocsPage(document);
    for (const operation of operations(document))
      assert.ok(page.html.includes(`id="${String(operation['operationId'])}"`));
    for (const code of Object.keys(errorTable)) assert.ok(page.html.includes(`<code>${code}</code>`));
    assert.ok(!/<script|<link|<img|<iframe|src=|@import|url\(|style="|\son\w+=/i.test(page.html));
    const targets = [...page.html.matchAll(/href="([^"]+)"/g)].map((found) => found[1] ?? '');
    for (const target of targets) {
      assert.ok(target === '/openapi.json' || page.html.includes(`id="${target.slice(1)}"`), target);
    }
  });

  test('its policy allows its own style sheet, by hash, and nothing else', async () => {
    const { html, contentSecurityPolicy } = renderDocsPage(build());
    const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? '';
    const digest = await crypto.subtle.digest('SHA-256', Buffer.from(style));
    const hash = Buffer.from(digest).toString('base64');
    assert.equal(
      contentSecurityPolicy,
      `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
    );
  });

  test('BRW-09 every text is escaped', () => {
    const evil = '<img src=x onerror=alert(1)>"\'`<b>`';
    const route = defineRoute({
      method: 'POST',
      path: '/evil',
      summary: evil,
      description: evil,
      tags: [evil],
      access: { kind: 'bearer', permission: evil },
      limit: evil,
      unknownFields: 'refuse',
      body: Type.Object({ [evil]: Type.String({ description: evil }) }),
      bodyExample: { [evil]: evil },
      answers: { 200: { description: evil, schema: Type.Object({ [evil]: Type.Literal(evil) }) } },
      errors: [],
      handle: () => ({ status: 200 }),
    });
    const document = buildOpenApi({ routes: [route], info: { title: evil, version: evil, description: evil } });
    assert.ok(!/<img|<b>/.test(renderDocsPage(document).html));
  });
});
