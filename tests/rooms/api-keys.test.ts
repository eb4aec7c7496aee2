/** API keys inside: the table that every node holds, and what makes keys end. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { Core } from '../../packages/server/src/core.ts';
import { type Database, statement } from '../../packages/server/src/platform/database/index.ts';
import { until } from '../support/service.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin, type Rooms, register } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
const reviveKey = statement<[string], never>('test_keys_revive', 'update api_keys set revoked_at = null where id = $1');
const listWhole = statement<[], { row: string }>('test_keys_all', 'select k::text as row from api_keys k');
const findUse = statement<[string], { last_used_at: Date | null }>(
  'test_keys_find_use',
  'select last_used_at from api_keys where id = $1',
);

const holdOwner = statement<[string], { id: string }>(
  'test_keys_hold',
  'select id from users where id = $1 for update',
);

const by = { actor: 'test', origin };

async function makeOwner(core: Core, permissions: readonly string[]) {
  const role = `r${randomUUID().slice(0, 8)}`;
  await core.access.create({ name: role, description: null, permissions }, by);
  const { user, session_id: sessionId } = await register(core);
  sessionOf.set(user.id, sessionId);
  await setRoles(core, user.id, [role]);
  return { id: user.id, role };
}

/** Of each owner. */
const sessionOf = new Map<string, string>();

async function setRoles(core: Core, userId: string, roles: readonly string[]): Promise<void> {
  const done = await core.access.setUserRoles(userId, () => roles, by);
  assert.equal(done.kind, 'done');
  if (done.kind === 'done' && done.pending !== null) await core.revocation.settle(done.pending, userId);
}

const callerOf = (userId: string, permissions: readonly string[]) => ({
  principal: {
    userId,
    sessionId: sessionOf.get(userId) ?? userId,
    apiKeyId: null,
    claims: { permissions, acr: 'aal1' } as never,
  },
  origin,
});

async function makeKey(core: Core, owner: string, permissions: readonly string[], more: object = {}) {
  const wanted = { name: 'ci', permissions, expiresAt: undefined, serviceAccountId: undefined, ...more };
  const made = await core.apiKeys.create(wanted, callerOf(owner, ['*:*']));
  if (made.kind !== 'done') throw new Error(`no key: ${made.code}`);
  return { id: made.value.row.id, text: made.value.secret };
}

const judge = (core: Core, text: string) => {
  const verified = core.apiKeyTable.verify(text);
  return verified.kind === 'valid' ? verified.key.permissions.join() : verified.reason;
};

/** What an owner's change holds up is read with a beat, and then it is one or the other. */
const settled = async (core: Core, text: string): Promise<string> => {
  core.beat?.nudge();
  await until('the change is read', async () => !['outdated', 'stale'].includes(judge(core, text)));
  return judge(core, text);
};

async function twoNodes(db: Database): Promise<{ a: Rooms; b: Rooms; stop: () => Promise<void> }> {
  const a = await openRooms(db, { rootSecret, name: 'a' });
  const b = await openRooms(db, { rootSecret, name: 'b' });
  return { a, b, stop: async () => void (await Promise.all([a.stop(), b.stop()])) };
}

