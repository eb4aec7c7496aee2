/**
 * The matrix of docs/guarantees.md, walked: every event of its table is brought about on an account that holds every artefact
 * of its head, and every cell is asked of every node. The table is the expectation; a row or a column that is not walked fails.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { tokensOf } from '../support/http.ts';
import { type RunningService, randomSecret, type StoreKind, sharedPostgres, startService } from '../support/service.ts';
import { startSmtp } from '../support/smtp.ts';
import { artefacts, createHolder, fateOf, heldPermissions, heldRole, ok, type World } from './support/artefacts.ts';
import { events, sessionsMax } from './support/events.ts';
import { assertQuiet, login, newEmail, newPassword } from './support/suite.ts';

const document = readFileSync(new URL('../../docs/guarantees.md', import.meta.url), 'utf8');
const expected = readMatrix(document);

/** The one table whose head begins with "event". */
function readMatrix(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith('| event |'));
  assert.ok(at >= 0, 'docs/guarantees.md has the table of events');
  const cells = (line: string): string[] =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
  const [, ...columns] = cells(lines[at] ?? '');
  const rows = new Map<string, ReadonlyMap<string, string>>();
  for (const line of lines.slice(at + 2)) {
    if (!line.startsWith('|')) break;
    const [event = '', ...words] = cells(line);
    rows.set(event, new Map(columns.map((column, index) => [column, words[index] ?? ''])));
  }
  return rows;
}

test('REV-02 the table, the events and the artefacts are the same as those that are walked', () => {
  assert.deepEqual([...expected.keys()].sort(), Object.keys(events).sort());
  for (const [event, cells] of expected) assert.deepEqual([...cells.keys()], [...artefacts], event);
});

for (const [name, store, count] of [
  ['embedded', 'embedded', 1],
  ['two nodes, PostgreSQL', 'postgres', 2],
  ['two nodes, sessions in Redis', 'redis', 2],
] as const satisfies readonly (readonly [string, StoreKind, number])[]) {
  describe(`what ends with what (${name})`, () => {
    let world: World & { readonly stop: () => Promise<void> };
    before(async () => {
      world = await openWorld(store, count);
    });
    after(async () => {
      await world?.stop();
    });

    for (const [event, cells] of expected) {
      test(`REV-02 ${event}`, async () => {
        const holder = await createHolder(world);
        await events[event]?.(world, holder);
        const fates = await fateOf(world, holder);
        assert.deepEqual(Object.fromEntries(fates), Object.fromEntries(cells));
      });
    }

    test('LOG-01 no secret of the walk is in anything that the services wrote', () => {
      for (const node of world.nodes) assertQuiet(node);
    });
  });
}

async function openWorld(store: StoreKind, count: number): Promise<World & { readonly stop: () => Promise<void> }> {
  const smtp = await startSmtp();
  const databaseUrl = store === 'embedded' ? undefined : await (await sharedPostgres()).createDatabase();
  const [email, password] = [newEmail('admin'), newPassword()];
  const common = {
    PUBLIC_URL: 'http://localhost:4000',
    JWT_SECRET: randomSecret(),
    SMTP_URL: smtp.url,
    MAIL_FROM: 'auth@example.org',
    MAX_SESSIONS_PER_USER: String(sessionsMax),
    BOOTSTRAP_ADMIN_EMAIL: email,
    BOOTSTRAP_ADMIN_PASSWORD: password,
    ...(store === 'redis' ? { REDIS_PREFIX: `matrix${process.pid}:` } : {}),
    ...(count === 1 ? {} : { ENABLE_CLUSTERING: 'true', CLUSTER_SECRET: randomSecret(), CLUSTER_PORT: '0' }),
  };
  const open = (NODE_NAME: string) =>
    startService({ store, ...(databaseUrl === undefined ? {} : { databaseUrl }), env: { ...common, NODE_NAME } });
  const nodes: RunningService[] = [];
  for (let at = 0; at < count; at += 1) nodes.push(await open(`n${at}`));
  const [first] = nodes;
  assert.ok(first !== undefined);
  const administrator = async (): Promise<string> => tokensOf(await login(first, { email, password })).access_token;
  const token = await administrator();
  const role = { name: heldRole, permissions: heldPermissions };
  await ok(first.api.post('/api/admin/roles', role, { token }), 201);
  return {
    nodes,
    smtp,
    account: { email, password },
    administrator,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
      await smtp.stop();
    },
  };
}
