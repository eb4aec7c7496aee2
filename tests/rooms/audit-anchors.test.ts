/** The anchors of the audit log: what somebody who can write the database, and has not the root secret, can not do unseen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Audit, createAudit, readAnchor } from '../../packages/server/src/audit/index.ts';
import type { Core } from '../../packages/server/src/core.ts';
import { createRootSecret } from '../../packages/server/src/keys/index.ts';
import type { Database } from '../../packages/server/src/platform/database/index.ts';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { createManualClock, systemClock } from '../../packages/server/src/platform/time/index.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin } from './rooms.ts';

const event = { type: 'test.event', actor: 'a', target: 'b', outcome: 'success' } as const;
const dayMs = 86_400_000;
const free = async (): Promise<void> => undefined;
/** What the owner of the tables can do. */
const unlock = 'alter table audit_events disable trigger user; alter table audit_seals disable trigger user;';
const cutTail = (from: number): string => `${unlock}
  delete from audit_events where id in (select event_id from audit_seals where seq >= ${from});
  delete from audit_seals where seq >= ${from};`;

async function write(core: Pick<Core, 'audit' | 'db'>, events: number): Promise<void> {
  for (let index = 0; index < events; index += 1)
    await core.audit.append(core.db, origin, { ...event, detail: { index } });
  await core.audit.seal();
}

async function reasonOf(core: Pick<Core, 'audit'>, kept: readonly string[] = []): Promise<string> {
  const anchors = kept.map(readAnchor).filter((anchor) => anchor !== undefined);
  assert.equal(anchors.length, kept.length);
  return (await core.audit.verify(undefined, anchors)).first_invalid?.reason ?? 'valid';
}

async function opened(db: Database) {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  return { clock, ...(await openRooms(db, { clock })) };
}

const auditUnder = (db: Database, current: string, previous?: string): Audit =>
  createAudit({
    db,
    clock: systemClock,
    random: systemRandom,
    root: createRootSecret({ current, previous, random: systemRandom }),
  });