forEachStore('API keys', (makeDatabase) => {
  test('AZ-08 a key is known on every node when its answer arrives, and dead on every node when its receipt says so', async () => {
    const { a, b, stop } = await twoNodes(await makeDatabase());
    const owner = await makeOwner(a.core, ['articles:*']);
    for (let round = 0; round < 10; round += 1) {
      const [here, there] = round % 2 === 0 ? [a.core, b.core] : [b.core, a.core];
      const key = await makeKey(here, owner.id, ['articles:read']);
      assert.equal(judge(here, key.text), 'articles:read');
      assert.equal(judge(there, key.text), 'articles:read');
      const revoked = await there.apiKeys.revoke(key.id, callerOf(owner.id, []));
      assert.ok(revoked.kind === 'done' && revoked.value.effective_everywhere);
      assert.equal(judge(here, key.text), 'revoked');
      assert.equal(judge(there, key.text), 'revoked');
    }
    await stop();
  });

  test('AZ-08 only the hash is stored, and any other text of its form is no key', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret, name: 'a' });
    const owner = await makeOwner(core, ['a:read']);
    const { text } = await makeKey(core, owner.id, ['a:read']);
    const rows = await db.run(listWhole, []);
    assert.equal(rows.length, 1);
    assert.ok(!rows[0]?.row.includes(text.slice(17)), 'the secret part stands nowhere');
    for (let at = 0; at < text.length; at += 1) {
      const other = text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1);
      assert.match(judge(core, other), /^(invalid|malformed)$/);
    }
    assert.equal(judge(core, text.slice(0, -1)), 'malformed');
    assert.equal(judge(core, `${text}A`), 'malformed');
    await stop();
  });

  test('AZ-05 nobody makes a key for what they, or the account that is to own it, may not do', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret, name: 'a' });
    const owner = await makeOwner(core, ['a:read', 'b:*']);
    const wanted = { name: 'k', expiresAt: null, serviceAccountId: undefined };
    for (const [permissions, held] of [
      [['a:write'], ['*:*']],
      [['*:*'], ['*:*']],
      [['a:*'], ['*:*']],
      [['b:read'], ['a:read']],
    ]) {
      const refused = await core.apiKeys.create(
        { ...wanted, permissions: permissions ?? [] },
        callerOf(owner.id, held ?? []),
      );
      assert.equal(refused.kind === 'refused' && refused.code, 'insufficient_permissions');
    }
    const account = await core.serviceAccounts.create(
      { name: 'robot', description: null, permissions: ['a:read'] },
      callerOf(owner.id, ['*:*']),
    );
    assert.ok(account.kind === 'done');
    const forIt = { ...wanted, permissions: ['b:read'], serviceAccountId: account.value.id };
    const refused = await core.apiKeys.create(forIt, callerOf(owner.id, ['*:*']));
    assert.equal(refused.kind === 'refused' && refused.code, 'validation_failed');
    await stop();
  });

  test('AZ-05 nobody ends a key, or changes or ends a service account, that may do what they may not', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret, name: 'a' });
    const strong = await makeOwner(core, ['*:*']);
    const weak = await makeOwner(core, ['api-keys:write', 'service-accounts:write', 'a:read']);
    const caller = callerOf(weak.id, ['*:*']);
    const made = await core.serviceAccounts.create(
      { name: 'robot', description: null, permissions: ['a:*'] },
      callerOf(strong.id, ['*:*']),
    );
    assert.ok(made.kind === 'done');
    const { id } = made.value;
    const own = await makeKey(core, strong.id, ['a:write']);
    const robots = await makeKey(core, strong.id, ['a:write'], { serviceAccountId: id });
    for (const refused of [
      await core.apiKeys.revoke(own.id, caller),
      await core.apiKeys.revoke(robots.id, caller),
      await core.serviceAccounts.change(id, { status: 'disabled' }, caller),
      await core.serviceAccounts.change(id, { permissions: [] }, caller),
      await core.serviceAccounts.remove(id, caller),
    ])
      assert.equal(refused.kind === 'refused' && refused.code, 'insufficient_permissions');
    for (const { text } of [own, robots]) assert.equal(await settled(core, text), 'a:write');
    const held = await makeKey(core, strong.id, ['a:read'], { serviceAccountId: id });
    assert.equal((await core.apiKeys.revoke(held.id, caller)).kind, 'done');
    const robot = { ...callerOf(id, ['a:*']) };
    const byKey = { ...robot, principal: { ...robot.principal, apiKeyId: robots.id } };
    assert.equal((await core.apiKeys.revoke(own.id, byKey)).kind, 'done', 'a service account acts by what it holds');
    await stop();
  });

  test('AZ-04 what an owner loses its keys lose at once on every node, and what it gains beyond their scope they do not get', async () => {
    const { a, b, stop } = await twoNodes(await makeDatabase());
    const owner = await makeOwner(a.core, ['a:*', 'b:read']);
    const { text } = await makeKey(a.core, owner.id, ['a:read', 'a:write', 'b:read']);
    await setRoles(a.core, owner.id, [owner.role]);
    const changed = await a.core.access.change(owner.role, { permissions: ['a:read', 'c:*'] }, by);
    assert.ok(changed.kind === 'done');
    const receipt = await a.core.revocation.settle(changed.pending, owner.id);
    assert.equal(receipt.effective_everywhere, true);
    for (const { core } of [a, b]) {
      assert.match(judge(core, text), /^(outdated|a:read)$/);
      assert.equal(await settled(core, text), 'a:read');
    }
    await setRoles(a.core, owner.id, ['admin', 'user']);
    for (const { core } of [a, b]) assert.equal(await settled(core, text), 'a:read,a:write,b:read');
    await stop();
  });

  test('REV-02 the keys of an owner outlive logout-all and a change of password, and end with a reset by link', async () => {
    const db = await makeDatabase();
    const { a, b } = await twoNodes(db);
    const owner = await makeOwner(a.core, ['a:read']);
    const { text, id } = await makeKey(a.core, owner.id, ['a:read']);
    await a.core.revokeAll(owner.id, { keep: null, reason: 'logout_all', actor: owner.id, origin });
    for (const { core } of [a, b]) assert.equal(await settled(core, text), 'a:read');
    const pending = await db.transaction(async (tx) => {
      const { ended, entries } = await a.core.apiKeys.endAllOf(tx, owner.id, 'password_reset', owner.id);
      assert.equal(ended, 1);
      return a.core.revocation.append(tx, entries);
    });
    assert.equal((await a.core.revocation.settle(pending, owner.id)).effective_everywhere, true);
    for (const { core } of [a, b]) assert.equal(judge(core, text), 'revoked');
    await b.stop();
    await a.stop();
    const later = await openRooms(db, { rootSecret, name: 'c' });
    assert.equal(judge(later.core, text), 'revoked', 'a node that comes later knows it from the store');
    assert.equal((await later.core.apiKeys.list({ beforeId: null, ownerId: owner.id, limit: 9 }))[0]?.id, id);
    await later.stop();
  });

  for (const what of ['disabled', 'deleted'] as const) {
    test(`AZ-09, REV-05 the keys of a user who is ${what} are dead, and stay dead`, async () => {
      const { a, b, stop } = await twoNodes(await makeDatabase());
      const owner = await makeOwner(a.core, ['a:read']);
      const { text } = await makeKey(a.core, owner.id, ['a:read']);
      if (what === 'disabled') assert.equal((await a.core.users.disable(owner.id, by)).kind, 'done');
      else {
        const mine = { userId: owner.id, sessionId: owner.id, origin };
        assert.equal((await a.core.profile.remove({ ...mine, acr: 'aal1' }, undefined)).kind, 'done');
      }
      for (const { core } of [a, b]) {
        assert.match(judge(core, text), /^(outdated|revoked)$/);
        assert.equal(await settled(core, text), 'revoked');
      }
      if (what === 'disabled') {
        await a.core.users.enable(owner.id, by);
        for (const { core } of [a, b]) assert.equal(await settled(core, text), 'revoked');
      }
      await stop();
    });
  }

  test('a service account has keys and no way to log in; disabled or deleted it takes them along', async () => {
    const { a, b, stop } = await twoNodes(await makeDatabase());
    const maker = await makeOwner(a.core, ['a:*']);
    const caller = callerOf(maker.id, ['*:*']);
    const make = async (name: string) => {
      const made = await a.core.serviceAccounts.create({ name, description: null, permissions: ['a:*'] }, caller);
      assert.ok(made.kind === 'done');
      const { id } = made.value;
      return { ...(await makeKey(a.core, maker.id, ['a:read', 'a:write'], { serviceAccountId: id })), account: id };
    };
    const one = await make('one');
    const two = await make('two');
    await setRoles(a.core, maker.id, ['user']);
    for (const { core } of [a, b]) assert.equal(await settled(core, one.text), 'a:read,a:write', 'its maker may go');
    await setRoles(a.core, maker.id, [maker.role]);
    const narrowed = await a.core.serviceAccounts.change(one.account, { permissions: ['a:read'] }, caller);
    assert.equal(narrowed.kind, 'done');
    for (const { core } of [a, b]) assert.equal(await settled(core, one.text), 'a:read');
    assert.equal((await a.core.serviceAccounts.change(one.account, { status: 'disabled' }, caller)).kind, 'done');
    assert.equal((await a.core.serviceAccounts.change(one.account, { status: 'active' }, caller)).kind, 'done');
    const gone = await a.core.serviceAccounts.remove(two.account, caller);
    assert.ok(gone.kind === 'done' && gone.value.effective_everywhere);
    for (const { core } of [a, b]) {
      assert.equal(await settled(core, one.text), 'revoked');
      assert.equal(await settled(core, two.text), 'revoked');
    }
    await stop();
  });

  test('a key whose end a fail-over has lost is ended again by who still knows of it', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret, name: 'a' });
    const owner = await makeOwner(core, ['a:read']);
    const { id, text } = await makeKey(core, owner.id, ['a:read']);
    await core.apiKeys.revoke(id, callerOf(owner.id, []));
    await db.run(reviveKey, [id]);
    await core.beat?.stop();
    await core.beat?.start(() => undefined);
    const [row] = await core.apiKeys.list({ beforeId: null, ownerId: owner.id, limit: 1 });
    assert.equal(row?.revoked_reason, 'written_back');
    assert.equal(judge(core, text), 'revoked');
    await stop();
  });

  test('the last use is written in batches, and not with every use', async () => {
    const db = await makeDatabase();
    const { core, stop } = await openRooms(db, { rootSecret, name: 'a' });
    const owner = await makeOwner(core, ['a:read']);
    const { id } = await makeKey(core, owner.id, ['a:read']);
    assert.equal((await db.run(findUse, [id]))[0]?.last_used_at, null);
    for (let at = 0; at < 100; at += 1) core.apiKeys.used(id);
    await core.apiKeys.flushUsed();
    const first = (await db.run(findUse, [id]))[0]?.last_used_at;
    assert.ok(first instanceof Date);
    core.apiKeys.used(id);
    await core.apiKeys.flushUsed();
    assert.deepEqual((await db.run(findUse, [id]))[0]?.last_used_at, first);
    await stop();
  });

  test('AZ-10 DOS-06 an owner has at most 100 live keys, also of many that are asked for at once', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret, name: 'a' });
    const owner = await makeOwner(core, ['a:read']);
    const keys = [];
    for (let at = 0; at < 100; at += 1) keys.push(await makeKey(core, owner.id, ['a:read']));
    const wanted = { name: 'k', permissions: ['a:read'], expiresAt: null, serviceAccountId: undefined };
    const refused = await core.apiKeys.create(wanted, callerOf(owner.id, ['*:*']));
    assert.equal(refused.kind === 'refused' && refused.code, 'conflict');
    await core.apiKeys.revoke(keys[0]?.id ?? '', callerOf(owner.id, []));
    const asked: ReturnType<typeof core.apiKeys.create>[] = [];
    // All of them come to the owner's row while somebody else holds it, and go on together.
    await core.db.transaction(async (tx) => {
      await tx.run(holdOwner, [owner.id]);
      for (let at = 0; at < 8; at += 1) asked.push(core.apiKeys.create(wanted, callerOf(owner.id, ['*:*'])));
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    const atOnce = await Promise.all(asked);
    assert.equal(atOnce.filter((made) => made.kind === 'done').length, 1);
    await stop();
  });

  test('REV-02 a session that ended while its request was under way makes no key', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret, name: 'a' });
    const owner = await makeOwner(core, ['a:read']);
    await core.sessions.end(owner.id, sessionOf.get(owner.id) ?? '', 'revoked', origin);
    await assert.rejects(makeKey(core, owner.id, ['a:read']), /no key: token_revoked/);
    await stop();
  });
});
