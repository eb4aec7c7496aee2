import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProtectedHeader } from 'jose';
import { createKeySet } from '../../packages/guard/src/index.ts';
import type { Core } from '../../packages/server/src/core.ts';
import { createRootSecret, createSigningKeys, type KeyDescription } from '../../packages/server/src/keys/index.ts';
import type { Database } from '../../packages/server/src/platform/database/index.ts';
import { Overloaded } from '../../packages/server/src/platform/http/index.ts';
import { systemRandom } from '../../packages/server/src/platform/random/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import { forEachStore } from '../support/stores.ts';
import { login, openRooms, origin, register } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';

async function rotate(core: Core, immediately: boolean): Promise<KeyDescription> {
  const outcome = await core.keys.rotate({ immediately });
  assert.ok(outcome.kind === 'rotated', outcome.kind);
  return outcome.key;
}

forEachStore('signing keys', (makeDatabase) => {
  test('ten nodes that start at once on an empty store make one key', async () => {
    const db = await makeDatabase();
    const rooms = await Promise.all(Array.from({ length: 10 }, () => openRooms(db, { rootSecret })));
    const keys = await rooms[0]?.core.keys.list();
    assert.equal(keys?.length, 1);
    assert.equal(keys?.[0]?.state, 'active');
    for (const one of rooms) await one.stop();
  });

  test('KEY-02 a rotated key is published at once, signs later, and the old one goes on', async () => {
    const rooms = await openRooms(await makeDatabase(), { name: 'a' });
    const { core } = rooms;
    const [before] = await core.keys.list();
    const made = await rotate(core, false);
    assert.equal(made.state, 'pending');
    const published = JSON.parse(core.keys.jwks().body) as { keys: { kid: string; d?: string }[] };
    assert.deepEqual(new Set(published.keys.map((key) => key.kid)), new Set([before?.kid, made.kid]));
    assert.ok(published.keys.every((key) => key.d === undefined));
    assert.equal(core.keys.active().kid, before?.kid);
    await rooms.stop();
  });

  test('a rotation that was asked for at once signs with the new key, and old tokens stay valid', async () => {
    const rooms = await openRooms(await makeDatabase(), { name: 'a' });
    const { core } = rooms;
    const user = await register(core);
    const made = await rotate(core, true);
    const fresh = await login(core, user.email);
    assert.equal(decodeProtectedHeader(fresh.access_token).kid, made.kid);
    assert.ok(core.validate(user.access_token, {}) !== 'stale');
    assert.equal((core.validate(user.access_token, {}) as { valid: boolean }).valid, true);
    assert.equal((core.validate(fresh.access_token, {}) as { valid: boolean }).valid, true);
    await rooms.stop();
  });

  test('KEY-02 so many keys are published and no more by hand, also when asked at once, until one retires', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { name: 'a' });
    const asked = await Promise.all(Array.from({ length: 20 }, (_, at) => core.keys.rotate({ immediately: at === 0 })));
    const made = asked.flatMap((one) => (one.kind === 'rotated' ? [one.key] : []));
    const full = asked.flatMap((one) => (one.kind === 'full' ? [one] : []));
    assert.deepEqual([made.length, full.length], [15, 5], 'and the first one');
    const published = (): number => (JSON.parse(core.keys.jwks().body) as { keys: unknown[] }).keys.length;
    assert.equal(published(), 16);
    const listed = await core.keys.list();
    const firstEnd = listed.flatMap(({ retires_at: at }) => (at === null ? [] : [at])).toSorted()[0];
    assert.deepEqual(full[0], { kind: 'full', published: 16, freeAt: firstEnd });
    assert.ok(Date.parse(firstEnd ?? '') > Date.now());
    await db.execute(`update signing_keys set retires_at = clock_timestamp() where kid = '${listed.at(-1)?.kid}'`);
    assert.equal((await core.keys.rotate({ immediately: false })).kind, 'rotated');
    assert.equal((await core.keys.rotate({ immediately: false })).kind, 'full');
    const { kid } = core.keys.active();
    assert.ok(await core.keys.revoke(kid, async () => undefined), 'an emergency is not held up by it');
    assert.notEqual(core.keys.active().kid, kid);
    await stop();
  });

  test('KEY-04 a revoked key ends every token that it signed, refresh tokens go on under a new key', async () => {
    const rooms = await openRooms(await makeDatabase(), { name: 'a' });
    const { core } = rooms;
    const user = await register(core);
    const { kid } = core.keys.active();
    let pending: Awaited<ReturnType<typeof core.revocation.append>> = null;
    const done = await core.keys.revoke(kid, async (tx) => {
      pending = await core.revocation.append(tx, [{ kind: 'key', subject: kid, reason: 'compromised', actor: 'test' }]);
    });
    assert.ok(done);
    await core.revocation.settle(pending, 'test');
    assert.equal((core.validate(user.access_token, {}) as { valid: boolean }).valid, false);
    const refreshed = await core.refresh(user.refresh_token, origin);
    assert.equal(refreshed.kind, 'refreshed');
    if (refreshed.kind !== 'refreshed') return;
    assert.notEqual(decodeProtectedHeader(refreshed.answer.access_token).kid, kid);
    assert.equal((core.validate(refreshed.answer.access_token, {}) as { valid: boolean }).valid, true);
    assert.ok(!core.keys.jwks().body.includes(kid));
    assert.equal(await core.keys.revoke(kid, async () => undefined), false);
    await rooms.stop();
  });

  test('KEY-04 while no key signs yet, nothing is changed for an answer that cannot be given: 503, and then it goes on', async () => {
    const db = await makeDatabase();
    // No grace: a refresh token that was used up for nothing would end the session.
    const rooms = await openRooms(db, { name: 'a', variables: { REFRESH_REUSE_GRACE: '0' } });
    const { core } = rooms;
    const user = await register(core);
    // Another node must hear of the successor before it signs.
    await db.execute(
      `insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until)
       values (gen_random_uuid(), 'b', 'test', now(), now(), clock_timestamp() + interval '1 minute')`,
    );
    await core.keys.revoke(core.keys.active().kid, async () => undefined);
    await assert.rejects(core.refresh(user.refresh_token, origin), Overloaded);
    await assert.rejects(register(core), Overloaded);
    await assert.rejects(login(core, user.email), Overloaded);
    assert.equal((await core.sessions.list(user.user.id)).length, 1);
    for (let round = 0; round < 100; round += 1) {
      try {
        core.keys.active();
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    assert.equal((await core.refresh(user.refresh_token, origin)).kind, 'refreshed');
    await rooms.stop();
  });

  test('KEY-07 the root secret rotates: keys open under the previous one and are sealed under the new one', async () => {
    const db = await makeDatabase();
    const first = await openRooms(db, { rootSecret });
    const kid = first.core.keys.active().kid;
    await first.stop();
    const next = 'another-root-secret-of-the-tests-0b8d2e4f6a';
    await assert.rejects(openRooms(db, { rootSecret: next }), /JWT_SECRET_PREVIOUS/);
    const both = await openRooms(db, {
      rootSecret: next,
      variables: { JWT_SECRET: next, JWT_SECRET_PREVIOUS: rootSecret },
    });
    assert.equal(both.core.keys.active().kid, kid);
    await both.stop();
    const after = await openRooms(db, { rootSecret: next });
    assert.equal(after.core.keys.active().kid, kid);
    await after.stop();
  });

  test('a key that has signed for its interval is rotated by the schedule, once', async () => {
    const db = await makeDatabase();
    const rooms = await openRooms(db, { rootSecret, variables: { KEY_ROTATION_INTERVAL: '3600' } });
    await rooms.core.keys.maintain();
    assert.equal((await rooms.core.keys.list()).length, 1);
    await db.execute(`update signing_keys set activates_at = activates_at - interval '55 minutes'`);
    await Promise.all([rooms.core.keys.maintain(), rooms.core.keys.maintain(), rooms.core.keys.maintain()]);
    assert.deepEqual(
      (await rooms.core.keys.list()).map((key) => key.state),
      ['pending', 'active'],
    );
    await rooms.stop();
  });

  test('another node learns of a new key with its beat', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret });
    const b = await openRooms(db, { name: 'b', rootSecret });
    const made = await rotate(a.core, false);
    while (!b.core.keys.jwks().body.includes(made.kid)) await new Promise((resolve) => setTimeout(resolve, 20));
    await a.stop();
    await b.stop();
  });

  test('KEY-04 a reading of the keys that is answered late brings no revoked key back', async () => {
    const db = await makeDatabase();
    let hold: Promise<void> | undefined;
    const run: Database['run'] = async (statement, params) => {
      const rows = await db.run(statement, params);
      const wait = statement.text.includes('from signing_keys') ? hold : undefined;
      if (wait !== undefined) hold = undefined;
      await wait;
      return rows;
    };
    const slow = new Proxy(db, {
      get(_db, name) {
        if (name === 'run') return run;
        const member: unknown = Reflect.get(db, name);
        return typeof member === 'function' ? member.bind(db) : member;
      },
    });
    await (await openRooms(db, { rootSecret })).stop();
    const keys = createSigningKeys({
      db: slow,
      root: createRootSecret({ current: rootSecret, previous: undefined, random: systemRandom }),
      clock: systemClock,
      keySet: createKeySet(),
      algorithm: 'EdDSA',
      rotationIntervalSeconds: 86_400,
      tokenTtlMaxSeconds: () => 3_600,
    });
    await keys.load();
    const { kid } = keys.active();
    let answer = (): void => undefined;
    hold = new Promise((resolve) => {
      answer = resolve;
    });
    const late = keys.refresh();
    assert.ok(await keys.revoke(kid, async () => undefined));
    answer();
    await late;
    assert.ok(!keys.jwks().body.includes(kid));
    assert.notEqual(keys.active().kid, kid);
  });
});
