import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Database, DatabaseUnavailable } from '../../packages/server/src/platform/database/index.ts';
import { systemClock } from '../../packages/server/src/platform/time/index.ts';
import { createBarrier, createRevocation } from '../../packages/server/src/revocation/index.ts';
import { forEachStore } from '../support/stores.ts';
import { login, openRooms, origin, register } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';

forEachStore('receipts', (makeDatabase) => {
  test('"everywhere" is said only when the other node refuses too', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret });
    const b = await openRooms(db, { name: 'b', rootSecret });
    for (let round = 0; round < 20; round += 1) {
      const user = await register(a.core);
      const accepted = b.core.validate(user.access_token, {});
      assert.ok(accepted !== 'stale' && accepted.valid);
      const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
      assert.ok(pending);
      const receipt = await a.core.revocation.settle(pending, user.user.id);
      assert.equal(receipt.effective_everywhere, true);
      assert.deepEqual(receipt.pending_nodes, []);
      assert.equal(receipt.acknowledged_nodes, 2);
      assert.deepEqual(b.core.validate(user.access_token, {}), { valid: false, reason: 'revoked' });
    }
    await a.stop();
    await b.stop();
  });

  test('a node that does not confirm is named, with the end of its lease; later the receipt stands otherwise', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret, variables: { REVOCATION_ACK_TIMEOUT: '100' } });
    await db.execute(
      `insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until)
       values (gen_random_uuid(), 'frozen', 'test', now(), now(), clock_timestamp() + interval '3 seconds')`,
    );
    const user = await register(a.core);
    const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    assert.ok(pending);
    const receipt = await a.core.revocation.settle(pending, user.user.id);
    assert.equal(receipt.effective_everywhere, false);
    assert.deepEqual(receipt.pending_nodes, ['frozen']);
    assert.ok(Date.parse(receipt.effective_by) > Date.now());
    // Once the lease has ended nobody can vouch any more.
    for (;;) {
      const now = await a.core.revocation.standing(receipt.position);
      assert.equal(now?.userId, user.user.id);
      if (now?.receipt.effective_everywhere === true) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(Date.now() >= Date.parse(receipt.effective_by) - 50);
    assert.equal(await a.core.revocation.standing('made-up'), undefined);
    await a.stop();
  });

  test('a receipt that is asked for on another node waits for that node too, and so does one for what others have ended', async () => {
    const db = await makeDatabase();
    const variables = { REVOCATION_ACK_TIMEOUT: '50' };
    const a = await openRooms(db, { name: 'a', rootSecret, variables });
    const b = await openRooms(db, { name: 'b', rootSecret, variables });
    const user = await register(a.core);
    // b has its proof in hand, and its next beat does not come.
    await b.core.beat?.stop({ keepLease: true });
    b.core.freshness.confirm(b.core.clock.monotonicMs(), b.core.clock.wallMs());
    const accepts = () => {
      const verdict = b.core.validate(user.access_token, {});
      return verdict !== 'stale' && verdict.valid;
    };
    const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    assert.ok(pending);
    const receipt = await a.core.revocation.settle(pending, user.user.id);
    const there = await b.core.revocation.standing(receipt.position);
    const nothingLeft = await b.core.revocation.settle(
      await db.transaction((tx) => b.core.revocation.mark(tx)),
      user.user.id,
    );
    assert.ok(accepts(), 'b does not know it yet');
    for (const told of [receipt, there?.receipt, nothingLeft]) {
      assert.equal(told?.effective_everywhere, false);
      assert.ok(told?.pending_nodes.includes('b'));
    }
    assert.deepEqual((await a.core.revocation.standing(receipt.position))?.receipt.pending_nodes, ['b']);
    await b.core.beat?.start(() => undefined);
    while ((await b.core.revocation.standing(receipt.position))?.receipt.effective_everywhere !== true) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(!accepts());
    await a.stop();
    await b.stop();
  });

  test('one that ends the rest of the sessions answers for those, too, that another node ended just before', async () => {
    const db = await makeDatabase();
    const variables = { REVOCATION_ACK_TIMEOUT: '50' };
    const a = await openRooms(db, { name: 'a', rootSecret, variables });
    const b = await openRooms(db, { name: 'b', rootSecret, variables });
    const user = await register(a.core);
    const [first, second] = [await login(a.core, user.email), await login(a.core, user.email)];
    // b has its proof in hand, and its next beat does not come.
    await b.core.beat?.stop({ keepLease: true });
    b.core.freshness.confirm(b.core.clock.monotonicMs(), b.core.clock.wallMs());
    assert.ok(await a.core.sessions.end(user.user.id, first.session_id, 'logout', origin));
    const options = { keep: user.session_id, reason: 'logout_all' as const, actor: user.user.id, origin };
    const receipt = await b.core.revokeAll(user.user.id, options);
    const verdict = (token: string) => b.core.validate(token, {});
    assert.deepEqual(verdict(second.access_token), { valid: false, reason: 'revoked' });
    const other = verdict(first.access_token);
    assert.ok(other !== 'stale' && other.valid, 'b does not know of the other one yet');
    assert.deepEqual([receipt?.revoked_sessions, receipt?.effective_everywhere], [1, false]);
    assert.ok(receipt?.pending_nodes.includes('b'));
    await a.stop();
    await b.stop();
  });

  test('a node that serves while stale counts past its lease, until its tokens have expired', async () => {
    const db = await makeDatabase();
    const variables = { REVOCATION_ACK_TIMEOUT: '50', TOKEN_TTL: '600' };
    const a = await openRooms(db, { name: 'a', rootSecret, variables });
    await db.execute(
      `insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until, stats)
       values (gen_random_uuid(), 'stale', 'test', now(), now(), clock_timestamp() - interval '5 seconds', '{"serves_stale":true}')`,
    );
    const user = await register(a.core);
    const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    assert.ok(pending);
    const receipt = await a.core.revocation.settle(pending, user.user.id);
    assert.equal(receipt.effective_everywhere, false);
    assert.deepEqual(receipt.pending_nodes, ['stale']);
    assert.ok(Date.parse(receipt.effective_by) > Date.now() + 500_000);
    await a.stop();
  });

  test('where nodes serve while stale, a receipt that cannot ask for the leases counts them until their tokens have expired', async () => {
    const db = await makeDatabase();
    let isAway = false;
    const run: Database['run'] = (what, params) => {
      return isAway ? Promise.reject(new DatabaseUnavailable('away')) : db.run(what, params);
    };
    const flaky = new Proxy(db, {
      get(target, name) {
        const value: unknown = name === 'run' ? run : Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const variables = { REVOCATION_WHEN_STALE: 'serve', TOKEN_TTL: '600' };
    const a = await openRooms(flaky, { name: 'a', rootSecret, variables });
    const user = await register(a.core);
    const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    isAway = true;
    const receipt = await a.core.revocation.settle(pending ?? null, user.user.id);
    isAway = false;
    assert.equal(receipt.effective_everywhere, false);
    assert.ok(Date.parse(receipt.effective_by) > Date.now() + 595_000, receipt.effective_by);
    await a.stop();
  });

  test('ending all other sessions says "everywhere" no sooner than those who ended them just before', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret, variables: { REVOCATION_ACK_TIMEOUT: '1000' } });
    const user = await register(a.core);
    const other = await login(a.core, user.email);
    await db.execute(
      `insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until)
       values (gen_random_uuid(), 'frozen', 'test', now(), now(), clock_timestamp() + interval '20 seconds')`,
    );
    const options = { keep: user.session_id, reason: 'logout_all' as const, actor: user.user.id, origin };
    const first = await a.core.revokeAll(user.user.id, options);
    assert.deepEqual([first?.revoked_sessions, first?.effective_everywhere], [1, false]);
    // Nothing is left to end, and the frozen node still takes what was ended.
    const second = await a.core.revokeAll(user.user.id, options);
    assert.deepEqual([second?.revoked_sessions, second?.effective_everywhere], [0, false]);
    assert.deepEqual(second?.pending_nodes, ['frozen']);
    assert.deepEqual(a.core.validate(other.access_token, {}), { valid: false, reason: 'revoked' });
    await a.stop();
  });

  test('a receipt that could not be settled is looked up like any other; one of another store is not known', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret, variables: { REVOCATION_ACK_TIMEOUT: '50' } });
    const user = await register(a.core);
    await db.execute(
      `insert into cluster_nodes (incarnation, name, version, started_at, beat_at, lease_until)
       values (gen_random_uuid(), 'frozen', 'test', now(), now(), clock_timestamp() + interval '20 seconds')`,
    );
    const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    assert.ok(pending);
    // The beat is being started again, and the leases cannot be read.
    const away: Database = {
      ...db,
      kind: db.kind,
      run: async () => {
        throw new DatabaseUnavailable('away');
      },
    };
    const barrier = createBarrier({
      db: away,
      clock: systemClock,
      ackTimeoutMs: 50,
      ownIncarnation: null,
      ownCursor: () => null,
      sleep: async () => undefined,
    });
    const { root } = a.core;
    const beat = { cursor: () => null, quietUntil: () => Number.NEGATIVE_INFINITY, nudge: () => undefined };
    const nothing = (): void => undefined;
    const unsettled = createRevocation({
      ...{ db: away, root, clock: systemClock, replica: null, barrier, beat, leaseMs: 12_000 },
      ...{ hint: nothing, observe: nothing, onPropagated: nothing },
    });
    const receipt = await unsettled.settle(pending, user.user.id);
    assert.equal(receipt.effective_everywhere, false);
    // This node learns by its beat what another process has written.
    for (;;) {
      const now = await a.core.revocation.standing(receipt.position);
      assert.equal(now?.receipt.effective_everywhere, false);
      assert.ok(now?.receipt.pending_nodes.includes('frozen'));
      if (now.receipt.pending_nodes.length === 1) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }

    await db.execute(`update store_meta set value = 'another' where key = 'store_id'`);
    await a.core.beat?.stop();
    await a.core.beat?.start(() => undefined);
    assert.equal(await a.core.revocation.standing(receipt.position), undefined);
    await a.stop();
  });

  test('a fail-over that the beat has not seen yet: never "everywhere" before the longest lease is over', async () => {
    const db = await makeDatabase();
    const a = await openRooms(db, { name: 'a', rootSecret });
    const user = await register(a.core);
    const pending = await a.core.sessions.end(user.user.id, user.session_id, 'logout', origin);
    assert.ok(pending);
    const [store, , started] = pending.storeEpoch.split('/');
    // The same commit on another timeline: the leases of the others may have been lost with it.
    const failedOver = { ...pending, storeEpoch: `${store}/000000FF/${started}` };
    const receipt = await a.core.revocation.settle(failedOver, user.user.id);
    assert.equal(receipt.effective_everywhere, false);
    assert.ok(Date.parse(receipt.effective_by) > Date.now() + 10_000);
    assert.equal((await a.core.revocation.settle(pending, user.user.id)).effective_everywhere, true);
    await a.stop();
  });

  test('a transaction that commits late is not missed: it is applied, and its receipt waits for that', async () => {
    const db = await makeDatabase();
    if (db.kind === 'embedded') return assert.equal(db.kind, 'embedded', 'one connection: nothing commits late');
    const a = await openRooms(db, { name: 'a', rootSecret });
    const b = await openRooms(db, { name: 'b', rootSecret });
    const early = await register(a.core);
    const late = await register(a.core);
    const open = Promise.withResolvers<void>();
    const written = Promise.withResolvers<void>();
    const slow = db.transaction(async (tx) => {
      const pending = await a.core.revocation.append(tx, [
        { kind: 'session', subject: late.session_id, reason: 'test', actor: 'test' },
      ]);
      written.resolve();
      await open.promise;
      return pending;
    });
    await written.promise;
    // A younger transaction commits first, and the other node's cursor moves past it.
    const pending = await a.core.sessions.end(early.user.id, early.session_id, 'logout', origin);
    assert.ok(pending);
    assert.equal((await a.core.revocation.settle(pending, early.user.id)).effective_everywhere, true);
    open.resolve();
    const receipt = await b.core.revocation.settle(await slow, late.user.id);
    assert.equal(receipt.effective_everywhere, true);
    for (const node of [a, b]) {
      assert.deepEqual(node.core.validate(late.access_token, {}), { valid: false, reason: 'revoked' });
    }
    await a.stop();
    await b.stop();
  });

  test('a role change ends access tokens at once and the refresh token brings the new set', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { name: 'a', rootSecret });
    const by = { actor: 'test', origin };
    const user = await register(core);
    const made = await core.access.create({ name: 'editor', description: null, permissions: ['articles:write'] }, by);
    assert.equal(made.kind, 'done');
    const granted = await core.access.setUserRoles(user.user.id, (held) => [...held, 'editor'], by);
    assert.equal(granted.kind, 'done');
    if (granted.kind === 'done') await core.revocation.settle(granted.pending, user.user.id);
    assert.deepEqual(core.validate(user.access_token, {}), { valid: false, reason: 'revoked' });
    const next = await core.refresh(user.refresh_token, origin);
    assert.equal(next.kind, 'refreshed');
    if (next.kind !== 'refreshed') return;
    const wanted = { required_permissions: ['articles:write'] };
    const verdict = core.validate(next.answer.access_token, wanted);
    assert.ok(verdict !== 'stale' && verdict.valid);

    const changed = await core.access.change('editor', { permissions: ['articles:read'] }, by);
    assert.equal(changed.kind, 'done');
    if (changed.kind === 'done') await core.revocation.settle(changed.pending, user.user.id);
    assert.deepEqual(core.validate(next.answer.access_token, wanted), { valid: false, reason: 'revoked' });
    const large = await core.access.change(
      'editor',
      { permissions: Array.from({ length: 500 }, (_, n) => `resource-${n}:act`) },
      by,
    );
    assert.equal(large.kind === 'refused' && large.code, 'conflict');
    await stop();
  });

  test('the last administrator cannot be demoted or disabled, by sixteen at once either', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { name: 'a', rootSecret });
    const by = { actor: 'test', origin };
    const admins = await Promise.all(Array.from({ length: 16 }, () => register(core)));
    for (const admin of admins) await core.access.setUserRoles(admin.user.id, () => ['admin', 'user'], by);
    const outcomes = await Promise.all(
      admins.map((admin, index) =>
        index % 2 === 0
          ? core.access.setUserRoles(admin.user.id, () => ['user'], by)
          : core.users.disable(admin.user.id, by),
      ),
    );
    assert.equal(outcomes.filter((outcome) => outcome.kind === 'refused').length, 1);
    await stop();
  });
});
