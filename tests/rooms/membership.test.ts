import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createMembership, type LinkState } from '../../packages/server/src/cluster/index.ts';
import { type Database, DatabaseUnavailable, statement } from '../../packages/server/src/platform/database/index.ts';
import { createManualClock } from '../../packages/server/src/platform/time/index.ts';
import { forEachStore } from '../support/stores.ts';

const insertNode = statement<[string, string, number], never>(
  'test_membership_insert',
  `insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until)
   values ($1, $2, 'test', now(), clock_timestamp() - $3::float8 * interval '1 second', now() + interval '1 hour')`,
);
const deleteNode = statement<[string], never>('test_membership_delete', 'delete from cluster_nodes where name = $1');

async function addNode(db: Database, name: string, silentSeconds = 0): Promise<string> {
  const incarnation = randomUUID();
  await db.run(insertNode, [incarnation, name, silentSeconds]);
  return incarnation;
}

forEachStore('membership', (makeDatabase) => {
  async function open() {
    const inner = await makeDatabase();
    let away = false;
    const db = new Proxy(inner, {
      get(target, name) {
        if (name === 'run' && away) return () => Promise.reject(new DatabaseUnavailable('away'));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const clock = createManualClock();
    const links = new Map<string, LinkState>();
    const self = await addNode(inner, 'self');
    const membership = createMembership({ db, clock, self, links: () => links });
    const statuses = async () =>
      Object.fromEntries((await membership.read()).map((member) => [member.name, member.status]));
    return {
      db: inner,
      clock,
      links,
      statuses,
      setAway(now: boolean) {
        away = now;
      },
    };
  }

  test('what the table tells is joined with what links see', async () => {
    const { db, links, statuses } = await open();
    await addNode(db, 'silent', 3);
    await addNode(db, 'dead', 5);
    links.set(await addNode(db, 'cut'), 'lost');
    links.set(await addNode(db, 'linked'), 'up');
    assert.deepEqual(await statuses(), { self: 'up', silent: 'suspect', dead: 'down', cut: 'suspect', linked: 'up' });
  });

  test('a node that left in good order is down for a minute, and not when it is back', async () => {
    const { db, clock, statuses } = await open();
    for (const name of ['goes', 'returns']) await addNode(db, name);
    assert.deepEqual(await statuses(), { self: 'up', goes: 'up', returns: 'up' });
    for (const name of ['goes', 'returns']) await db.run(deleteNode, [name]);
    assert.deepEqual(await statuses(), { self: 'up', goes: 'down', returns: 'down' });
    await addNode(db, 'returns');
    assert.deepEqual(await statuses(), { self: 'up', goes: 'down', returns: 'up' });
    clock.advance(61_000);
    assert.deepEqual(await statuses(), { self: 'up', returns: 'up' });
  });

  test('while the database is away the latest look is answered, and nobody is told dead by it', async () => {
    const { db, clock, links, statuses, setAway } = await open();
    links.set(await addNode(db, 'linked'), 'up');
    await addNode(db, 'other');
    await addNode(db, 'dead', 5);
    await statuses();
    setAway(true);
    assert.deepEqual(await statuses(), { self: 'up', linked: 'up', other: 'up', dead: 'down' });
    clock.advance(60_000);
    assert.deepEqual(await statuses(), { self: 'up', linked: 'up', other: 'suspect', dead: 'down' });
    setAway(false);
    assert.deepEqual(await statuses(), { self: 'up', linked: 'up', other: 'up', dead: 'down' });
  });
});
