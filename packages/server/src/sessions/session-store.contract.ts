/** The suite that each session store passes. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { insertUser, updateUserEpoch, updateUserStatus } from '../accounts/index.ts';
import type { Database, Queryable } from '../platform/database/index.ts';
import { systemRandom } from '../platform/random/index.ts';
import type { IssuedSession, Presented, Rotation, SessionLimits, SessionStore } from './session-store.ts';

export interface StoreUnderTest {
  readonly store: SessionStore;
  /** With the current schema; the tests may share it. */
  readonly db: Database;
}

const usual: SessionLimits = { idleTtlSeconds: 600, maxAgeSeconds: 3_600, maxPerUser: 100 };
const agent = 'Mozilla/5.0 (X11; Linux x86_64) "quoted" \\ \u00e9 %d %s\n second line';

export interface Played {
  readonly store: SessionStore;
  readonly db: Database;
  newUser(): Promise<string>;
  begin(userId: string): Promise<IssuedSession>;
  rotate(userId: string, id: string, counter: number): Promise<Rotation>;
  end(userId: string, id: string, named?: boolean): Promise<string | undefined>;
  /** Ends all but `keep`, as the use case does. */
  endAll(userId: string, keep: string | null): Promise<readonly string[]>;
}

export function play({ store, db }: StoreUnderTest): Played {
  const presented = (userId: string, sessionId: string, counter: number): Presented => ({ sessionId, userId, counter });
  return {
    store,
    db,
    async newUser() {
      const name = randomUUID();
      const user = await insertUser(db, {
        id: systemRandom.uuidv7(Date.now()),
        email: `${name}@example.org`,
        emailKey: `${name}@example.org`,
        emailVerified: false,
        passwordHash: null,
        firstName: 'Ada',
        lastName: null,
        roles: ['user'],
      });
      return user?.id ?? assert.fail();
    },
    begin: (userId) =>
      db.transaction(async (tx) => {
        const epoch = await currentEpoch(tx, userId);
        const made = await store.create(tx, {
          id: systemRandom.uuidv7(Date.now()),
          userId,
          sessionsEpoch: epoch,
          amr: ['pwd', 'otp'],
          acr: 'aal2',
          ip: '2001:db8::1',
          userAgent: agent,
        });
        return made.session;
      }),
    rotate: (userId, id, counter) => store.rotateRefresh(presented(userId, id, counter)),
    end: (userId, id, named = false) =>
      db.transaction(async (tx) => (await store.revoke(tx, userId, id, { named }))?.id),
    async endAll(userId, keep) {
      const ended = await db.transaction(async (tx) => {
        await updateUserEpoch(tx, userId, { tokens: keep === null, devices: true });
        return store.revokeAllByUser(tx, userId, keep);
      });
      return ended.map(({ id }) => id).toSorted();
    },
  };
}

async function currentEpoch(on: Queryable, userId: string): Promise<number> {
  const [row] = await on.run<[string], { sessions_epoch: number }>(
    { name: 'contract_find_epoch', text: 'select sessions_epoch from users where id = $1' },
    [userId],
  );
  return row?.sessions_epoch ?? assert.fail('no user');
}

const gone: Rotation = { kind: 'gone' };

