import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statement } from '../../packages/server/src/platform/database/index.ts';
import { forEachStore } from '../support/stores.ts';
import { openRooms, origin, password } from './rooms.ts';

const rootSecret = 'a-root-secret-of-the-tests-7f3a9c5e1d42';
const take = statement<[], never>('test_roles_take', `update roles set permissions = '{a:read}' where name = 'editor'`);
const remove = statement<[], never>('test_roles_remove', `delete from roles where name = 'editor'`);

forEachStore('accounts and roles that change meanwhile', (makeDatabase, kind) => {
  for (const [change, what, expected] of [
    ['loses a permission', take, ['a:read']],
    ['is deleted', remove, null],
  ] as const) {
    test(`an account that is created while its role ${change} has what the role is in the end`, async () => {
      const db = await makeDatabase();
      const { core, stop } = await openRooms(db, { rootSecret });
      const by = { actor: 'test', origin };
      const role = { name: 'editor', description: null, permissions: ['a:read', 'a:write'] };
      await core.access.create(role, by);
      const changed = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const changing = db.transaction(async (tx) => {
        await tx.run(what, []);
        changed.resolve();
        // The embedded store has one connection: there the other transaction cannot even begin.
        if (kind === 'postgres') await goOn.promise;
      });
      await changed.promise;
      const creating = core.users.create(
        { email: 'ada@example.org', password, roles: ['editor'], emailVerified: true },
        by,
      );
      await new Promise((resolve) => setTimeout(resolve, 300));
      goOn.resolve();
      await changing;
      const made = await creating;
      if (expected === null) assert.equal(made.kind, 'refused');
      else assert.deepEqual(made.kind === 'done' && made.value.permissions, expected);
      await stop();
    });
  }

  test('an account whose roles would not fit a token is refused', async () => {
    const { core, stop } = await openRooms(await makeDatabase(), { rootSecret });
    const by = { actor: 'test', origin };
    const permissions = Array.from({ length: 500 }, (_, n) => `resource-${n}:act`);
    await core.access.create({ name: 'large', description: null, permissions }, by);
    const made = await core.users.create(
      { email: 'ada@example.org', password, roles: ['large'], emailVerified: true },
      by,
    );
    assert.equal(made.kind, 'refused');
    await stop();
  });
});
