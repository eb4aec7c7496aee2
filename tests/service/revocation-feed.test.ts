/** The revocation feed through HTTP: who may follow it, by polling and by events, on one node and on two. */
import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type Answer, assertProblem, receiptOf, tokensOf } from '../support/http.ts';
import { type RunningService, randomSecret, sharedPostgres, startService } from '../support/service.ts';
import { besideOthers } from '../support/slack.ts';
import {
  assertQuiet,
  login,
  logout,
  metricsOf,
  newEmail,
  newPassword,
  onEachStore,
  register,
} from './support/suite.ts';

const admin = { email: newEmail('admin'), password: newPassword() };
const env = {
  BOOTSTRAP_ADMIN_EMAIL: admin.email,
  BOOTSTRAP_ADMIN_PASSWORD: admin.password,
  RATE_LIMIT_ENABLED: 'false',
};
const path = '/api/auth/revocations/feed';

interface Entry {
  readonly kind: string;
  readonly subject: string;
  readonly min_epoch: number;
  readonly expires_at: number;
}

interface Body {
  readonly full_set?: readonly Entry[];
  readonly diff_set?: readonly Entry[];
  readonly cursor: string;
  readonly more: boolean;
  readonly age_ms: number;
}

async function makeKey(
  service: RunningService,
  permissions: readonly string[],
): Promise<{ id: string; secret: string }> {
  const token = tokensOf(await login(service, admin)).access_token;
  const answer = await service.api.post('/api/admin/api-keys', { name: 'feed', permissions }, { token });
  assert.equal(answer.status, 201, answer.text);
  const { api_key: key, secret } = answer.body as { api_key: { id: string }; secret: string };
  service.secrets.add(secret);
  return { id: key.id, secret };
}

function bodyOf(answer: Answer): Body {
  assert.equal(answer.status, 200, answer.text);
  return answer.body as Body;
}

const ask = async (service: RunningService, token: string, query = ''): Promise<Body> =>
  bodyOf(await service.api.get(`${path}${query}`, { token }));

interface Event {
  readonly id: string | undefined;
  readonly name: string;
  readonly data: Body;
}

