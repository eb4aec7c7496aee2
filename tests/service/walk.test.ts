/**
 * INP-01 A walk over the service's own description: every operation gets missing, wrong-typed, oversized, malformed,
 * duplicated and hostile values. No answer is a failure, each is one that is declared, and nothing has changed after.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { meOf, sessionsOf, tokensOf } from '../support/http.ts';
import { sharedPostgres } from '../support/service.ts';
import { login, me, onEachStore, refresh, register, worth } from './support/suite.ts';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Target {
  readonly method: string;
  readonly template: string;
  /** Names of the members of its body, nested ones with dots. */
  readonly members: readonly string[];
}

const hostileTexts = [
  '',
  ' ',
  '\u0000',
  'null',
  '\u202e\u2066',
  '\u2028',
  "'; drop table users; --",
  '${jndi:ldap://x/y}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '../../../etc/passwd',
  '%00%0d%0a',
  '\r\nSet-Cookie: a=b',
  '🙂'.repeat(300),
  'a'.repeat(5_000),
  'a@'.repeat(2_000),
  '.'.repeat(9_000),
  '='.repeat(9_000),
  'e\u0301'.repeat(500),
  '0',
  '-1',
  '1e999',
  'true',
  '__proto__',
  'constructor',
  'eyJhbGciOiJub25lIn0.e30.',
];

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(...hostileTexts),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 1e308, [], {}, [[]], [null], { $ne: null }, { $gt: '' }),
  fc.array(fc.anything({ maxDepth: 1 }), { maxLength: 5 }),
  fc.constant(Array.from({ length: 1_200 }, () => 1)),
  fc.jsonValue({ maxDepth: 4 }),
);

/** Bodies that are no JSON, or no honest JSON. */
const brokenBody = fc.oneof(
  fc.constantFrom(
    '{',
    '}',
    '[',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '"\\x"',
    '{"email":"a","email":"b"}',
    '{"user":{},"user":{}}',
    '{"token":"a","\\u0074oken":"b"}',
    `${'['.repeat(3_000)}`,
    `${'{"a":'.repeat(2_000)}`,
    '\ufeff{}',
    '{"__proto__":{"a":1}}',
    '{"constructor":{"prototype":{"a":1}}}',
    'undefined',
    'NaN',
    "{'a':1}",
    '/**/{}',
  ),
  fc.string({ unit: 'binary', maxLength: 300 }),
);

function bodyOf(members: readonly string[], values: readonly unknown[], skipped: number): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [at, member] of members.entries()) {
    if (at === skipped) continue;
    const path = member.split('.');
    const last = path.pop() ?? '';
    let place = body;
    for (const step of path) {
      place[step] ??= {};
      place = place[step] as Record<string, unknown>;
    }
    if (typeof place === 'object' && place !== null) place[last] = values[at % values.length];
  }
  return body;
}

onEachStore('walk', (service) => {
  test('INP-01 INP-06 INP-08 no value that anybody can send makes an operation fail or change anything', async () => {
    const { api } = service();
    const document = await api.document();
    const resolve = (schema: Schema): Schema =>
      schema.$ref === undefined ? schema : (document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] as Schema);
    const membersOf = (schema: Schema, prefix = ''): string[] =>
      Object.entries(resolve(schema).properties ?? {}).flatMap(([name, member]) =>
        resolve(member).type === 'object' ? membersOf(member, `${prefix}${name}.`) : [`${prefix}${name}`],
      );
    const targets: Target[] = Object.entries(document.paths).flatMap(([template, operations]) =>
      Object.entries(operations).map(([method, operation]) => {
        const { content } = (operation.requestBody ?? {}) as { content?: Record<string, { schema: Schema }> };
        const schema = content?.['application/json']?.schema;
        return { method: method.toUpperCase(), template, members: schema === undefined ? [] : membersOf(schema) };
      }),
    );
    assert.ok(targets.length >= 18);

    const account = await register(service());
    const token = account.tokens.access_token;
    const users = async (): Promise<string> => {
      if (service().databaseUrl === undefined) return '';
      const sql = `select (select count(*)::int from users) as users, (select count(*)::int from sessions) as sessions,
        (select count(*)::int from revocations) as revocations`;
      return JSON.stringify(await (await sharedPostgres()).query(sql, service().databaseUrl));
    };
    const before = await users();
    const seen = new Map<number, number>();

    const attack = fc.record({
      target: fc.constantFrom(...targets),
      values: fc.array(hostileValue, { minLength: 1, maxLength: 4 }),
      skipped: fc.integer({ min: -1, max: 4 }),
      broken: fc.option(brokenBody, { nil: undefined, freq: 4 }),
      path: fc.oneof(fc.constantFrom(...hostileTexts), fc.string({ unit: 'binary', maxLength: 60 })),
      query: fc.option(fc.webQueryParameters(), { nil: undefined }),
      bearer: fc.constantFrom('good', 'none', 'bad', 'odd'),
      type: fc.constantFrom(
        'application/json',
        'application/json',
        'application/json',
        'text/plain',
        'application/json;charset=x',
        '',
      ),
      extra: fc.constantFrom('', '', 'role', '__proto__', 'user.roles', 'id'),
    });
    await fc.assert(
      fc.asyncProperty(attack, async ({ target, values, skipped, broken, path, query, bearer, type, extra }) => {
        const place = encodeURIComponent(path.toWellFormed()).slice(0, 6_000) || '%20';
        const url = target.template.replaceAll(/\{[^}]+\}/g, place) + (query === undefined ? '' : `?${query}`);
        const takesBody = target.method !== 'GET';
        const body = bodyOf(target.members, values, skipped);
        if (extra !== '') body[extra] = values[0];
        // A caller whose rights are good would end the session by a body that is only slightly wrong.
        const isHarmless =
          !/logout|revoke-all/.test(target.template) && `${target.method} ${target.template}` !== 'DELETE /api/auth/me';
        // A name may be whatever text it is.
        const mayBeDone = target.method === 'GET' || target.method === 'PATCH';
        const headers: Record<string, string> = { 'Content-Type': type };
        if (bearer === 'good' && isHarmless) headers['Authorization'] = `Bearer ${token}`;
        if (bearer === 'bad') headers['Authorization'] = 'Bearer eyJhbGciOiJub25lIn0.e30.';
        if (bearer === 'odd') headers['Authorization'] = 'Negotiate \u00ff';
        const raw = broken ?? JSON.stringify(body);
        const answer = await api.send(target.method, url, undefined, { headers, ...(takesBody ? { raw } : {}) });
        seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
        // Options of a ceremony, and a secret that is not confirmed, are handed to whoever asks, and change nothing that lasts.
        const isOpen =
          !target.template.startsWith('/api/') || /\/(validate-token|options|mfa\/totp)$/.test(target.template);
        if (answer.status === 200 && !isOpen) assert.ok(mayBeDone && bearer === 'good', `${target.method} ${url}`);
        assert.ok(answer.status < 500, `${target.method} ${url} ${raw}: ${answer.text}`);
      }),
      { numRuns: 1_500 },
    );
    for (const status of [400, 401, 404, 415, 422])
      assert.ok((seen.get(status) ?? 0) > 10, `${status}: ${JSON.stringify([...seen])}`);

    assert.equal(await users(), before);
    assert.equal(await worth(service(), token), 'valid');
    assert.equal(meOf(await me(service(), token)).user.email, account.email);
    assert.equal(sessionsOf(await api.get('/api/auth/sessions', { token })).length, 1);
    tokensOf(await refresh(service(), account.tokens.refresh_token));
    tokensOf(await login(service(), account));
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });
});
