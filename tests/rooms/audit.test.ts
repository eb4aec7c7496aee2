import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAudit } from '../../packages/server/src/audit/index.ts';
import type { Database } from '../../packages/server/src/platform/database/index.ts';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin, register } from './rooms.ts';

const event = { type: 'test.event', actor: 'a', target: 'b', outcome: 'success' } as const;

forEachStore('the audit log', (makeDatabase) => {
  test('LOG-03 an event stands exactly when its transaction stands', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    await db.transaction((tx) => core.audit.append(tx, origin, event));
    await assert.rejects(
      db.transaction(async (tx) => {
        await core.audit.append(tx, origin, event);
        throw new Error('rolled back');
      }),
    );
    assert.equal((await core.audit.list({}, { limit: 10 })).events.length, 1);
    await stop();
  });

  test('events that many sealers seal at once form one whole chain', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        await core.audit.append(db, origin, { ...event, detail: { index, nested: { z: 1, a: [null, true] } } });
        if (index % 5 === 0) await core.audit.seal();
      }),
    );
    assert.deepEqual(await core.audit.verify(), { valid: true, checked: 60, first_invalid: null });
    await stop();
  });

  test('LOG-04 DOS-06 however many verify the log at once, it is walked twice at the most, and after who asked last', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    let walks = 0;
    const counted: Pick<Database, 'run' | 'transaction'> = {
      run(what, params) {
        walks += what.name === 'audit_list_sealed' ? 1 : 0;
        return db.run(what, params);
      },
      transaction: (work) => db.transaction(work),
    };
    const audit = createAudit({ db: counted as Database, clock: systemClock, random: systemRandom, root: core.root });
    await audit.append(db, origin, event);
    const first = audit.verify();
    await new Promise((resolve) => setImmediate(resolve));
    await audit.append(db, origin, event);
    const others = await Promise.all(Array.from({ length: 20 }, () => audit.verify()));
    assert.equal((await first).valid, true);
    for (const { valid, checked } of others) assert.deepEqual([valid, checked], [true, 2]);
    assert.equal(walks, 2);
    assert.equal((await audit.verify()).checked, 2);
    await stop();
  });

  test('the log refuses to be changed', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    await core.audit.append(db, origin, event);
    await core.audit.seal();
    for (const table of ['audit_events', 'audit_seals']) {
      await assert.rejects(db.execute(`delete from ${table}`));
      await assert.rejects(db.execute(`truncate ${table}`));
    }
    await assert.rejects(db.execute(`update audit_events set actor = 'x'`));
    assert.equal((await core.audit.verify()).valid, true);
    await stop();
  });

  const tampering = [
    [
      'a changed event',
      `update audit_events set actor = 'mallory' where id = (select event_id from audit_seals where seq = 3)`,
      3,
      'content',
    ],
    [
      'a removed event',
      'delete from audit_events where id = (select event_id from audit_seals where seq = 3)',
      3,
      'event is missing',
    ],
    ['a removed seal', 'delete from audit_seals where seq = 3', 4, 'row 3 is missing'],
    ['a changed hash', `update audit_seals set hash = repeat('0', 64) where seq = 3`, 3, 'content'],
    [
      'two exchanged rows',
      `update audit_seals set event_id = case seq when 3 then (select event_id from audit_seals where seq = 4)
         else (select event_id from audit_seals where seq = 3) end where seq in (3, 4)`,
      3,
      'content',
    ],
  ] as const;
  for (const [what, sql, seq, reason] of tampering) {
    test(`LOG-04 verify names the first broken row: ${what}`, async () => {
      const db = await makeDatabase();
      const { core, stop } = await openRooms(db);
      for (let index = 0; index < 6; index += 1) await core.audit.append(db, origin, event);
      await core.audit.seal();
      // What somebody with the owner's rights can do.
      await db.execute(`alter table audit_events disable trigger user; alter table audit_seals disable trigger user`);
      await db.execute(`alter table audit_seals drop constraint audit_seals_event_id_key`);
      await db.execute(sql);
      const result = await core.audit.verify();
      assert.equal(result.valid, false);
      assert.equal(result.first_invalid?.seq, seq);
      assert.match(result.first_invalid?.reason ?? '', new RegExp(reason));
      await stop();
    });
  }

  test('LOG-04 a seal that was cut off the end is missed', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db);
    for (let index = 0; index < 3; index += 1) await core.audit.append(db, origin, event);
    await core.audit.seal();
    await db.execute('alter table audit_seals disable trigger user; delete from audit_seals where seq = 3');
    const result = await core.audit.verify();
    assert.equal(result.valid, false);
    assert.match(result.first_invalid?.reason ?? '', /rows 3 to 3 were cut off its end/);
    await stop();
  });

  test('LOG-02 registration, failed and good login, logout, and revocation of all leave one event each', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { name: 'a' });
    const user = await register(core);
    await core.login({ email: user.email, password: 'wrong password', deviceToken: undefined, origin });
    await core.login({ email: user.email, password: 'correct horse battery', deviceToken: undefined, origin });
    await core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    await core.revokeAll(user.user.id, { keep: null, reason: 'logout_all', actor: user.user.id, origin });
    const { events } = await core.audit.list({}, { limit: 20 });
    assert.deepEqual(events.map((one) => `${one.type}/${one.outcome}`).toReversed(), [
      'user.registered/success',
      'authn_login/failure',
      'authn_login/success',
      'session.logout/success',
      'session.revoked_all/success',
    ]);
    assert.ok(events.every((one) => one.ip === origin.ip && one.request_id === origin.requestId));
    await stop();
  });
});