forEachStore('the anchors of the audit log', (makeDatabase) => {
  test('LOG-04 a tail that was cut with its events shows, and goes on showing when events follow', async () => {
    const db = await makeDatabase();
    const { core, stop } = await opened(db);
    await write(core, 6);
    assert.equal(await reasonOf(core), 'valid');
    await db.execute(cutTail(5));
    assert.match(await reasonOf(core), /rows 5 to 6 were cut off its end/);
    await write(core, 4);
    assert.match(await reasonOf(core), /written anew/);
    await stop();
  });

  test('LOG-04 a log that was written anew from some row on does not pass, and no anchor can be made for it', async () => {
    const db = await makeDatabase();
    const { core, stop } = await opened(db);
    const forger = auditUnder(db, 'another-root-secret-of-somebody-9c5e1d');
    await write(core, 4);
    await db.execute(cutTail(3));
    await db.execute('delete from audit_anchors');
    // The forger has our code and every right, and another secret.
    await write({ db, audit: forger }, 5);
    assert.match(await reasonOf(core), /anchor of its end is not of this root secret/);
    await write(core, 1);
    assert.match(
      await reasonOf(core),
      /anchor of its end is not of this root secret/,
      'no seal of ours vouches for it',
    );
    await stop();
  });

  test('LOG-04 an older anchor brought back with the older log shows to who saw more, and beside an anchor kept elsewhere', async () => {
    const db = await makeDatabase();
    const { core, stop } = await opened(db);
    await write(core, 3);
    await db.execute('create table stolen as select * from audit_anchors');
    await write(core, 3);
    assert.equal((await core.audit.watch()).kind, 'whole');
    const kept = JSON.stringify(await core.audit.head());
    const line = JSON.stringify({ level: 'info', audit_anchor: JSON.parse(kept), msg: 'the end of the audit log' });
    assert.equal(await reasonOf(core, [kept, line]), 'valid');
    await db.execute(cutTail(4));
    await db.execute('delete from audit_anchors; insert into audit_anchors select * from stolen; drop table stolen');
    assert.equal(await reasonOf(core), 'valid', 'the database alone cannot tell');
    assert.deepEqual(await core.audit.watch(), {
      kind: 'lost',
      seq: 6,
      reason: 'a row that was there before is gone or another',
    });
    assert.match(await reasonOf(core, [line]), /rows 4 to 6 were cut off its end/);
    const forged = JSON.stringify({ ...JSON.parse(kept), seq: 3 });
    assert.match(await reasonOf(core, [forged]), /kept elsewhere is not of this root secret/);
    await stop();
  });

  test('the anchor of a root secret that was replaced holds while it is known, and is renewed', async () => {
    const db = await makeDatabase();
    const [old, next] = ['a-root-secret-of-the-tests-7f3a9c5e1d42', 'the-next-root-secret-of-the-tests-1d42'];
    const [before, during, after] = [auditUnder(db, old), auditUnder(db, next, old), auditUnder(db, next)];
    await write({ db, audit: before }, 3);
    assert.equal(await reasonOf({ audit: during }), 'valid');
    assert.match(await reasonOf({ audit: after }), /not of this root secret/);
    await during.retain(0, free);
    assert.equal(await reasonOf({ audit: after }), 'valid');
  });

  test('retention cuts what is older off the beginning, says so, and the rest is whole', async () => {
    const db = await makeDatabase();
    const { core, clock, stop } = await opened(db);
    await write(core, 2_300);
    clock.advance(2 * dayMs);
    await write(core, 5);
    clock.advance(dayMs);
    assert.equal(await core.audit.retain(0, free), 0, 'without a limit nothing goes');
    assert.equal(await core.audit.retain(30, free), 0);
    assert.equal(await core.audit.retain(2, free), 2_300);
    assert.equal(await core.audit.retain(2, free), 0);
    const { events } = await core.audit.list({}, { limit: 100 });
    assert.deepEqual(
      events.map(({ type }) => type),
      ['audit.cut', 'audit.cut', ...Array.from({ length: 5 }, () => 'test.event')],
    );
    const cuts = events.filter(({ type }) => type === 'audit.cut').map(({ detail }) => [detail['from'], detail['to']]);
    assert.deepEqual(cuts, [
      [2_001, 2_300],
      [1, 2_000],
    ]);
    assert.deepEqual(await core.audit.verify(), { valid: true, checked: 7, first_invalid: null });
    clock.advance(30 * dayMs);
    await core.audit.retain(1, free);
    await core.audit.retain(1, free);
    await write(core, 1);
    const { valid, checked } = await core.audit.verify();
    assert.ok(valid && checked >= 2, 'the newest link stays, and the chain goes on from it');
    await stop();
  });

  test('LOG-04 only what the anchor of a cut covers may go, and only the root secret makes such an anchor', async () => {
    const db = await makeDatabase();
    const { core, clock, stop } = await opened(db);
    await write(core, 6);
    for (const table of ['audit_events', 'audit_seals']) {
      await assert.rejects(db.execute(`delete from ${table}`), /append-only/);
      await assert.rejects(db.execute(`truncate ${table}`));
    }
    // A cut by hand, without the secret: the triggers let it, the walk does not.
    await db.execute(`insert into audit_anchors select 'cut', seq, hash, now(), '\\x00' from audit_seals where seq = 3;
      delete from audit_events where id in (select event_id from audit_seals where seq <= 3);
      delete from audit_seals where seq <= 3`);
    await assert.rejects(db.execute('delete from audit_events'), /append-only/);
    await assert.rejects(db.execute('delete from audit_seals'), /append-only/);
    assert.match(await reasonOf(core), /its beginning was cut, and not by this service/);
    clock.advance(9 * dayMs);
    assert.equal(await core.audit.retain(1, free), 0, 'and nothing is cut on top of it');
    await stop();
  });

  test('what does not hold together is not cut away', async () => {
    const db = await makeDatabase();
    const { core, clock, stop } = await opened(db);
    await write(core, 6);
    await db.execute(
      `${unlock} update audit_events set actor = 'mallory' where id = (select event_id from audit_seals where seq = 3)`,
    );
    await db.execute('alter table audit_events enable trigger user; alter table audit_seals enable trigger user');
    clock.advance(9 * dayMs);
    assert.equal(await core.audit.retain(1, free), 2);
    assert.equal(await core.audit.retain(1, free), 0);
    assert.match(await reasonOf(core), /content was changed/);
    await stop();
  });

  test('an export has every event once, in the order of the chain, by the same filters as the list', async () => {
    const { core, stop } = await opened(await makeDatabase());
    await write(core, 2_100);
    await core.audit.append(core.db, origin, { ...event, actor: 'other' });
    const all: number[] = [];
    for await (const row of core.audit.export({})) all.push(row.seq);
    assert.deepEqual(
      all,
      Array.from({ length: 2_101 }, (_, at) => at + 1),
    );
    const others: (string | null)[] = [];
    for await (const row of core.audit.export({ actor: 'other' })) others.push(row.actor);
    assert.deepEqual(others, ['other']);
    await stop();
  });
});
