/** The outbox as callers see it: written with their change, sealed, and gone with a rollback. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { forEachStore } from '../../../../tests/support/stores.ts';
import { createRootSecret } from '../keys/index.ts';
import { statement } from '../platform/database/index.ts';
import { systemRandom } from '../platform/random/index.ts';
import { systemClock } from '../platform/time/index.ts';
import { createMail } from './mail.ts';

const findAll = statement<[], { kind: string; payload: Uint8Array }>(
  'test_mail_outbox_find_all',
  'select kind, payload from mail_outbox order by id',
);

forEachStore('mail', (makeDatabase) => {
  const open = async () => {
    const db = await makeDatabase();
    const current = randomBytes(32).toString('base64');
    const root = createRootSecret({ current, previous: undefined, random: systemRandom });
    const describeDevice = () => 'Firefox on Linux';
    const deps = { db, root, clock: systemClock, random: systemRandom, describeDevice, onEnqueued: () => undefined };
    return { db, mail: createMail(deps) };
  };
  const values = { link: 'https://auth.test/#token=ABCD', code: 'ABCD-EFGH', valid: '30 minutes' };

  test('a mail stands exactly when the change stands that it tells of', async () => {
    const { db, mail } = await open();
    const work = db.transaction(async (tx) => {
      await mail.enqueue(tx, { kind: 'password_changed', to: 'ada@example.org', values: {} });
      throw new Error('rolled back');
    });
    await assert.rejects(work, /rolled back/);
    assert.deepEqual(await mail.count(), { waiting: 0, dead: 0 });
    await db.transaction((tx) => mail.enqueue(tx, { kind: 'password_changed', to: 'ada@example.org', values: {} }));
    assert.deepEqual(await mail.count(), { waiting: 1, dead: 0 });
  });

  test('who reads the table sees neither to whom a mail goes nor the secret in it', async () => {
    const { db, mail } = await open();
    await mail.enqueue(db, { kind: 'reset_password', to: 'ada@example.org', values });
    const [row] = await db.run(findAll, []);
    assert.equal(row?.kind, 'reset_password');
    const text = Buffer.from(row?.payload ?? []).toString('latin1');
    for (const secret of ['ada@example.org', 'ABCD', 'auth.test']) assert.ok(!text.includes(secret), secret);
  });
});