/** An `EventSource` with a header, as small as it can be. */
async function follow(service: RunningService, token: string, lastId?: string) {
  const events: Event[] = [];
  let text = '';
  let isOver = false;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = {
      Authorization: `Bearer ${token}`,
      Accept: 'text/event-stream',
      ...(lastId === undefined ? {} : { 'Last-Event-ID': lastId }),
    };
    get(`${service.api.url}${path}`, { headers }, resolve).once('error', reject);
  });
  response.setEncoding('utf8');
  response.on('data', (part: string) => {
    text += part;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      const data = field('data');
      if (data !== undefined)
        events.push({ id: field('id'), name: field('event') ?? '', data: JSON.parse(data) as Body });
    }
  });
  for (const end of ['end', 'error', 'close']) response.on(end, () => (isOver = true));
  return { response, events, isOver: () => isOver, close: () => response.destroy() };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; !(await holds()); round += 1) {
    assert.ok(round < 1_200, what);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Random ids and times, and nothing else. */
function assertEntries(entries: readonly Entry[]): void {
  for (const entry of entries) {
    const members = Object.keys(entry).toSorted((one, other) => (one < other ? -1 : 1));
    assert.deepEqual(members, ['expires_at', 'kind', 'min_epoch', 'subject']);
    assert.match(entry.subject, /^[0-9a-f-]{36}$/);
  }
}

const tells = (events: readonly Event[], subject: string): boolean =>
  events.some(({ data }) =>
    [...(data.full_set ?? []), ...(data.diff_set ?? [])].some((one) => one.subject === subject),
  );

async function loggedOut(service: RunningService): Promise<string> {
  const { tokens } = await register(service);
  receiptOf(await logout(service, tokens.access_token));
  return tokens.session_id;
}

onEachStore(
  'the revocation feed',
  (service) => {
    test('DOS-08 wants a token or a key with revocations:read, also for events', async () => {
      const { tokens } = await register(service());
      const { secret } = await makeKey(service(), ['users:read']);
      for (const headers of [{}, { Accept: 'text/event-stream' }]) {
        assertProblem(await service().api.get(path, { headers }), 401, 'missing_token');
        for (const token of [tokens.access_token, secret]) {
          assertProblem(await service().api.get(path, { token, headers }), 403, 'insufficient_permissions');
        }
      }
    });

    test('a poll tells everything first, then what came since, and nothing about people', async () => {
      const { secret } = await makeKey(service(), ['revocations:read']);
      const early = await loggedOut(service());
      const first = await ask(service(), secret);
      assert.ok(first.full_set?.some((entry) => entry.kind === 'session' && entry.subject === early));
      assert.equal(first.more, false);
      assertEntries(first.full_set ?? []);
      const waiting = ask(service(), secret, `?cursor=${first.cursor}&wait=20`);
      const late = await loggedOut(service());
      const told = [...((await waiting).diff_set ?? [])];
      for (let { cursor } = await waiting; !told.some((entry) => entry.subject === late); ) {
        const next = await ask(service(), secret, `?cursor=${cursor}&wait=20`);
        told.push(...(next.diff_set ?? []));
        cursor = next.cursor;
      }
      assert.equal(
        told.some((entry) => entry.subject === early),
        false,
        'what was told is not told again',
      );
      const wrong = await service().api.get(`${path}?cursor=${first.cursor.slice(1)}`, { token: secret });
      assertProblem(wrong, 422, 'validation_failed');
      assertProblem(await service().api.get(`${path}?wait=31`, { token: secret }), 422, 'validation_failed');
    });

    test('events tell the same, come with a beat of their own, and go on where a client was', async () => {
      const { secret } = await makeKey(service(), ['revocations:read']);
      const early = await loggedOut(service());
      const first = await follow(service(), secret);
      assert.equal(first.response.statusCode, 200);
      assert.match(first.response.headers['content-type'] ?? '', /^text\/event-stream/);
      assert.equal(first.response.headers['cache-control'], 'no-store');
      await until('what was before is told', () => tells(first.events, early));
      const late = await loggedOut(service());
      await until('what comes is told', () => tells(first.events, late));
      await until('it is told with a cursor', () =>
        tells(
          first.events.filter(({ id }) => id !== undefined),
          late,
        ),
      );
      const seen = first.events.length;
      await until('a beat without news', () =>
        first.events.slice(seen).some(({ data }) => data.diff_set?.length === 0),
      );
      for (const { data } of first.events) assertEntries([...(data.full_set ?? []), ...(data.diff_set ?? [])]);
      const lastId = first.events.findLast(({ id }) => id !== undefined)?.id ?? '';
      first.close();
      const missed = await loggedOut(service());
      const second = await follow(service(), secret, lastId);
      await until('what came meanwhile is told', () => tells(second.events, missed));
      assert.equal(tells(second.events, early), false);
      assert.equal(
        second.events.some(({ data }) => data.full_set !== undefined),
        false,
      );
      second.close();
      await until('nobody listens any more', async () => {
        return (await metricsOf(service())).sum('auth_revocation_feed_listeners') === 0;
      });
    });

    test('a stream ends when its key is revoked', async () => {
      const { id, secret } = await makeKey(service(), ['revocations:read']);
      const stream = await follow(service(), secret);
      await until('it has begun', () => stream.events.length > 0);
      const token = tokensOf(await login(service(), admin)).access_token;
      receiptOf(await service().api.delete(`/api/admin/api-keys/${id}`, { token }));
      await until('it has ended', stream.isOver);
      assertProblem(await service().api.get(path, { token: secret }), 401, 'token_revoked');
    });

    test('a service that stops ends its streams, and does not wait for them', async () => {
      const { secret } = await makeKey(service(), ['revocations:read']);
      const stream = await follow(service(), secret);
      await until('it has begun', () => stream.events.length > 0);
      const { cursor } = await ask(service(), secret);
      const waiting = ask(service(), secret, `?cursor=${cursor}&wait=30`);
      await until('it waits', async () => (await metricsOf(service())).sum('auth_revocation_feed_listeners') === 2);
      const began = Date.now();
      assert.equal(await service().halt(), 0, service().logs().slice(-3_000));
      assert.ok(stream.isOver());
      assert.equal((await waiting).more, false);
      assert.ok(Date.now() - began < besideOthers(9_000), 'sooner than what is cut off at the end');
    });
  },
  { env },
);

describe('the revocation feed of two nodes', () => {
  let a: RunningService;
  let b: RunningService;
  before(async () => {
    const databaseUrl = await (await sharedPostgres()).createDatabase();
    const shared = { ...env, JWT_SECRET: randomSecret(), PUBLIC_URL: 'http://auth.example.org' };
    a = await startService({ store: 'postgres', databaseUrl, env: { ...shared, NODE_NAME: 'a' } });
    b = await startService({ store: 'postgres', databaseUrl, env: { ...shared, NODE_NAME: 'b' } });
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
  });

  test('a follower that changes nodes with each question misses nothing', async () => {
    const { secret } = await makeKey(a, ['revocations:read']);
    const known = new Set<string>();
    let { cursor } = await ask(a, secret);
    for (let round = 0; round < 20; round += 1) {
      const [here, there] = round % 2 === 0 ? [a, b] : [b, a];
      const subject = await loggedOut(here);
      for (let questions = 0; !known.has(subject); questions += 1) {
        assert.ok(questions < 40, 'it is told');
        const answer = await ask(questions % 2 === 0 ? there : here, secret, `?cursor=${cursor}&wait=1`);
        assert.equal(answer.full_set, undefined);
        for (const entry of answer.diff_set ?? []) known.add(entry.subject);
        cursor = answer.cursor;
      }
    }
    for (const service of [a, b]) assertQuiet(service);
  });

  test('AZ-08 a key that was made on one node opens the other at once, and neither once it is revoked', async () => {
    for (let round = 0; round < 10; round += 1) {
      const [here, there] = round % 2 === 0 ? [a, b] : [b, a];
      const { id, secret } = await makeKey(here, ['revocations:read']);
      await ask(there, secret);
      const token = tokensOf(await login(there, admin)).access_token;
      const receipt = receiptOf(await there.api.delete(`/api/admin/api-keys/${id}`, { token }));
      assert.equal(receipt.effective_everywhere, true);
      for (const service of [here, there]) {
        assertProblem(await service.api.get(path, { token: secret }), 401, 'token_revoked');
      }
    }
  });
});