export function sessionStoreContract(make: (limits: SessionLimits) => Promise<StoreUnderTest>): void {
  const open = async (limits: Partial<SessionLimits> = {}): Promise<Played> =>
    play(await make({ ...usual, ...limits }));

  const kinds = async (rotations: readonly Promise<Rotation>[]): Promise<readonly string[]> =>
    (await Promise.all(rotations)).map((rotation) =>
      rotation.kind === 'gone' ? 'gone' : `${rotation.kind} ${rotation.session.counter}`,
    );

  test('sessions of everybody are paged, newest first, each with its user, and none that has ended', async () => {
    const { store, db, begin, end, newUser } = await open();
    const users = [await newUser(), await newUser()] as const;
    const began: string[] = [];
    for (let at = 0; at < 6; at += 1) began.push((await begin(users[at % 2 === 0 ? 0 : 1])).id);
    const [gone = '', ...stay] = began;
    await end(users[0], gone);
    const seen: { id: string; user_id: string }[] = [];
    for (let before: string | undefined; ; ) {
      const page = await store.page(before, 2);
      assert.ok(page.sessions.length <= 2);
      seen.push(...page.sessions);
      if (page.last === null) break;
      before = page.last;
    }
    const ids = seen.map(({ id }) => id);
    assert.deepEqual(ids, [...new Set(ids)].toSorted().toReversed());
    assert.deepEqual(
      ids.filter((id) => began.includes(id)),
      stay.toReversed(),
    );
    assert.equal(seen.find(({ id }) => id === stay[0])?.user_id, users[1]);
    assert.equal(await store.ownerOf(db, stay[0] ?? ''), users[1]);
    for (const unknown of [gone, randomUUID()]) assert.equal(await store.ownerOf(db, unknown), undefined);
  });

  test('a session that began is found, listed and counted, with all that was said of it', async () => {
    const { store, begin, newUser } = await open();
    const user = await newUser();
    const counted = await store.count();
    const before = Date.now();
    const issued = await begin(user);
    assert.deepEqual([issued.counter, issued.amr, issued.acr], [0, ['pwd', 'otp'], 'aal2']);
    assert.ok(issued.refresh_expires_in > 590 && issued.refresh_expires_in <= 600);
    assert.ok(issued.ends_in > 3_590 && issued.ends_in <= 3_600);
    const found = (await store.find(user, issued.id)) ?? assert.fail();
    assert.deepEqual(
      [found.id, found.ip, found.user_agent, found.amr],
      [issued.id, '2001:db8::1', agent, ['pwd', 'otp']],
    );
    for (const at of [found.created_at, found.last_seen_at, issued.auth_time]) {
      assert.ok(Math.abs(at.getTime() - before) < 30_000);
    }
    assert.ok(Math.abs(found.ends_at.getTime() - before - 600_000) < 30_000);
    const second = await begin(user);
    assert.deepEqual(
      (await store.listByUser(user, 10)).map(({ id }) => id),
      [second.id, issued.id],
    );
    assert.deepEqual(
      (await store.listByUser(user, 1)).map(({ id }) => id),
      [second.id],
    );
    assert.equal(await store.find(await newUser(), issued.id), undefined);
    assert.equal(await store.count(), counted + 2);
  });

  test('REF-03 a rotation moves on by one; what comes again is late and sees where the session stands', async () => {
    const { begin, newUser, rotate } = await open();
    const user = await newUser();
    const { id } = await begin(user);
    const first = await rotate(user, id, 0);
    assert.ok(first.kind === 'won');
    const { session } = first;
    assert.deepEqual([session.id, session.counter, session.user_id], [id, 1, user]);
    assert.deepEqual(
      [session.amr, session.acr, session.roles, session.first_name],
      [['pwd', 'otp'], 'aal2', ['user'], 'Ada'],
    );
    assert.ok(session.refresh_expires_in > 590 && session.ends_in > 3_590);
    const again = await rotate(user, id, 0);
    assert.ok(again.kind === 'late');
    assert.equal(again.session.counter, 1);
    assert.ok(again.rotatedMsAgo !== null && again.rotatedMsAgo >= 0 && again.rotatedMsAgo < 30_000);
    assert.deepEqual(await kinds([rotate(user, id, 1)]), ['won 2']);
    assert.deepEqual(await kinds([rotate(user, id, 0)]), ['late 2']);
  });

  test('REF-07 a token ahead of the session wins: the store has lost a rotation', async () => {
    const { begin, newUser, rotate } = await open();
    const user = await newUser();
    const { id } = await begin(user);
    assert.deepEqual(await kinds([rotate(user, id, 7)]), ['won 8']);
    assert.deepEqual(await kinds([rotate(user, id, 7)]), ['late 8']);
  });

  for (const parallel of [16, 64]) {
    test(`REF-04 of ${parallel} parallel rotations of one token one wins, and the others see its successor`, async () => {
      const { begin, newUser, rotate } = await open();
      const user = await newUser();
      const { id } = await begin(user);
      for (let counter = 0; counter < 3; counter += 1) {
        const answers = await kinds(Array.from({ length: parallel }, () => rotate(user, id, counter)));
        assert.equal(answers.filter((answer) => answer === `won ${counter + 1}`).length, 1);
        assert.equal(answers.filter((answer) => answer === `late ${counter + 1}`).length, parallel - 1);
      }
    });
  }

  test('REF-04 sessions of many users rotate at once, each by itself', async () => {
    const { begin, newUser, rotate } = await open();
    const users = await Promise.all(Array.from({ length: 60 }, newUser));
    const ids = await Promise.all(users.map(begin));
    for (let counter = 0; counter < 3; counter += 1) {
      const answers = await kinds(users.map((user, index) => rotate(user, ids[index]?.id ?? '', counter)));
      assert.deepEqual(new Set(answers), new Set([`won ${counter + 1}`]));
    }
  });

  test('a rotation of an unknown session is gone', async () => {
    const { newUser, rotate } = await open();
    assert.deepEqual(await rotate(await newUser(), randomUUID(), 0), gone);
    assert.deepEqual(await rotate(randomUUID(), randomUUID(), 0), gone);
  });

  test('REF-09 a user who is disabled or deleted does not go on, and one with other roles goes on with these', async () => {
    const { db, begin, newUser, rotate } = await open();
    const [disabled, deleted, changed] = [await newUser(), await newUser(), await newUser()];
    const ids = [await begin(disabled), await begin(deleted), await begin(changed)].map(({ id }) => id);
    await db.run({ name: 'contract_roles', text: `update users set roles = '{auditor}', epoch = 5 where id = $1` }, [
      changed,
    ]);
    const rotation = await rotate(changed, ids[2] ?? '', 0);
    assert.ok(rotation.kind === 'won');
    assert.deepEqual([rotation.session.roles, rotation.session.epoch], [['auditor'], 5]);
    await db.run({ name: 'contract_delete', text: 'delete from users where id = $1' }, [deleted]);
    assert.deepEqual(await rotate(deleted, ids[1] ?? '', 0), gone);
    await updateUserStatus(db, disabled, 'disabled');
    assert.deepEqual(await rotate(disabled, ids[0] ?? '', 0), gone);
  });

  test('REV-05 an ended session is dead with the commit, whether or not it is dropped; with a rollback it lives', async () => {
    const { store, db, begin, newUser, rotate, end } = await open();
    const user = await newUser();
    const [a, b, c] = [await begin(user), await begin(user), await begin(user)];
    const failing = db.transaction(async (tx) => {
      await store.revoke(tx, user, a.id, { named: true });
      throw new Error('rolled back');
    });
    await assert.rejects(failing, /rolled back/);
    assert.deepEqual(await kinds([rotate(user, a.id, 0)]), ['won 1']);
    assert.equal(await end(user, a.id, true), a.id);
    assert.equal(await end(user, b.id), b.id);
    for (const { id } of [a, b]) {
      assert.deepEqual(await rotate(user, id, 1), gone);
      assert.equal(await store.find(user, id), undefined);
      for (const named of [true, false]) assert.equal(await end(user, id, named), undefined);
    }
    assert.deepEqual(
      (await store.listByUser(user, 10)).map(({ id }) => id),
      [c.id],
    );
    await store.forget(user, [a.id, b.id]);
    assert.deepEqual(await kinds([rotate(user, c.id, 0)]), ['won 1']);
  });

  test('SES-03 an unknown session and one of somebody else are not ended, and look alike', async () => {
    const { begin, newUser, rotate, end } = await open();
    const [mine, theirs] = [await newUser(), await newUser()];
    const { id } = await begin(theirs);
    assert.equal(await end(mine, id), undefined);
    assert.equal(await end(mine, randomUUID()), undefined);
    assert.deepEqual(await kinds([rotate(theirs, id, 0)]), ['won 1']);
  });

  test('REF-05 a session is ended once for a token out of turn', async () => {
    const { store, db, begin, newUser, rotate } = await open();
    const user = await newUser();
    const { id } = await begin(user);
    await rotate(user, id, 0);
    await rotate(user, id, 1);
    const ends = Array.from({ length: 8 }, () => db.transaction((tx) => store.revokeReused(tx, user, id, 0)));
    const ended = (await Promise.all(ends)).filter((one) => one !== undefined);
    assert.equal(ended.length, 1);
    assert.deepEqual([ended[0]?.id, ended[0]?.user_id], [id, user]);
    assert.ok((ended[0]?.age_seconds ?? -1) >= 0 && (ended[0]?.age_seconds ?? 99) < 60);
    assert.deepEqual(await rotate(user, id, 2), gone);
  });

  test('all sessions end together, or all but one; a session that begins afterwards lives', async () => {
    const { store, begin, newUser, rotate, endAll } = await open();
    const [user, other] = [await newUser(), await newUser()];
    const bystander = await begin(other);
    const ids = [await begin(user), await begin(user), await begin(user)].map(({ id }) => id);
    const [kept = ''] = ids;
    assert.deepEqual(await endAll(user, kept), ids.slice(1).toSorted());
    assert.deepEqual(await kinds(ids.map((id) => rotate(user, id, 0))), ['won 1', 'gone', 'gone']);
    assert.deepEqual(await endAll(user, null), [kept]);
    assert.deepEqual(await rotate(user, kept, 1), gone);
    assert.deepEqual(await store.listByUser(user, 10), []);
    const later = await begin(user);
    assert.deepEqual(await kinds([rotate(user, later.id, 0), rotate(other, bystander.id, 0)]), ['won 1', 'won 1']);
    assert.deepEqual(
      (await store.listByUser(user, 10)).map(({ id }) => id),
      [later.id],
    );
  });

  test('a session that is ended from all sides at once is ended once, and nobody waits in a circle', async () => {
    const { begin, newUser, rotate, end, endAll } = await open();
    const user = await newUser();
    for (let turn = 0; turn < 5; turn += 1) {
      const sessions = await Promise.all(Array.from({ length: 8 }, () => begin(user)));
      const [kept = '', ...others] = sessions.map(({ id }) => id);
      const one = others.flatMap((id) => [end(user, id, true), end(user, id, false)]);
      const all = [endAll(user, kept), endAll(user, kept)];
      const ended = [...(await Promise.all(one)), ...(await Promise.all(all)).flat()].filter((id) => id !== undefined);
      assert.deepEqual(ended.toSorted(), others.toSorted());
      assert.deepEqual(await kinds([rotate(user, kept, 0)]), ['won 1']);
      assert.equal(await end(user, kept), kept);
    }
  });

  test('SES-05 above the limit the least recently used ones make room', async () => {
    const { store, db, begin, newUser, rotate } = await open({ maxPerUser: 3 });
    const user = await newUser();
    const [a, b, c] = [await begin(user), await begin(user), await begin(user)];
    await sleep(5);
    await rotate(user, a.id, 0);
    await store.touch([{ userId: user, id: b.id, ms: Date.now() + 1_000 }]);
    const epoch = await currentEpoch(db, user);
    const id = systemRandom.uuidv7(Date.now());
    const made = await db.transaction((tx) =>
      store.create(tx, {
        id,
        userId: user,
        sessionsEpoch: epoch,
        amr: ['pwd'],
        acr: 'aal1',
        ip: null,
        userAgent: null,
      }),
    );
    assert.deepEqual(
      made.overLimit.map((one) => [one.id, one.user_id]),
      [[c.id, user]],
    );
    assert.deepEqual(await kinds([rotate(user, c.id, 0), rotate(user, b.id, 0)]), ['gone', 'won 1']);
    const shown = new Set((await store.listByUser(user, 10)).map((one) => one.id));
    assert.deepEqual(shown, new Set([a.id, b.id, id]));
  });

  test('what a transaction began that failed can be dropped', async () => {
    const { store, db, newUser, rotate } = await open();
    const user = await newUser();
    const id = systemRandom.uuidv7(Date.now());
    const failing = db.transaction(async (tx) => {
      await store.create(tx, {
        id,
        userId: user,
        sessionsEpoch: 0,
        amr: ['pwd'],
        acr: 'aal1',
        ip: null,
        userAgent: null,
      });
      throw new Error('rolled back');
    });
    await assert.rejects(failing, /rolled back/);
    await store.forget(user, [id]);
    assert.deepEqual(await rotate(user, id, 0), gone);
    assert.deepEqual(await store.listByUser(user, 10), []);
  });

  test('the last use of a session only moves forward', async () => {
    const { store, begin, newUser } = await open();
    const user = await newUser();
    const { id } = await begin(user);
    const later = Date.now() + 5_000;
    await store.touch([{ userId: user, id, ms: later }]);
    await store.touch([
      { userId: user, id, ms: later - 60_000 },
      { userId: user, id: randomUUID(), ms: later },
    ]);
    assert.equal((await store.find(user, id))?.last_seen_at.getTime(), later);
    assert.equal((await store.listByUser(user, 10)).length, 1);
  });

  test('SES-04 a session ends for want of use, whatever was done with its access tokens', async () => {
    const { store, begin, newUser, rotate } = await open({ idleTtlSeconds: 1 });
    const user = await newUser();
    const [used, unused] = [await begin(user), await begin(user)];
    for (let turn = 0; turn < 3; turn += 1) {
      await sleep(450);
      assert.deepEqual(await kinds([rotate(user, used.id, turn)]), [`won ${turn + 1}`]);
      await store.touch([{ userId: user, id: unused.id, ms: Date.now() }]);
    }
    assert.deepEqual(await rotate(user, unused.id, 0), gone);
    assert.equal(await store.find(user, unused.id), undefined);
    assert.deepEqual(
      (await store.listByUser(user, 10)).map(({ id }) => id),
      [used.id],
    );
  });

  test('SES-04, REF-08 a session ends at its absolute end, however much it is used', async () => {
    const { begin, newUser, rotate } = await open({ maxAgeSeconds: 1 });
    const user = await newUser();
    const { id } = await begin(user);
    const end = Date.now() + 10_000;
    let counter = 0;
    for (;;) {
      const rotation = await rotate(user, id, counter);
      if (rotation.kind === 'gone') break;
      assert.ok(rotation.session.refresh_expires_in <= rotation.session.ends_in + 0.01);
      counter = rotation.session.counter;
      assert.ok(Date.now() < end, 'it should have ended');
      await sleep(50);
    }
    assert.ok(counter > 0);
  });

  test('SES-06 what has expired is removed', async () => {
    const { store, db, begin, newUser } = await open({ idleTtlSeconds: 1 });
    const user = await newUser();
    await begin(user);
    const { id } = await begin(user);
    await db.transaction((tx) => store.revoke(tx, user, id, { named: true }));
    await sleep(1_100);
    for (const table of ['ended_sessions', 'begun_sessions']) {
      const age = `update ${table} set expires_at = now() - interval '1 second' where user_id = $1`;
      await db.run({ name: `contract_age_${table}`, text: age }, [user]);
    }
    await store.sweepExpired(db);
    assert.deepEqual(await store.listByUser(user, 10), []);
    const tables = ['sessions', 'ended_sessions', 'begun_sessions'];
    const left = tables.map((table) => `(select count(*) from ${table} where user_id = $1)`).join(' + ');
    const [row] = await db.run<[string], { count: number }>(
      { name: 'contract_left', text: `select ${left} as count` },
      [user],
    );
    assert.equal(row?.count, 0);
  });
}
